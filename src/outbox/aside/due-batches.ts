import type pg from 'pg'
import { bytesFree } from '../../domain/delivery/portion.ts'
import type { TimeId } from '../../domain/value/time-id.ts'
import { moment, now, rows, statement } from '../database/statement.ts'
import { bytesOf } from '../log/log.ts'
import { endEmptyBatches } from './dissolve-batches.ts'
import { type Delivery, deliveryColumns, fromRow, itsEvent, type Shipment } from './shipment.ts'

/**
 * The due batches of a webhook in some shares, the longest due first, as many as fit, with their members (nulls if empty); `is_more`:
 * others do not fit. `is_behind`: an older event of a member's entity is outside; `older_in_ms`: when that is due.
 */
const dueBatches = statement(
  'due_batches',
  { webhookId: 'int', shares: 'smallint[]', max: 'int', maxBytes: 'bigint' },
  p => `
with found as materialized (
  select b.*
  from unnest(${p.shares}) as s (share)
  cross join lateral (
    select id, due_at from walhook.batches
    where share = s.share and webhook_id = ${p.webhookId} and taken_by is null and due_at <= now()
    order by due_at limit ${p.max}
  ) b
  order by b.due_at limit ${p.max}
), sized as materialized (
  select found.*, coalesce((
    select sum(e.bytes)
    from walhook.deliveries d
    cross join lateral (select ${bytesOf} as bytes from walhook.events e where e.id = d.event_id limit 1) e
    where d.webhook_id = ${p.webhookId} and d.batch_id = found.id
  ), 0) as bytes
  from found
), due as materialized (
  select id, due_at from (
    select id, due_at, sum(bytes) over (order by due_at, id) - bytes as bytes_before from sized
  ) each
  where bytes_before < ${p.maxBytes}
)
select due.id as due_batch, (select count(*) from found) > (select count(*) from due) as is_more, m.*
from due left join lateral (
  select ${deliveryColumns}, older.event_id is not null as is_behind, older.in_ms as older_in_ms
  from walhook.deliveries d
  ${itsEvent}
  left join lateral (
    select event_id, (extract(epoch from nullif(due_at, 'infinity') - now()) * 1000)::float8 as in_ms
    from walhook.deliveries
    where webhook_id = d.webhook_id and entity_type = d.entity_type and entity_id = d.entity_id and event_id < d.event_id
      and batch_id is distinct from d.batch_id
    order by event_id limit 1
  ) older on true
  where d.webhook_id = ${p.webhookId} and d.batch_id = due.id
  offset 0
) m on true
order by due.due_at, due.id, m.event_id`,
)

/** A batch to take, or to postpone by this long. */
type Moved = { readonly id: TimeId; readonly laterMs: number | null }

const moveBatches = statement(
  'take_or_put_off_batches',
  { webhookId: 'int', holderId: 'int', batches: rows<Moved>({ id: 'bigint', laterMs: 'float8' }) },
  p => `
with ${moment}, s as materialized (
  select id, ${now} + later_ms * interval '1 ms' as later_at from ${p.batches('s')}
)
update walhook.batches b
set taken_by = case when s.later_at is null then ${p.holderId} end, due_at = coalesce(s.later_at, b.due_at)
from s where b.webhook_id = ${p.webhookId} and b.id = s.id`,
)

/** The earliest next check of a blocked batch. */
const putOffMs = 1_000

/** A due batch, and how long an older event of one of its entities blocks it, or null. */
type DueBatch = Moved & { readonly deliveries: readonly Delivery[] }

/**
 * Takes up to `limit` due batches of a webhook, unchanged. A batch blocked by an older event, requested by hand, is
 * postponed; an empty one is deleted. Needs the holder's lock.
 */
export async function pickDueBatches(
  client: pg.ClientBase,
  input: {
    holderId: number
    webhookId: number
    shares: readonly number[]
    limit: number
    maxBytes?: number
  },
): Promise<{ shipments: Shipment[]; isMoreDue: boolean }> {
  const { holderId, webhookId, limit } = input
  const { due, isMore } = await readDueBatches(client, input)
  const shipments = due.flatMap(({ id, deliveries: [first, ...rest], laterMs }) =>
    first && laterMs === null
      ? [{ webhookId, batchId: id, isAside: true, deliveries: [first, ...rest] as const }]
      : [],
  )
  await endEmptyBatches(
    client,
    [webhookId],
    due.map(({ id }) => id),
  )
  if (due.length > 0) await moveBatches(client, { webhookId, holderId, batches: due })
  return { shipments, isMoreDue: isMore || due.length >= limit }
}

async function readDueBatches(
  client: pg.ClientBase,
  { webhookId, shares, limit, maxBytes = bytesFree(0, true) }: Parameters<typeof pickDueBatches>[1],
): Promise<{ readonly due: DueBatch[]; readonly isMore: boolean }> {
  const found = await dueBatches(client, { webhookId, shares, max: limit, maxBytes: BigInt(maxBytes) })
  const due = [...Map.groupBy(found.rows, row => row.due_batch as TimeId)].map(([id, all]) => {
    const members = all.filter(row => row.event_id !== null)
    const behind = members.filter(row => row.is_behind)
    const laterMs = Math.max(putOffMs, ...behind.map(row => row.older_in_ms ?? 0))
    return { id, deliveries: members.map(fromRow), laterMs: behind.length > 0 ? laterMs : null }
  })
  return { due, isMore: found.rows[0]?.is_more ?? false }
}
