/** The states that lists show; a webhook is in the first that holds. */
export const shownStates = ['inactive', 'disabled', 'failing', 'active'] as const
export type ShownState = (typeof shownStates)[number]

/** In which order a list has its webhooks: those that are disabled or failing first, or by name only. */
export type Sorting = 'state' | 'name'

/** How many webhooks are in each state, and which are not well. */
export type WebhookStates = {
  readonly counts: Readonly<Record<ShownState, number>>
  /** The first ten that are disabled or failing; those that are disabled come first. */
  readonly unwell: readonly { readonly id: number; readonly name: string; readonly state: ShownState }[]
}

/** How many webhooks somebody should look at. */
export const countUnwell = ({ counts }: WebhookStates): number => counts.disabled + counts.failing
