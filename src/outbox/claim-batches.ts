import { laneKey, maxBatchBytes, pack } from '../domain/shipment.ts'
import { type TimeId, timeOf } from '../domain/time-id.ts'
import type { Batching } from '../domain/webhook.ts'
import type { Outbox } from './database.ts'
import { byDue, type ClaimInput, giveBack, type Lane, leaseDueLanes } from './lanes.ts'
import { deliveryColumns, leaseBatch } from './lease-batch.ts'
import { type Claimed, type ClaimedDelivery, itsEvent, type Shipment, toClaimed } from './shipment.ts'
import { supersedeIn } from './supersede.ts'

type Input = ClaimInput & { readonly batch: Batching }
type Head = ClaimedDelivery & { readonly batchId: TimeId | null; readonly bytes: number }

/** Of how many events one claim reads the bodies, and about how many bytes of them. */
const mostEvents = 2_000
const mostBytes = 16 * maxBatchBytes
const clocksDifferMs = 5_000
/**
 * How many events are due, up to $2, the oldest of them, and whether there is one that waits for no company: what was
 * in a batch before, or was asked for by hand. Locks nothing.
 */
const whatIsDueStatement = `
with due as (
  select entity_type, entity_id from walhook.lanes
  where webhook_id = $1 and due_at <= now() and due_at >= $3 and ${byDue} and leased_until <= now()
  order by due_at limit $2
)
select count(*)::int as events, min(event_id) as oldest, coalesce(bool_or(is_ready), false) as is_ready,
       (extract(epoch from clock_timestamp()) * 1000)::float8 as now_ms
from (
  select d.event_id, d.is_ready
  from due l cross join lateral (
    select event_id, batch_id is not null or is_manual as is_ready from walhook.deliveries
    where webhook_id = $1 and entity_type = l.entity_type and entity_id = l.entity_id
    order by event_id limit $2
  ) d
  limit $2
) heads`

/**
 * Of each leased lane its oldest deliveries, up to $5, lane by lane, $6 in all, and no more when their bodies take $7
 * bytes; as `oldestDeliveriesStatement`.
 */
const headsStatement = `
select * from (
  select ${deliveryColumns}, l.place,
         sum(octet_length(e.body)) over (order by l.place, d.event_id) - octet_length(e.body) as bytes_before
  from unnest($2::text[], $3::text[]) with ordinality as l (entity_type, entity_id, place)
  cross join lateral (
    select * from walhook.deliveries
    where webhook_id = $1 and entity_type = l.entity_type and entity_id = l.entity_id
      and asked_during is distinct from $4
    order by event_id limit $5
  ) d
  ${itsEvent}
  order by l.place, d.event_id
  limit $6
) heads
where bytes_before < $7
order by place, event_id`

/**
 * Gives the deliveries of each new batch its id, before anything is sent: after a crash it is the same batch again. Only
 * in lanes that are still held, each looked up by itself, and only what nobody else has put into a batch meanwhile.
 */
const formBatchesStatement = `
with ids as materialized (
  select n, walhook.new_time_id() as id from generate_series(0, $6 - 1) n
), held as materialized (
  select d.ctid, s.batch, s.event_id, (select id from ids where n = s.batch) as id
  from unnest($2::text[], $3::text[], $4::bigint[], $5::int[]) as s (entity_type, entity_id, event_id, batch)
  cross join lateral (
    select webhook_id from walhook.lanes
    where webhook_id = $1 and entity_type = s.entity_type and entity_id = s.entity_id and lease_id = $7 limit 1
  ) l
  cross join lateral (
    select ctid from walhook.deliveries
    where webhook_id = $1 and entity_type = s.entity_type and entity_id = s.entity_id and event_id = s.event_id
      and batch_id is null limit 1
  ) d
)
update walhook.deliveries d set batch_id = s.id from held s where d.ctid = s.ctid
returning s.batch, d.batch_id, s.event_id`

/**
 * Claims for a webhook that wants batches. What was in a batch before goes as that batch again, whole. Everything else is
 * packed into new ones, lane by lane; the last of them goes when it is full, or when one of its events has waited for
 * company as long as it may. Until then nothing is leased, and `lookAgainInMs` tells how long that is.
 */
