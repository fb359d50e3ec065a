import type pg from 'pg'
import { bytesFree } from '../../domain/delivery/portion.ts'
import { maxBatchBytes, pack } from '../../domain/delivery/shipment.ts'
import { type Entity, entityKey } from '../../domain/event/entity.ts'
import { type TimeId, timeOf } from '../../domain/value/time-id.ts'
import type { Batching, Mode } from '../../domain/webhook/webhook.ts'
import { newTimeIds } from '../database/new-ids.ts'
import { ofEntity, ofEvent, oldestOfS, rowOfS, rowsOfS } from '../database/row-keys.ts'
import { rows, statement } from '../database/statement.ts'
import { keepLatestOf } from './latest.ts'
import { lockRows } from './lock-rows.ts'
import { waitingForStream, waitsForStream } from './pulled.ts'
import { type Delivery, deliveryColumns, fromRow, itsEvent, type Shipment } from './shipment.ts'

export type BatchInput = {
  readonly holderId: number
  readonly webhookId: number
  /** The holder's shares. */
  readonly shares: readonly number[]
  readonly batch: Batching
  readonly mode: Mode
  /** Of the webhook's stream: see `latestOf`. */
  readonly readUpTo: (share: number) => TimeId
  readonly limit: number
  /** How many bytes of bodies fit into memory; absent: all that a webhook may have. */
  readonly maxBytes?: number
}

/** The limit of bodies read by one claim. */
export const maxEvents = 2_000
const clocksDifferMs = 5_000

/** CTEs ending with `due`: entities whose oldest row may join a new batch, the longest due first. */
export const dueEntities = (p: { webhookId: string; shares: string; max: string }) => `
${waitingForStream(p.webhookId)}, due as materialized (
select entity_type, entity_id, min(due_at) as due_at
from (
  select d.*
  from unnest(${p.shares}) as s (share)
  cross join lateral (
    select entity_type, entity_id, due_at from walhook.deliveries d
    where webhook_id = ${p.webhookId} and share = s.share and due_at <= (select clock_timestamp()) and due_at < 'infinity' and taken_by is null
      and not ${waitsForStream('d')}
    order by due_at limit ${p.max}
  ) d
) due
group by entity_type, entity_id
order by min(due_at) limit ${p.max}
)`

/** The oldest rows of each due entity, up to `perEntity`, `max` in all, limited to `maxBytes` of bodies. */
const oldestRows = statement(
  'oldest_rows_of_entities',
  {
    webhookId: 'int',
    shares: 'smallint[]',
    maxEntities: 'int',
    perEntity: 'int',
    max: 'int',
    maxBytes: 'bigint',
  },
  p => `
with ${dueEntities({ ...p, max: p.maxEntities })}, ranked as materialized (
  select row_number() over () as rank, entity_type, entity_id from due
)
select * from (
  select ${deliveryColumns}, ranked.rank,
         d.taken_by is null and d.batch_id is null and (d.due_at = 'infinity' or d.due_at <= clock_timestamp())
           and not ${waitsForStream('d')} as is_fresh,
         sum(octet_length(e.body)) over (order by ranked.rank, d.event_id) - octet_length(e.body) as bytes_before
  from ranked cross join lateral (
    select * from walhook.deliveries
    where webhook_id = ${p.webhookId} and entity_type = ranked.entity_type and entity_id = ranked.entity_id
    order by event_id limit ${p.perEntity}
  ) d
  ${itsEvent}
  order by ranked.rank, d.event_id
  limit ${p.max}
) oldest
where bytes_before < ${p.maxBytes}
order by rank, event_id`,
)

/**
 * Due rows with an older row that is not due become blocked. The older one is locked: its end waits for this, and then
 * unblocks them. A row that is ending does not count.
 */
const block = statement(
  'block_rows',
  { webhookId: 'int', entities: rows<Entity>(ofEntity) },
  p => `
with blocked as materialized (
  select d.ctid
  from ${p.entities('s')}
  cross join ${oldestOfS('event_id', p.webhookId, 'for key share skip locked')} oldest
  cross join ${rowsOfS('ctid', p.webhookId, `event_id > oldest.event_id and taken_by is null and due_at < 'infinity'`)} d
)
update walhook.deliveries d set due_at = 'infinity' from blocked where d.ctid = blocked.ctid`,
)

type Batch = { readonly id: TimeId; readonly share: number }

const insertBatches = statement(
  'insert_batches',
  { webhookId: 'int', holderId: 'int', batches: rows<Batch>({ id: 'bigint', share: 'smallint' }) },
  p => `
insert into walhook.batches (webhook_id, id, share, due_at, taken_by)
select ${p.webhookId}, id, share, now(), ${p.holderId} from ${p.batches('b')}`,
)

type Member = Delivery & { readonly batchId: TimeId }

const joinBatches = statement(
  'join_batches',
  { webhookId: 'int', members: rows<Member>({ ...ofEvent, batchId: 'bigint', asNew: 'boolean' }) },
  p => `
with member as materialized (
  select d.ctid, s.batch_id, s.as_new
  from ${p.members('s')}
  cross join ${rowOfS('ctid', p.webhookId)} d
)
update walhook.deliveries d set batch_id = member.batch_id, as_new = member.as_new, due_at = 'infinity'
from member where d.ctid = member.ctid
returning d.event_id`,
)

