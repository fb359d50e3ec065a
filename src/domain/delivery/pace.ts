import type { ErrorClass, Outcome } from './outcome.ts'

/**
 * The limit of a webhook's requests in flight, which grows by addition and falls by halving, like TCP's congestion window.
 * https://www.rfc-editor.org/rfc/rfc5681#section-3.1
 *
 * | response                                   | limit                                                            |
 * | ------------------------------------------ | ---------------------------------------------------------------- |
 * | delivered, with at least half of it in use | one more for each, up to `threshold`; above, one more per round  |
 * | any other response                         | unchanged: an entity fails, the receiver does not                |
 * | 429, 502, 503, 504, a time-out             | half of it, once per round; at 1: a pause                        |
 * | none, and none since it was sent           | 1, after a pause                                                 |
 * | no connection, but others get responses    | unchanged                                                        |
 *
 * A round is the requests between two falls: together they count once. Pauses are 1 s, doubled each time, at most a minute;
 * any response ends them. A receiver that is down gets one request at a time, and no more than it accepts when it returns.
 */
export type Pace = {
  /** At least 1; a fraction is progress towards the next integer. */
  readonly limit: number
  /** Up to here it grows by one with every delivery. */
  readonly threshold: number
  readonly fellAtMs: number
  readonly respondedAtMs: number
  /** Consecutive pauses. */
  readonly pauses: number
  readonly pausedUntilMs: number
}

const firstLimit = 10
const firstPauseMs = 1_000
const longestPauseMs = 60_000
/** Covers the time until `Retry-After` is stored, where every process sees it. */
const longestBridgeMs = 2_000

/**
 * The pace of an unknown webhook, or of one that was failing (`isFailing`): one request, as after a pause. `max` is the
 * highest possible limit, at least 1.
 */
export function firstPace(max: number, isFailing = false): Pace {
  return {
    limit: isFailing ? 1 : Math.min(firstLimit, max),
    threshold: max,
    fellAtMs: Number.NEGATIVE_INFINITY,
    respondedAtMs: Number.NEGATIVE_INFINITY,
    pauses: isFailing ? 1 : 0,
    pausedUntilMs: Number.NEGATIVE_INFINITY,
  }
}

/** How many requests may be in flight, and for how long none may. */
export type ShownPace = { readonly limit: number; readonly pausedForMs: number }

export function shownPace({ limit, pausedUntilMs }: Pace, nowMs: number): ShownPace {
  return { limit: Math.floor(limit), pausedForMs: Math.max(0, pausedUntilMs - nowMs) }
}

/** Whether trouble of the receiver has lowered the limit below that of an unknown webhook. */
export const isSlowed = ({ limit, pausedForMs }: ShownPace, max: number) =>
  pausedForMs > 0 || limit < Math.min(firstLimit, max)

/** What an attempt shows about the receiver as a whole. */
export type Reaction = 'delivered' | 'failed' | 'overloaded' | 'late' | 'silent' | 'cut off'

/** Classifies an attempt: `status` if there was a response, `errorClass` if it was not accepted. */
export function classifyAttempt(attempt: {
  readonly outcome: Outcome
  readonly status: number | null
  readonly errorClass: ErrorClass | null
}): Reaction {
  if (attempt.outcome === 'delivered') return 'delivered'
  if (attempt.outcome === 'cancelled') return 'cut off'
  if (attempt.outcome === 'refused') return isOverloaded(attempt.status) ? 'overloaded' : 'failed'
  return attempt.errorClass === 'timeout' ? 'late' : 'silent'
}

export const overloadStatuses = [429, 502, 503, 504]

/** Whether a status shows that the receiver is in trouble, rather than the request. */
export function isOverloaded(status: number | null): boolean {
  return status !== null && overloadStatuses.includes(status)
}

/**
 * The pace after an attempt from `startedAtMs` to `nowMs` on one monotonic clock. `inFlight` counts the webhook's requests,
 * this one included; `retryAfterMs` is the receiver's Retry-After, or null.
 */
export function paceAfter(
  pace: Pace,
  input: {
    reaction: Reaction
    startedAtMs: number
    nowMs: number
    inFlight: number
    retryAfterMs: number | null
    max: number
  },
): Pace {
  const { reaction, startedAtMs, nowMs } = input
  switch (reaction) {
    case 'cut off':
      return pace
    case 'delivered': {
      const isUsed = input.inFlight * 2 >= Math.floor(pace.limit)
      return afterResponse(pace, nowMs, isUsed ? grown(pace, input.max) : pace.limit)
    }
    case 'failed':
      return afterResponse(pace, nowMs)
    case 'overloaded': {
      const fallen = startedAtMs <= pace.fellAtMs ? pace : halved(pace, nowMs)
      const bridgeMs = Math.min(input.retryAfterMs ?? 0, longestBridgeMs)
      return { ...fallen, pausedUntilMs: Math.max(fallen.pausedUntilMs, nowMs + bridgeMs) }
    }
    case 'late':
    case 'silent': {
      const isOldNews = startedAtMs <= pace.fellAtMs
      // Even in a round that was halved already: a round without any response is news.
      if (startedAtMs > pace.respondedAtMs && (pace.limit > 1 || !isOldNews))
        return paused({ ...pace, limit: 1, threshold: firstLimit, fellAtMs: nowMs }, nowMs)
      return reaction === 'late' && !isOldNews ? halved(pace, nowMs) : pace
    }
    default:
      return reaction satisfies never
  }
}

/** How many more requests may be sent at `nowMs`, with `inFlight` in flight. */
export function freeByPace(pace: Pace, inFlight: number, nowMs: number): number {
  return nowMs < pace.pausedUntilMs ? 0 : Math.max(0, Math.floor(pace.limit) - inFlight)
}

function afterResponse(pace: Pace, nowMs: number, limit = pace.limit): Pace {
  return {
    ...pace,
    limit,
    respondedAtMs: nowMs,
    pauses: 0,
    pausedUntilMs: pace.pauses > 0 ? nowMs : pace.pausedUntilMs,
  }
}

function grown(pace: Pace, max: number): number {
  return Math.min(max, pace.limit + (pace.limit < pace.threshold ? 1 : 1 / pace.limit))
}

function halved(pace: Pace, nowMs: number): Pace {
  if (pace.limit < 2) return paused({ ...pace, limit: 1, fellAtMs: nowMs }, nowMs)
  const limit = Math.floor(pace.limit / 2)
  return { ...pace, limit, threshold: limit, fellAtMs: nowMs }
}

function paused(pace: Pace, nowMs: number): Pace {
  const pauseMs = Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(pace.pauses, 20))
  return { ...pace, pauses: pace.pauses + 1, pausedUntilMs: nowMs + pauseMs }
}