export async function claimBatches(outbox: Outbox, input: Input): Promise<Claimed> {
  const { webhookId, lease } = input
  const { maxEvents } = input.batch
  const { waitMs, nowMs } = await companyWait(outbox, input)
  if (waitMs !== 0) return { shipments: [], lookAgainInMs: waitMs }

  const most = Math.max(1, Math.min(input.limit, Math.floor(mostEvents / maxEvents)))
  const leased = await leaseDueLanes(outbox, { ...input, limit: most * maxEvents })
  let lanes: readonly Lane[] = leased
  let isMoreDue = leased.length === most * maxEvents
  if (input.mode === 'latest') {
    const superseded = await supersedeIn(outbox, input, leased)
    lanes = superseded.lanes
    isMoreDue ||= superseded.isMoreDue
  }
  const heads = await readHeads(outbox, input, lanes, most * maxEvents)
  if (heads.length === most * maxEvents) isMoreDue = true
  const byLane = Map.groupBy(heads, laneKey)
  if (byLane.size < lanes.length) isMoreDue = true
  const known = [...byLane.values()]

  // The oldest first: what has waited longest is not left for the last batch, which may not be full.
  const fresh = known
    .filter(([head]) => head!.batchId === null)
    .map(freshPart)
    .toSorted(([a], [b]) => (a!.eventId < b!.eventId ? -1 : 1))
  const isFresh = new Set(fresh.map(([head]) => laneKey(head!)))
  const formed: Shipment[] = []
  const taken = new Set<string>()
  for (const batchId of new Set(known.flatMap(([head]) => head!.batchId ?? []))) {
    if (formed.length === most) {
      isMoreDue = true
      break
    }
    const { deliveries, isWhole } = await leaseBatch(outbox, input, { batchId, isFresh })
    if (isWhole && isSeveral(deliveries)) formed.push({ webhookId, batchId, deliveries })
    // One that was put off has given back its lanes.
    for (const key of deliveries.map(laneKey)) if (isWhole || !isFresh.has(key)) taken.add(key)
  }

  const packed = pack(fresh, { maxEvents, maxBytes: maxBatchBytes })
  const ready = packed.filter(each => each.isFull || isReady(each.deliveries, input.batch, nowMs()))
  const chosen = ready.slice(0, most - formed.length)
  const made = await formBatches(
    outbox,
    input,
    chosen.map(({ deliveries }) => deliveries),
  )
  for (const { deliveries } of made) for (const each of deliveries) taken.add(laneKey(each))

  const left = lanes.filter(lane => !taken.has(laneKey(lane)))
  await giveBack(
    outbox,
    left.map(lane => ({ ...lane, webhookId, lease, dueInMs: 0 })),
  )
  const shipments = [...formed, ...made]
  if (isMoreDue || chosen.length < ready.length) return { shipments, lookAgainInMs: 0 }
  const waiting = packed.filter(each => !ready.includes(each)).flatMap(({ deliveries }) => deliveries)
  return {
    shipments,
    lookAgainInMs: waiting.length === 0 ? null : remainingMs(waiting, input.batch, nowMs()),
  }
}

/** How long, in ms, what is due still waits for company; 0: something goes now; null: nothing is due. And the database's clock. */
async function companyWait(
  outbox: Outbox,
  { webhookId, batch, dueFrom }: Input,
): Promise<{ waitMs: number | null; nowMs: () => number }> {
  const { rows } = await outbox.pool.query({
    name: 'what_is_due',
    text: whatIsDueStatement,
    values: [webhookId, batch.maxEvents, dueFrom ?? '-infinity'],
  })
  const { events, oldest, is_ready, now_ms } = rows[0]
  const answeredAtMs = performance.now()
  const nowMs = () => now_ms + performance.now() - answeredAtMs
  if (events === 0) return { waitMs: null, nowMs }
  if (is_ready || events >= batch.maxEvents) return { waitMs: 0, nowMs }
  return { waitMs: remainingMs([{ eventId: oldest }], batch, nowMs()), nowMs }
}

/** For how long, in ms, the oldest of these events may still wait: its id tells when it was appended. */
function remainingMs(
  deliveries: readonly { eventId: TimeId }[],
  { maxWaitMs }: Batching,
  nowMs: number,
): number {
  const oldestMs = Math.min(...deliveries.map(({ eventId }) => timeOf(eventId)))
  // An id that says a later time was made by a clock that was ahead: how long its event has waited is not known.
  if (oldestMs > nowMs + clocksDifferMs) return 0
  return Math.max(0, oldestMs + maxWaitMs - nowMs)
}

function isReady(deliveries: readonly Head[], batch: Batching, nowMs: number): boolean {
  return deliveries.some(({ isManual }) => isManual) || remainingMs(deliveries, batch, nowMs) === 0
}

/** What of a lane can go into a new batch: up to what was in one before, which goes by itself. */
function freshPart(lane: readonly Head[]): readonly Head[] {
  const end = lane.findIndex(({ batchId }) => batchId !== null)
  return end < 0 ? lane : lane.slice(0, end)
}

async function readHeads(
  outbox: Outbox,
  input: Input,
  lanes: readonly Lane[],
  most: number,
): Promise<Head[]> {
  if (lanes.length === 0) return []
  const { rows } = await outbox.pool.query({
    name: 'heads',
    text: headsStatement,
    values: [
      input.webhookId,
      lanes.map(lane => lane.entityType),
      lanes.map(lane => lane.entityId),
      input.lease,
      input.batch.maxEvents,
      most,
      mostBytes,
    ],
  })
  return rows.map(row => {
    const claimed = toClaimed(row, input)
    return { ...claimed, batchId: row.batch_id, bytes: Buffer.byteLength(claimed.body) }
  })
}

/** Forms batches of what is still ours: whoever was too slow forms less of it, or nothing. */
async function formBatches(
  outbox: Outbox,
  { webhookId, lease }: Input,
  batches: readonly (readonly Head[])[],
): Promise<Shipment[]> {
  if (batches.length === 0) return []
  const placed = batches.flatMap((deliveries, batch) => deliveries.map(delivery => ({ delivery, batch })))
  const { rows } = await outbox.pool.query({
    name: 'form_batches',
    text: formBatchesStatement,
    values: [
      webhookId,
      placed.map(({ delivery }) => delivery.entityType),
      placed.map(({ delivery }) => delivery.entityId),
      placed.map(({ delivery }) => delivery.eventId),
      placed.map(({ batch }) => batch),
      batches.length,
      lease,
    ],
  })
  const batchIdOf = new Map<TimeId, TimeId>(rows.map(row => [row.event_id, row.batch_id]))
  return batches.flatMap(batch => {
    const deliveries = batch.filter(({ eventId }) => batchIdOf.has(eventId))
    return isSeveral(deliveries)
      ? [{ webhookId, batchId: batchIdOf.get(deliveries[0].eventId)!, deliveries }]
      : []
  })
}

function isSeveral<T>(items: readonly T[]): items is readonly [T, ...T[]] {
  return items.length > 0
}
