import { hourMs as hour, minuteMs as minute, parseDuration, secondMs as second } from '../value/duration.ts'
import type { Outcome } from './outcome.ts'

/** Waits after the first, second, … failed attempt, in ms: nine retries over about 75 hours. */
export const defaultScheduleMs: readonly number[] = [
  5 * second,
  5 * minute,
  30 * minute,
  2 * hour,
  5 * hour,
  10 * hour,
  14 * hour,
  20 * hour,
  24 * hour,
]

const maxRetries = 50

/** Reads a schedule as `5s, 5m, 2h, 1d`: 1 to 50 waits of 1 s to 7 d each. Null for any other text. */
export function parseSchedule(text: string): number[] | null {
  const waits = text.split(',').map(part => parseDuration(part.trim()) ?? Number.NaN)
  const isInBounds = waits.every(ms => ms >= second && ms <= 7 * 24 * hour)
  return isInBounds && waits.length <= maxRetries ? waits : null
}

const jitter = 0.1
/** Whatever a receiver asks for, it is tried again after a day. */
export const longestRetryAfterMs = 24 * hour

/** Retries are early up to this wait: within them an outage of minutes is told from one of hours. */
const longestEarlyMs = 30 * minute

/** How many of a schedule's retries are early, and the longest wait for one of them, in ms. */
export function earlyRetries(scheduleMs: readonly number[]): {
  count: number
  longestMs: number
  totalMs: number
} {
  const end = scheduleMs.findIndex(ms => ms > longestEarlyMs)
  const early = end < 0 ? scheduleMs : scheduleMs.slice(0, end)
  return {
    count: early.length,
    longestMs: Math.max(0, ...early),
    totalMs: early.reduce((sum, ms) => sum + ms, 0),
  }
}

/** What becomes of a delivery after an attempt. */
export type Next =
  | { readonly state: 'done' }
  | { readonly state: 'retry'; readonly waitMs: number; readonly costsAttempt: boolean }
  | { readonly state: 'dead' }

/**
 * Decides what follows attempt `number` (from 1). `retryAfterMs` is the receiver's wish, or null: honoured up
 * to 24 h, but never earlier than the schedule. Early retries wait for no more than that:
 *
 * - A receiver that is busy and says when it is back (`isAskedToWait`) is tried then. From the second attempt on this costs
 *   none, as long as the event (`ageMs` old) is younger than its early retries take.
 * - An attempt that began before its webhook recovered (`isOutdated`) is tried again as after a first failure.
 *
 * `random` in [0, 1) spreads each wait by ±10 %.
 */
export function decideNext(input: {
  outcome: Outcome
  number: number
  retryAfterMs: number | null
  scheduleMs: readonly number[]
  random: number
  isAskedToWait?: boolean
  isOutdated?: boolean
  ageMs?: number
}): Next {
  if (input.outcome === 'delivered') return { state: 'done' }
  if (input.outcome === 'cancelled') return { state: 'retry', waitMs: 0, costsAttempt: false }
  const scheduledMs = input.scheduleMs[input.number - 1]
  if (scheduledMs === undefined) return { state: 'dead' }
  const spread = (ms: number) => Math.round(ms * (1 + jitter * (2 * input.random - 1)))
  const wishedMs = Math.min(input.retryAfterMs ?? 0, longestRetryAfterMs)
  const early = earlyRetries(input.scheduleMs)
  const isFree =
    input.isAskedToWait === true &&
    input.number >= 2 &&
    input.number <= early.count &&
    (input.ageMs ?? Number.POSITIVE_INFINITY) < early.totalMs
  const isSoon = isFree || (input.isOutdated === true && input.number <= early.count)
  const ownMs = spread(isSoon ? Math.min(scheduledMs, input.scheduleMs[0]!) : scheduledMs)
  return { state: 'retry', waitMs: Math.max(ownMs, wishedMs), costsAttempt: !isFree }
}

const httpDate = /^[A-Z][a-z]+, \d\d[ -][A-Z][a-z]{2}[ -](\d{4}|\d\d) \d\d:\d\d:\d\d (GMT|UTC|[-+]\d{4})$/
/** C's own form, which names no time zone and means GMT. */
const asctimeDate = /^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}$/

/**
 * Reads a `Retry-After` field: seconds (fractions round up) or an HTTP date, against the clock `nowMs`. Of several, joined
 * by commas, the longest holds. Returns ms ≥ 0, or null where the text is neither. https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
 */
export function parseRetryAfter(text: string, nowMs: number): number | null {
  // Not the comma behind the day of a date.
  const wishes = text.split(/(?<!(?:^|,)\s*[A-Z][a-z]+),/).map(wish => parseOne(wish.trim(), nowMs))
  const known = wishes.filter(wish => wish !== null)
  return known.length === 0 ? null : Math.max(...known)
}

function parseOne(trimmed: string, nowMs: number): number | null {
  if (/^\d+(\.\d+)?$/.test(trimmed)) return Math.ceil(Number(trimmed)) * second
  // `Date.parse` alone would find a date in "try again in 2099", and take one without a zone for local time.
  const isAsctime = asctimeDate.test(trimmed)
  if (!isAsctime && !httpDate.test(trimmed)) return null
  const atMs = Date.parse(isAsctime ? `${trimmed} GMT` : trimmed)
  return Number.isNaN(atMs) ? null : Math.max(0, atMs - nowMs)
}
