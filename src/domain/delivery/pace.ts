import type { ErrorClass, Outcome } from './outcome.ts'

/**
 * How many requests a webhook may have in flight, by how its receiver answers: the two clauses by which TCP shares
 * a network, grow by adding and fall by halving. https://www.rfc-editor.org/rfc/rfc5681#section-3.1
 *
 * | what came                                  | in flight                                                        |
 * | ------------------------------------------ | ---------------------------------------------------------------- |
 * | delivered, with at least half of it in use | one more for each, up to `threshold`; above, one more per round  |
 * | any other answer                           | as before: an entity fails, the receiver does not                |
 * | 429, 502, 503, 504, a time-out             | half of it, once per round; at 1: a pause                        |
 * | no answer, nor any since it was sent       | 1, after a pause                                                 |
 * | no connection, but others are answered     | as before                                                        |
 *
 * A round is what was sent between two falls: the whole of it is one piece of news. Pauses are 1 s, twice as long
 * each time, at most a minute, and any answer ends them: a receiver that is away is asked by one request at a time,
 * and when it comes back it gets no more than it proves to take.
 */
export type Pace = {
  /** At least 1; a fraction is on its way to the next whole one. */
  readonly limit: number
  /** Up to here it grows by one with every delivery: nothing is known against it yet. */
  readonly threshold: number
  readonly fellAtMs: number
  readonly answeredAtMs: number
  /** Pauses in a row. */
  readonly pauses: number
  readonly pausedUntilMs: number
}

const firstLimit = 10
const firstPauseMs = 1_000
const longestPauseMs = 60_000
/** Bridges the time until what `Retry-After` asks for stands in the database, where every process sees it. */
const longestBridgeMs = 2_000

/**
 * The pace of a webhook of which nothing is known, or only that it was failing: then it is asked by one request, as after a pause.
 * `most` is the greatest limit it may ever have, at least 1.
 */
export function firstPace(most: number, isFailing = false): Pace {
  return {
    limit: isFailing ? 1 : Math.min(firstLimit, most),
    threshold: most,
    fellAtMs: Number.NEGATIVE_INFINITY,
    answeredAtMs: Number.NEGATIVE_INFINITY,
    pauses: isFailing ? 1 : 0,
    pausedUntilMs: Number.NEGATIVE_INFINITY,
  }
}

/** A pace as it is shown: how many requests may be in flight at once, and for how long none may. */
export type ShownPace = { readonly limit: number; readonly pausedForMs: number }

export function shownPace({ limit, pausedUntilMs }: Pace, nowMs: number): ShownPace {
  return { limit: Math.floor(limit), pausedForMs: Math.max(0, pausedUntilMs - nowMs) }
}

/** Whether less may be in flight than for a webhook of which nothing is known: its receiver was in trouble. */
export const isSlowed = ({ limit, pausedForMs }: ShownPace, most: number) =>
  pausedForMs > 0 || limit < Math.min(firstLimit, most)

/** What an attempt says of the receiver as a whole. */
export type Answer = 'delivered' | 'failed' | 'pressed' | 'late' | 'silent' | 'cut off'

/** Judges what came of an attempt: `status` where an answer came, `errorClass` where it was not accepted. */
export function judgeAnswer(attempt: {
  readonly outcome: Outcome
  readonly status: number | null
  readonly errorClass: ErrorClass | null
}): Answer {
  if (attempt.outcome === 'delivered') return 'delivered'
  if (attempt.outcome === 'cancelled') return 'cut off'
  if (attempt.outcome === 'refused') return isPressed(attempt.status) ? 'pressed' : 'failed'
  return attempt.errorClass === 'timeout' ? 'late' : 'silent'
}

/** What says that the receiver, and not the request, is in trouble. */
export const pressedStatuses = [429, 502, 503, 504]

/** Whether a status says that the receiver, not the request, is in trouble. */
export function isPressed(status: number | null): boolean {
  return status !== null && pressedStatuses.includes(status)
}

/**
 * The pace after an attempt that began at `startedAtMs` and ended at `nowMs`, on one clock that never goes back.
 * `inFlight` counts the webhook's requests, this one included; `retryAfterMs` is the receiver's wish, or null.
 */
export function afterAnswer(
  pace: Pace,
  input: {
    answer: Answer
    startedAtMs: number
    nowMs: number
    inFlight: number
    retryAfterMs: number | null
    most: number
  },
): Pace {
  const { answer, startedAtMs, nowMs } = input
  switch (answer) {
    case 'cut off':
      return pace
    case 'delivered': {
      const isUsed = input.inFlight * 2 >= Math.floor(pace.limit)
      return { ...answered(pace, nowMs), limit: isUsed ? grown(pace, input.most) : pace.limit }
    }
    case 'failed':
      return answered(pace, nowMs)
    case 'pressed': {
      const fallen = startedAtMs <= pace.fellAtMs ? pace : halved(pace, nowMs)
      const bridgeMs = Math.min(input.retryAfterMs ?? 0, longestBridgeMs)
      return { ...fallen, pausedUntilMs: Math.max(fallen.pausedUntilMs, nowMs + bridgeMs) }
    }
    case 'late':
    case 'silent': {
      const isOldNews = startedAtMs <= pace.fellAtMs
      // Even as part of a round that has already cost a half: that none of it was answered is news.
      if (startedAtMs > pace.answeredAtMs && (pace.limit > 1 || !isOldNews))
        return paused({ ...pace, limit: 1, threshold: firstLimit, fellAtMs: nowMs }, nowMs)
      return answer === 'late' && !isOldNews ? halved(pace, nowMs) : pace
    }
    default:
      return answer satisfies never
  }
}

/** How many more requests may be sent at `nowMs`, with `inFlight` under way. */
export function paceRoom(pace: Pace, inFlight: number, nowMs: number): number {
  return nowMs < pace.pausedUntilMs ? 0 : Math.max(0, Math.floor(pace.limit) - inFlight)
}

function answered(pace: Pace, nowMs: number): Pace {
  return {
    ...pace,
    answeredAtMs: nowMs,
    pauses: 0,
    pausedUntilMs: pace.pauses > 0 ? nowMs : pace.pausedUntilMs,
  }
}

function grown(pace: Pace, most: number): number {
  return Math.min(most, pace.limit + (pace.limit < pace.threshold ? 1 : 1 / pace.limit))
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
