const dayMs = 86_400_000

/** How long a webhook may fail without one success before walhook stops sending to it. */
export const maxFailingMs = 5 * dayMs

/** What is kept of how a webhook's receiver is. Both are null while it is well. */
export type Health = {
  /** The first failure since the last success. */
  readonly failingSince: Date | null
  /** Until when the receiver wants nothing (Retry-After). */
  readonly heldUntil: Date | null
}

/** What attempts of one webhook, settled together, say of it. */
export type News = {
  readonly isDelivered: boolean
  /** A failure, while nothing was delivered lately. */
  readonly isFailing: boolean
  /** A delivery of it is dead, or has waited for longer than all retries take. */
  readonly isExhausted: boolean
  /** For how long the receiver wants nothing, in ms; 0: it said nothing. */
  readonly holdMs: number
  /** Why it is to be disabled at once, or null. */
  readonly gone: string | null
}

/** Renewing a hold by less than this is not worth a write: many answers of one moment say the same. */
const leastRenewalMs = 1_000

/**
 * Decides what a webhook's health becomes, and whether it is disabled (`disable` is the reason). One success ends
 * failing. It is disabled by a failure once it has failed for five days without a success, and has lost a delivery
 * by it (`hasDead`, or in the news). Returns the same `health` where nothing is to be written.
 */
export function decideHealth(
  health: Health,
  news: News,
  at: { readonly now: Date; readonly hasDead: boolean },
): { readonly health: Health; readonly disable: string | null } {
  const { failingSince, heldUntil } = health
  const isFailing = news.isFailing && !news.isDelivered
  const since = news.isDelivered ? null : (failingSince ?? (isFailing ? at.now : null))
  const until = new Date(at.now.getTime() + news.holdMs)
  const isRenewed =
    news.holdMs > 0 && (heldUntil === null || until.getTime() - heldUntil.getTime() >= leastRenewalMs)
  const isUp = isFailing && since !== null && disableAt(since) <= at.now && (news.isExhausted || at.hasDead)
  const disable = news.gone ?? (isUp ? failedTooLong(since) : null)
  if (since === failingSince && !isRenewed) return { health, disable }
  return { health: { failingSince: since, heldUntil: isRenewed ? until : heldUntil }, disable }
}

/** From when on a failure disables a webhook that has failed since `failingSince`. */
export function disableAt(failingSince: Date): Date {
  return new Date(failingSince.getTime() + maxFailingMs)
}

/** When a webhook is to be disabled if nothing is accepted until then, or null. */
export function willBeDisabledAt(webhook: {
  readonly isActive: boolean
  readonly disabledAt: Date | null
  readonly failingSince: Date | null
}): Date | null {
  if (!webhook.isActive || webhook.disabledAt !== null || webhook.failingSince === null) return null
  return disableAt(webhook.failingSince)
}

function failedTooLong(since: Date): string {
  return `No request was accepted since ${since.toISOString()}, for more than ${maxFailingMs / dayMs} days, so the webhook was disabled. Activate it again once the receiver is mended.`
}

/**
 * Whether an event that was committed at `committedAtMs` has waited for longer than the whole schedule takes. A
 * webhook that is away is asked so rarely that with a long queue no delivery is ever tried often enough to be dead.
 */
export function isOverdue(committedAtMs: number, nowMs: number, scheduleMs: readonly number[]): boolean {
  return nowMs - committedAtMs > scheduleMs.reduce((sum, ms) => sum + ms, 0)
}
