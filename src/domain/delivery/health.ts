import { failureTexts } from '../failure/failure-texts.ts'
import { dayMs, minuteMs } from '../value/duration.ts'

/** How long a webhook may fail without one success before walhook stops sending to it. */
export const maxFailingMs = 5 * dayMs

/** What is kept of how a webhook's receiver is. Both are null while it is well. */
export type Health = {
  /** The first failure since the last success. */
  readonly failingSince: Date | null
  /** Until when the receiver wants nothing (Retry-After). */
  readonly heldUntil: Date | null
}

/** How long a webhook has failed while walhook tried. */
export type FailingTime = {
  readonly failedForMs: number
  /** The failure that was noted last. */
  readonly failedAt: Date
  /** The earliest try that was planned then, as far as is known; null: none. */
  readonly nextTryAt: Date | null
}

/** Failures that follow sooner are not noted: each would be a write. */
export const noteEveryMs = minuteMs
/** A try that is later than planned by more was not made: pauses and long queues delay one by minutes. */
const slackMs = 10 * minuteMs

/**
 * The time that a webhook has failed, with a failure at `now`. From the one before until now counts where this one came
 * about when a try was planned. What walhook did not try counts for nothing: it was stopped, had no database, or nothing
 * to send. Nor does a try that failed for a cause of our own (`isOurs`). `nextTryMs` is the wait until the failed delivery
 * is tried again, or null. A failure within a minute of the one before is not noted: `before` comes back. It is null at the first failure, and of a webhook that was failing before this was noted.
 */
export function noteFailure(
  before: FailingTime | null,
  failingSince: Date | null,
  news: { readonly now: Date; readonly nextTryMs: number | null; readonly isOurs: boolean },
): FailingTime {
  const nowMs = news.now.getTime()
  const plannedAtMs = news.nextTryMs === null ? null : nowMs + news.nextTryMs
  const knownAtMs =
    before?.nextTryAt && before.nextTryAt.getTime() > nowMs ? before.nextTryAt.getTime() : null
  const nextAtMs = Math.min(plannedAtMs ?? Number.POSITIVE_INFINITY, knownAtMs ?? Number.POSITIVE_INFINITY)
  const nextTryAt = nextAtMs === Number.POSITIVE_INFINITY ? null : new Date(nextAtMs)
  if (before === null) {
    const failedForMs = failingSince === null ? 0 : Math.max(0, nowMs - failingSince.getTime())
    return { failedForMs, failedAt: news.now, nextTryAt }
  }
  const lastMs = before.failedAt.getTime()
  if (Math.abs(nowMs - lastMs) < noteEveryMs && before.failedForMs < maxFailingMs - noteEveryMs) return before
  const isTried = nowMs <= Math.max(lastMs, before.nextTryAt?.getTime() ?? 0) + slackMs
  const countedMs = isTried && !news.isOurs ? Math.max(0, nowMs - lastMs) : 0
  return { failedForMs: before.failedForMs + countedMs, failedAt: news.now, nextTryAt }
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
 * failing. It is disabled by a failure once it has failed for five days without a success (`failedForMs`; by default all
 * the time since the first failure), and has lost a delivery by it (`hasDead`, or in the news). Returns the same `health` where nothing is to be written.
 */
export function decideHealth(
  health: Health,
  news: News,
  at: { readonly now: Date; readonly hasDead: boolean; readonly failedForMs?: number },
): { readonly health: Health; readonly disable: string | null } {
  const { failingSince, heldUntil } = health
  const isFailing = news.isFailing && !news.isDelivered
  const since = news.isDelivered ? null : (failingSince ?? (isFailing ? at.now : null))
  const until = new Date(at.now.getTime() + news.holdMs)
  const isRenewed =
    news.holdMs > 0 && (heldUntil === null || until.getTime() - heldUntil.getTime() >= leastRenewalMs)
  const failedForMs = at.failedForMs ?? (since === null ? 0 : at.now.getTime() - since.getTime())
  const isUp = isFailing && since !== null && failedForMs >= maxFailingMs && (news.isExhausted || at.hasDead)
  const disable = news.gone ?? (isUp ? failedTooLong(since) : null)
  if (since === failingSince && !isRenewed) return { health, disable }
  return { health: { failingSince: since, heldUntil: isRenewed ? until : heldUntil }, disable }
}

/** From when on a failure disables a webhook that has failed since `failingSince`. */
export function disableAt(failingSince: Date): Date {
  return new Date(failingSince.getTime() + maxFailingMs)
}

/**
 * When a webhook is to be disabled if nothing is accepted until then, or null. Where a try that was planned is long
 * overdue at `now`, the time until the next one will not count.
 */
export function willBeDisabledAt(
  webhook: {
    readonly isActive: boolean
    readonly disabledAt: Date | null
    readonly failingSince: Date | null
    readonly failingTime?: FailingTime | null
  },
  now?: Date,
): Date | null {
  if (!webhook.isActive || webhook.disabledAt !== null || webhook.failingSince === null) return null
  const { failingTime = null } = webhook
  if (failingTime === null) return disableAt(webhook.failingSince)
  const { failedForMs, failedAt, nextTryAt } = failingTime
  const triedUntilMs = Math.max(failedAt.getTime(), nextTryAt?.getTime() ?? 0) + slackMs
  const fromMs = now && now.getTime() > triedUntilMs ? now.getTime() : failedAt.getTime()
  return new Date(fromMs + Math.max(0, maxFailingMs - failedForMs))
}

/** What disabled a webhook: too long a time without a success, or an answer 410 of its receiver. */
export function disabledBy(webhook: {
  readonly failingSince: Date | null
  readonly disabledAt: Date | null
}): 'gone' | 'failedTooLong' {
  const { failingSince, disabledAt } = webhook
  const failedMs = failingSince && disabledAt ? disabledAt.getTime() - failingSince.getTime() : 0
  return failedMs >= maxFailingMs ? 'failedTooLong' : 'gone'
}

function failedTooLong(since: Date): string {
  const facts = { since: since.toISOString(), days: maxFailingMs / dayMs }
  return failureTexts['disabled.failed_too_long'](facts)
}

/**
 * Whether an event that was committed at `committedAtMs` has waited for longer than the whole schedule takes. A
 * webhook that is away is asked so rarely that with a long queue no delivery is ever tried often enough to be dead.
 */
export function isOverdue(committedAtMs: number, nowMs: number, scheduleMs: readonly number[]): boolean {
  return nowMs - committedAtMs > scheduleMs.reduce((sum, ms) => sum + ms, 0)
}
