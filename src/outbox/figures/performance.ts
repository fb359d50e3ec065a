import type { Performance, Performances, Span } from '../../domain/shown/traffic.ts'
import { type Outbox, transaction } from '../database/database.ts'
import { maxSeen, type Piece, sampleOf } from './sample.ts'

/** A sample has about 2,000 pieces, one per bucket of this length, each an index descent. */
const stretchesMs = [1, 5, 15, 60].map(minutes => minutes * 60_000)
const maxPieces = 2_100

/**
 * A receiver's performance in pieces of time: per bucket, and in total (`bucket` null). Walks the primary key of attempts
 * piece by piece, limited in rows. Sorting is disabled, as for the webhook list.
 */
const performanceStatement = `
select bucket, count(*)::int as requests, (count(*) filter (where outcome <> 'delivered'))::int as failed,
       percentile_cont(array[0.5, 0.95]) within group (order by duration_ms) filter (where status is not null) as answered_in
from (
  select piece.bucket, sent.outcome, sent.status, sent.duration_ms
  from unnest($2::bigint[], $3::bigint[], $4::int[]) as piece (from_id, to_id, bucket)
  cross join lateral (
    select outcome, status, duration_ms from walhook.attempts
    where webhook_id = $1 and id >= piece.from_id and id < piece.to_id
      and trigger <> 'test' and outcome <> 'cancelled'
    order by id desc limit $5
  ) sent
  limit $5
) seen
group by grouping sets ((bucket), ())`

type Row = {
  readonly requests: number
  readonly failed: number
  readonly answered_in: [number, number] | null
}

async function read(
  outbox: Outbox,
  webhookId: number,
  pieces: readonly Piece[],
): Promise<{ seen: number; rows: ReadonlyMap<number | null, Row> }> {
  const { rows } = await transaction(outbox.pool, async client => {
    await client.query('set local enable_sort = off')
    return await client.query(performanceStatement, [
      webhookId,
      pieces.map(({ from }) => from),
      pieces.map(({ to }) => to),
      pieces.map(({ bucket }) => bucket),
      maxSeen,
    ])
  })
  const byBucket = new Map<number | null, Row>(rows.map(row => [row.bucket, row]))
  return { seen: byBucket.get(null)?.requests ?? 0, rows: byBucket }
}

/**
 * A receiver's performance in a span: exact up to 20,000 requests, otherwise sampled from many short pieces, so that bursts
 * are neither missed nor overrated.
 */
export async function readPerformance(outbox: Outbox, webhookId: number, span: Span): Promise<Performances> {
  const times = span.bucketMs / stretchesMs.find(ms => (span.bucketMs / ms) * span.count <= maxPieces)!
  const { rows, share } = await sampleOf(span, pieces => read(outbox, webhookId, pieces), {
    times,
    probeEvery: 4,
  })
  return performancesOf(span, rows, share)
}

function performancesOf(span: Span, rows: ReadonlyMap<number | null, Row>, share: number): Performances {
  const one = (row: Row | undefined): Performance => ({
    delivered: row ? Math.round((row.requests - row.failed) / share) : 0,
    failed: row ? Math.round(row.failed / share) : 0,
    p50Ms: row?.answered_in?.[0] ?? null,
    p95Ms: row?.answered_in?.[1] ?? null,
  })
  return {
    ...one(rows.get(null)),
    ...{ fromMs: span.fromMs, bucketMs: span.bucketMs, share },
    buckets: Array.from({ length: span.count }, (_, i) => one(rows.get(i))),
  }
}
