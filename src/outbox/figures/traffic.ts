import type { Span, Traffic } from '../../domain/shown/traffic.ts'
import { type Outbox, transaction } from '../database/database.ts'
import { maxSeen, type Piece, sampleOf } from './sample.ts'

/**
 * Requests in pieces of time, of all webhooks or of a tenant's, that have sent anything since the first piece. Walks the
 * primary key of attempts piece by piece, limited in rows. Sorting is disabled, as for the webhook list.
 */
const trafficStatement = `
select bucket, count(*)::int as requests, (count(*) filter (where outcome <> 'delivered'))::int as failed
from (
  select piece.bucket, sent.outcome
  from (select id from walhook.webhooks where $6::text is null or tenant = $6) w
  cross join lateral (
    select 1 from walhook.attempts where webhook_id = w.id and id >= $1 and id < $2 order by id desc limit 1
  ) busy
  cross join unnest($3::bigint[], $4::bigint[]) with ordinality as piece (from_id, to_id, bucket)
  cross join lateral (
    select outcome from walhook.attempts
    where webhook_id = w.id and id >= piece.from_id and id < piece.to_id
      and trigger <> 'test' and outcome <> 'cancelled'
    order by id desc limit $5
  ) sent
  limit $5
) seen
group by bucket`

type Counted = {
  readonly seen: number
  readonly byBucket: ReadonlyMap<number, { requests: number; failed: number }>
}

async function count(outbox: Outbox, pieces: readonly Piece[], tenant: string | null): Promise<Counted> {
  const { rows } = await transaction(outbox.pool, async client => {
    await client.query('set local enable_sort = off')
    return await client.query(trafficStatement, [
      pieces[0]!.from,
      pieces.at(-1)!.to,
      pieces.map(({ from }) => from),
      pieces.map(({ to }) => to),
      maxSeen,
      tenant,
    ])
  })
  const byBucket = new Map(rows.map(row => [Number(row.bucket) - 1, row]))
  return { seen: rows.reduce((sum, { requests }) => sum + requests, 0), byBucket }
}

/**
 * Counts the requests of a span: exact up to 20,000, otherwise sampled from evenly spread pieces, at a constant cost per
 * sending webhook.
 */
export async function readTraffic(
  outbox: Outbox,
  span: Span,
  tenant: string | null = null,
): Promise<Traffic> {
  const counted = await sampleOf(span, pieces => count(outbox, pieces, tenant), { times: 1, probeEvery: 8 })
  return trafficOf(span, counted)
}

function trafficOf(
  { fromMs, bucketMs, count }: Span,
  { byBucket, share }: Counted & { readonly share: number },
): Traffic {
  const buckets = Array.from({ length: count }, (_, i) => {
    const { requests, failed } = byBucket.get(i) ?? { requests: 0, failed: 0 }
    return { delivered: Math.round((requests - failed) / share), failed: Math.round(failed / share) }
  })
  return { fromMs, bucketMs, buckets, share }
}
