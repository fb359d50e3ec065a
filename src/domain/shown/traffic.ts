import { firstIdAt, type TimeId } from '../value/time-id.ts'

/** Requests over time, in buckets of `bucketMs` from `fromMs`; not tests, nor requests that a shutdown cut off. */
export type Traffic = {
  readonly fromMs: number
  readonly bucketMs: number
  readonly buckets: readonly { readonly delivered: number; readonly failed: number }[]
  /** The share of the time that was sampled: 1 for exact figures, otherwise they are estimated. */
  readonly share: number
}

/** A receiver's requests, and the times of its responses if any. */
export type Performance = {
  readonly delivered: number
  readonly failed: number
  readonly p50Ms: number | null
  readonly p95Ms: number | null
}

/** A receiver's performance, as a whole and by bucket. */
export type Performances = Performance &
  Pick<Traffic, 'fromMs' | 'bucketMs' | 'share'> & { readonly buckets: readonly Performance[] }

/** The share of delivered requests, from 0 to 1; null: no requests. */
export function successRate({ delivered, failed }: Pick<Performance, 'delivered' | 'failed'>): number | null {
  return delivered + failed === 0 ? null : delivered / (delivered + failed)
}

export type Span = { readonly fromMs: number; readonly bucketMs: number; readonly count: number }

const minuteMs = 60_000

/** The span that ends with the last whole minute before `nowMs`. */
export function spanUntil(nowMs: number, bucketMs: number, count: number): Span {
  return { fromMs: Math.floor(nowMs / minuteMs) * minuteMs - count * bucketMs, bucketMs, count }
}

/** The span that ends with the current minute. */
export function spanWithNow(nowMs: number, bucketMs: number, count: number): Span {
  return spanUntil(nowMs + minuteMs, bucketMs, count)
}

export function finer({ fromMs, bucketMs, count }: Span, times: number): Span {
  return { fromMs, bucketMs: bucketMs / times, count: count * times }
}

/** The fractional part of the golden ratio: the fractional parts of its multiples spread evenly. */
const spread = 0.618_033_988_749_895

/**
 * The id range to sample in each bucket: a piece of `pieceMs`. Its offset differs between buckets, so that events at every
 * full minute are neither always nor never sampled, and is always the same for one bucket.
 */
export function lookedAt({ fromMs, bucketMs, count }: Span, pieceMs: number): { from: TimeId; to: TimeId }[] {
  return Array.from({ length: count }, (_, i) => {
    const startMs = fromMs + i * bucketMs
    const offsetMs = Math.floor((((startMs / bucketMs) * spread) % 1) * (bucketMs - pieceMs + 1))
    return { from: firstIdAt(startMs + offsetMs), to: firstIdAt(startMs + offsetMs + pieceMs) }
  })
}

/** The piece of each bucket to sample for about `wanted` requests, if `inMs` had `seen`. */
export function pieceFor({ bucketMs, count }: Span, wanted: number, seen: number, inMs: number): number {
  const ms = Math.round((wanted * inMs) / Math.max(1, seen) / count)
  return Math.max(1, Math.min(Math.floor(bucketMs / 2), ms))
}
