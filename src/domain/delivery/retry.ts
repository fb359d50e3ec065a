import { hourMs as hour, minuteMs as minute, parseDuration, secondMs as second } from '../value/duration.ts'
import type { Outcome } from './outcome.ts'

const maxRetries = 50

/** Reads a schedule such as `5s, 5m, 2h, 1d`: 1 to 50 waits of 1 s to 7 d. Null for any other text. */
export function parseSchedule(text: string): number[] | null {
  const waits = text.split(',').map(part => parseDuration(part.trim()) ?? Number.NaN)
  const isInBounds = waits.every(ms => ms >= second && ms <= 7 * 24 * hour)
  return isInBounds && waits.length <= maxRetries ? waits : null
}

const jitter = 0.1
/** The longest Retry-After that walhook obeys. */
export const longestRetryAfterMs = 24 * hour

/** Retries are early up to this wait, which separates outages of minutes from outages of hours. */
const longestEarlyMs = 30 * minute

/** How many retries of a schedule are early, and their longest wait in ms. */
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

/** The next state of a delivery after an attempt. */
export type Next =
  | { readonly state: 'done' }
  | { readonly state: 'retry'; readonly waitMs: number; readonly costsAttempt: boolean }
  | { readonly state: 'dead' }

/**
 * Decides what follows attempt `number` (from 1). `retryAfterMs`, the receiver's Retry-After or null, is obeyed up to 24 h,
 * but never before the schedule. Early retries wait no longer than that:
 *
 * - A busy receiver that says when it is back (`isAskedToWait`) gets the retry then. From the second attempt on it costs none
 *   while the event (`ageMs` old) is younger than its early retries take.
 * - An attempt from before the webhook's recovery (`isOutdated`) is retried as after a first failure.
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
  const requestedMs = Math.min(input.retryAfterMs ?? 0, longestRetryAfterMs)
  const early = earlyRetries(input.scheduleMs)
  const isFree =
    input.isAskedToWait === true &&
    input.number >= 2 &&
    input.number <= early.count &&
    (input.ageMs ?? Number.POSITIVE_INFINITY) < early.totalMs
  const isSoon = isFree || (input.isOutdated === true && input.number <= early.count)
  const ownMs = spread(isSoon ? Math.min(scheduledMs, input.scheduleMs[0]!) : scheduledMs)
  return { state: 'retry', waitMs: Math.max(ownMs, requestedMs), costsAttempt: !isFree }
}

const httpDate = /^[A-Z][a-z]+, \d\d[ -][A-Z][a-z]{2}[ -](\d{4}|\d\d) \d\d:\d\d:\d\d (GMT|UTC|[-+]\d{4})$/
/** C's own date format, without a time zone: it means GMT. */
const asctimeDate = /^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}$/

/**
 * Reads `Retry-After`: seconds (rounded up) or an HTTP date, against the clock `nowMs`; the longest of several separated by
 * commas. Returns ms ≥ 0, or null. https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
 */
export function parseRetryAfter(text: string, nowMs: number): number | null {
  // Splits at commas, except after the day name of a date.
  const parsed = text.split(/(?<!(?:^|,)\s*[A-Z][a-z]+),/).map(requested => parseOne(requested.trim(), nowMs))
  const known = parsed.filter(requested => requested !== null)
  return known.length === 0 ? null : Math.max(...known)
}

function parseOne(trimmed: string, nowMs: number): number | null {
  if (/^\d+(\.\d+)?$/.test(trimmed)) return Math.ceil(Number(trimmed)) * second
  // `Date.parse` alone finds a date in "try again in 2099", and assumes local time without a zone.
  const isAsctime = asctimeDate.test(trimmed)
  if (!isAsctime && !httpDate.test(trimmed)) return null
  const atMs = Date.parse(isAsctime ? `${trimmed} GMT` : trimmed)
  return Number.isNaN(atMs) ? null : Math.max(0, atMs - nowMs)
}
