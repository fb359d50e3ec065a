import { finer, lookedAt, pieceFor, type Span } from '../../domain/shown/traffic.ts'
import type { TimeId } from '../../domain/value/time-id.ts'

/** The maximum of requests read per answer; a sample has about half as many. */
export const maxSeen = 20_000
/** Above that, this share of some pieces is counted first. */
const probeShare = 1 / 100

/** A range of attempt ids in a bucket of the span. */
export type Piece = { readonly from: TimeId; readonly to: TimeId; readonly bucket: number }

/** `times` pieces of `pieceMs` in each bucket. */
const piecesOf = (span: Span, times: number, pieceMs: number): Piece[] =>
  lookedAt(finer(span, times), pieceMs).map((piece, i) => ({ ...piece, bucket: Math.floor(i / times) }))

/**
 * Reads the requests of a span: all of them if they are few, otherwise those of evenly spread pieces, `times` in each bucket.
 * `probeEvery`: of so many pieces, one is counted to choose their length. `share`: the part of the span that was read.
 */
export async function sampleOf<Seen extends { readonly seen: number }>(
  span: Span,
  read: (pieces: readonly Piece[]) => Promise<Seen>,
  { times, probeEvery }: { times: number; probeEvery: number },
): Promise<Seen & { readonly share: number }> {
  const all = await read(piecesOf(span, 1, span.bucketMs))
  if (all.seen < maxSeen) return { ...all, share: 1 }
  const { bucketMs } = finer(span, times)
  const probeMs = Math.ceil(bucketMs * probeShare)
  const probed = piecesOf(span, times, probeMs).filter((_, i) => i % probeEvery === 0)
  const { seen } = await read(probed)
  let pieceMs = pieceFor(finer(span, times), maxSeen / 2, seen, probed.length * probeMs)
  for (;;) {
    const sample = await read(piecesOf(span, times, pieceMs))
    if (sample.seen < maxSeen || pieceMs === 1) return { ...sample, share: pieceMs / bucketMs }
    // More than estimated, in bursts: the cut-off part would be missing.
    pieceMs = Math.max(1, Math.floor(pieceMs / probeEvery))
  }
}
