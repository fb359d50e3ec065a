import { firstIdAt, type TimeId } from '../value/time-id.ts'

/** Requests to receivers in time, from `fromMs` on, in stretches of `bucketMs` each; tests and what our own shutdown cut off are not counted. */
export type Traffic = {
  readonly fromMs: number
  readonly bucketMs: number
  readonly buckets: readonly { readonly delivered: number; readonly failed: number }[]
  /** Of the time, how much was looked at: 1 where the figures are exact, else they are reckoned up from it. */
  readonly share: number
}

/** How a receiver did in a time: requests, and how long its answers took, where any came. */
export type Performance = {
  readonly delivered: number
  readonly failed: number
  readonly p50Ms: number | null
  readonly p95Ms: number | null
}

/** How one receiver did in a time, whole and in stretches. */
export type Performances = Performance &
  Pick<Traffic, 'fromMs' | 'bucketMs' | 'share'> & { readonly buckets: readonly Performance[] }

/** The share of requests that were delivered, from 0 to 1; null where there were none. */
export function successRate({ delivered, failed }: Pick<Performance, 'delivered' | 'failed'>): number | null {
  return delivered + failed === 0 ? null : delivered / (delivered + failed)
}

/** A time that is told in stretches. */
export type Span = { readonly fromMs: number; readonly bucketMs: number; readonly count: number }

const minuteMs = 60_000

/** The span that ends with the last whole minute before `nowMs`. */
export function spanUntil(nowMs: number, bucketMs: number, count: number): Span {
  return { fromMs: Math.floor(nowMs / minuteMs) * minuteMs - count * bucketMs, bucketMs, count }
}

/** The span that ends with the minute that is running. */
export function spanWithNow(nowMs: number, bucketMs: number, count: number): Span {
  return spanUntil(nowMs + minuteMs, bucketMs, count)
}

/** The same time in stretches that are so many times shorter. */
export function finer({ fromMs, bucketMs, count }: Span, times: number): Span {
  return { fromMs, bucketMs: bucketMs / times, count: count * times }
}

/** The golden ratio's part after the point: its multiples, without what is before the point, spread evenly. */
const spread = 0.618_033_988_749_895

/**
 * The ids of each stretch's part that is looked at: a piece of `pieceMs`. Where it lies differs from stretch to stretch,
 * so that what happens at every full minute is neither always met nor never, and is the same whenever it is asked for.
 */
export function lookedAt({ fromMs, bucketMs, count }: Span, pieceMs: number): { from: TimeId; to: TimeId }[] {
  return Array.from({ length: count }, (_, i) => {
    const startMs = fromMs + i * bucketMs
    const offsetMs = Math.floor((((startMs / bucketMs) * spread) % 1) * (bucketMs - pieceMs + 1))
    return { from: firstIdAt(startMs + offsetMs), to: firstIdAt(startMs + offsetMs + pieceMs) }
  })
}

/** How long a piece of each stretch must be for about `wanted` requests, where `seen` of them were in `inMs`. */
export function pieceFor({ bucketMs, count }: Span, wanted: number, seen: number, inMs: number): number {
  const ms = Math.round((wanted * inMs) / Math.max(1, seen) / count)
  return Math.max(1, Math.min(Math.floor(bucketMs / 2), ms))
}