export type Made = {
  readonly shipments: Shipment[]
  readonly isMoreDue: boolean
  readonly waitMs: number | null
  /** The number of examined rows. */
  readonly looked: number
}

/** Forms up to `max` batches of due rows. */
export async function formBatches(
  client: pg.ClientBase,
  { webhookId, shares, batch, holderId, mode, readUpTo, maxBytes = bytesFree(0, true) }: BatchInput,
  { max, nowMs }: { max: number; nowMs: () => number },
): Promise<Made> {
  if (max <= 0) return { shipments: [], isMoreDue: true, waitMs: null, looked: 0 }
  const maxRows = max * batch.maxEvents
  const { rows: found } = await oldestRows(client, {
    webhookId,
    shares,
    maxEntities: maxRows,
    perEntity: batch.maxEvents,
    max: maxRows,
    maxBytes: BigInt(maxBytes),
  })
  const ofEntities = [...Map.groupBy(found, row => row.rank as bigint).values()]
  const blocked = ofEntities.filter(([first]) => !first.is_fresh)
  if (blocked.length > 0) await block(client, { webhookId, entities: blocked.map(([row]) => fromRow(row)) })
  const fresh = ofEntities.flatMap(freshPart)
  const { send } =
    mode === 'latest'
      ? await keepLatestOf(client, { webhookId, deliveries: fresh, readUpTo })
      : { send: fresh }
  const sized = send.map(delivery => ({ ...delivery, bytes: Buffer.byteLength(delivery.body) }))
  // The oldest first: it must not be left for the last batch, which may wait.
  const runs = [...Map.groupBy(sized, entityKey).values()].toSorted(([a], [b]) =>
    a!.eventId < b!.eventId ? -1 : 1,
  )
  const packed = pack(runs, { maxEvents: batch.maxEvents, maxBytes: maxBatchBytes })
  const ready = packed.filter(each => each.isFull || isReady(each.deliveries, batch, nowMs()))
  const chosen = ready.slice(0, max)
  const waiting = packed.filter(each => !ready.includes(each)).flatMap(({ deliveries }) => deliveries)
  return {
    shipments: await insertNew(
      client,
      { webhookId, holderId },
      chosen.map(each => each.deliveries),
    ),
    isMoreDue: chosen.length < ready.length || found.length === maxRows,
    looked: found.length,
    waitMs: waiting.length === 0 ? null : remainingMs(waiting, batch, nowMs()),
  }
}

/** The part of an entity that can join a new batch: the rows before the first that is batched or in flight. */
// biome-ignore lint/suspicious/noExplicitAny: rows as node-postgres gives them
function freshPart(ofEntity: readonly any[]): Delivery[] {
  const end = ofEntity.findIndex(row => !row.is_fresh)
  return (end < 0 ? ofEntity : ofEntity.slice(0, end)).map(fromRow)
}

async function insertNew(
  client: pg.ClientBase,
  { webhookId, holderId }: { webhookId: number; holderId: number },
  chosen: readonly (readonly Delivery[])[],
): Promise<Shipment[]> {
  if (chosen.length === 0) return []
  await lockRows(client, { webhookId, keys: chosen.flat() })
  const ids = await newTimeIds(client, chosen.length)
  const joined = await joinBatches(client, {
    webhookId,
    members: chosen.flatMap((deliveries, i) => deliveries.map(each => ({ ...each, batchId: ids[i]! }))),
  })
  // Rows cancelled since they were read are in no batch.
  const there = new Set(joined.rows.map(row => row.event_id as TimeId))
  const made = chosen.flatMap((all, i) => {
    const [first, ...rest] = all.filter(({ eventId }) => there.has(eventId))
    return first
      ? [{ webhookId, batchId: ids[i]!, isAside: true, deliveries: [first, ...rest] as const }]
      : []
  })
  if (made.length === 0) return []
  await insertBatches(client, {
    webhookId,
    holderId,
    // A batch belongs to the share of its first event.
    batches: made.map(({ batchId, deliveries }) => ({ id: batchId, share: deliveries[0].share })),
  })
  return made
}

/** The remaining wait of the oldest of these events, in ms: its id contains its time. */
export function remainingMs(
  deliveries: readonly { eventId: TimeId }[],
  { maxWaitMs }: Batching,
  nowMs: number,
): number {
  const oldestMs = Math.min(...deliveries.map(({ eventId }) => timeOf(eventId)))
  // An id in the future came from a clock that was ahead: the true wait is unknown.
  if (oldestMs > nowMs + clocksDifferMs) return 0
  return Math.max(0, oldestMs + maxWaitMs - nowMs)
}

function isReady(deliveries: readonly Delivery[], batch: Batching, nowMs: number): boolean {
  return deliveries.some(({ isManual }) => isManual) || remainingMs(deliveries, batch, nowMs) === 0
}
