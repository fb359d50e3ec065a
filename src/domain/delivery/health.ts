import { failureTexts } from '../failure/failure-texts.ts'
import { dayMs, minuteMs } from '../value/duration.ts'

/** walhook disables a webhook that fails this long without a success. */
export const maxFailingMs = 5 * dayMs

/** The stored health of a webhook. Both are null while it works. */
export type Health = {
  /** The first failure since the last success. */
  readonly failingSince: Date | null
  /** The end of the receiver's Retry-After. */
  readonly heldUntil: Date | null
}

/** How long a webhook has failed while walhook tried. */
export type FailingTime = {
  readonly failedForMs: number
  /** The last stored failure. */
  readonly failedAt: Date
  /** The earliest attempt planned then, if known. */
  readonly nextTryAt: Date | null
}

/** Sooner failures are not stored: each would be a write. */
export const noteEveryMs = minuteMs
/** A later attempt than planned by more than this did not happen: pauses and long queues delay by minutes only. */
const slackMs = 10 * minuteMs

/**
 * The failing time after a failure at `now`: the time since the last failure counts if an attempt was due then. Time without
 * attempts does not count (walhook was stopped, without a database, or without events), nor does a failure of our own
 * (`isOurs`).
 *
 * - `nextTryMs`: the wait until the delivery's next attempt, or null
 * - `before`: returned unchanged within a minute of the last failure; null at the first one, and if older versions stored
 *   none
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

/** The attempts of one webhook that are settled together. */
export type HealthReport = {
  readonly isDelivered: boolean
  /** A failure, without a recent success. */
  readonly isFailing: boolean
  /** One of its deliveries is dead, or pending for longer than all retries take. */
  readonly isExhausted: boolean
  /** The receiver's Retry-After in ms; 0: none. */
  readonly holdMs: number
  /** The reason to disable it at once, or null. */
  readonly gone: string | null
}

/** A hold is not renewed for less: many responses of one moment say the same. */
const leastRenewalMs = 1_000

/**
 * The new health of a webhook, and the reason to disable it, or null. One success ends failing. A failure disables it after
 * five days without a success (`failedForMs`; by default since the first failure) if a delivery is dead (`hasDead`, or in the
 * news). Returns the same `health` if nothing changes.
 */
export function decideHealth(
  health: Health,
  news: HealthReport,
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

/** When a further failure disables a webhook that fails since `failingSince`. */
export function disableAt(failingSince: Date): Date {
  return new Date(failingSince.getTime() + maxFailingMs)
}

/**
 * When a webhook will be disabled without a success, or null. If a planned attempt is overdue at `now`, the time until the
 * next one does not count.
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

/** Why a webhook was disabled: it failed for too long, or its receiver answered 410. */
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
 * Whether an event committed at `committedAtMs` is pending for longer than the whole schedule takes. A receiver that is down
 * gets so few attempts that a long queue never uses up a delivery's retries.
 */
export function isOverdue(committedAtMs: number, nowMs: number, scheduleMs: readonly number[]): boolean {
  return nowMs - committedAtMs > scheduleMs.reduce((sum, ms) => sum + ms, 0)
}
