import { firstIdAt } from '../../domain/value/time-id.ts'
import type { Outbox } from '../database/database.ts'

const windowMs = 60_000
const maxLookedAt = 5_000

/** Deliveries per second to a webhook in the last minute, by its newest attempts up to a limit; null: none. */
export async function deliveryRate(
  { pool }: Pick<Outbox, 'pool'>,
  webhookId: number,
  nowMs: number,
): Promise<number | null> {
  const { rows } = await pool.query({
    name: 'delivery_rate',
    text: `
select count(*)::int as looked_at, min(id) >> 20 as first_ms,
       coalesce(sum(coalesce(cardinality(event_ids), 1)) filter (where outcome = 'delivered' and trigger <> 'test'), 0)::float8 as events
from (
  select id, event_ids, outcome, trigger from walhook.attempts
  where webhook_id = $1 and id >= $2 order by id desc limit $3
) latest`,
    values: [webhookId, firstIdAt(Math.max(0, Math.floor(nowMs) - windowMs)), maxLookedAt],
  })
  const { looked_at, first_ms, events } = rows[0]
  if (events === 0) return null
  const overMs = looked_at < maxLookedAt ? windowMs : Math.max(1, nowMs - Number(first_ms))
  return (events * 1_000) / overMs
}
