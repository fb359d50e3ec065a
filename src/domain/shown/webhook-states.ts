/** The states in lists; a webhook is in the first that applies. */
export const shownStates = ['inactive', 'disabled', 'failing', 'active'] as const
export type ShownState = (typeof shownStates)[number]

/** The order of a list: disabled and failing webhooks first, or by name. */
export type Sorting = 'state' | 'name'

/** The number of webhooks by state, and the unhealthy ones. */
export type WebhookStates = {
  readonly counts: Readonly<Record<ShownState, number>>
  /** The first ten, disabled before failing. */
  readonly unwell: readonly { readonly id: number; readonly name: string; readonly state: ShownState }[]
}

export const countUnwell = ({ counts }: WebhookStates): number => counts.disabled + counts.failing
