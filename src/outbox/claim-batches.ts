import { laneKey, maxBatchBytes, pack } from '../domain/shipment.ts'
import { type TimeId, timeOf } from '../domain/time-id.ts'
import type { Batching } from '../domain/webhook.ts'
import type { Outbox } from './database.ts'
import { type ClaimInput, giveBack, type Lane, leaseDueLanes } from './lanes.ts'
import { followerLaterMs } from './settled-rows.ts'
import { type Claimed, type ClaimedDelivery, type Shipment, toClaimed } from './shipment.ts'
import { supersedeIn } from './supersede.ts'

type Input = ClaimInput & { readonly batch: Batching }
type Head = ClaimedDelivery & { readonly batchId: TimeId | null; readonly bytes: number }

/** Of how many events one claim reads the bodies. */
const mostEvents = 2_000
/** When a batch of which another process has a lane is looked at again. */
const putOffMs = 1_000

/**
 * How many events are due, up to $2, the oldest of them, and whether there is one that waits for no company: what was
 * in a batch before, or was asked for by hand. Locks nothing.
 */
const whatIsDueStatement = `
with due as (
  select entity_type, entity_id from walhook.lanes
  where webhook_id = $1 and due_at <= now() and due_at >= $3
  order by due_at limit $2
)
select count(*)::int as events, min(event_id) as oldest, coalesce(bool_or(is_ready), false) as is_ready
from (
  select d.event_id, d.is_ready
  from due l cross join lateral (
    select event_id, batch_id is not null or is_manual as is_ready from walhook.deliveries
    where webhook_id = $1 and entity_type = l.entity_type and entity_id = l.entity_id
    order by event_id limit $2
  ) d
  limit $2
) heads`

const deliveryColumns = `
d.entity_type, d.entity_id, d.event_id, d.attempts, d.is_manual, d.with_previous, d.as_new, d.batch_id, e.action_type, e.body,
case when d.with_previous then e.previous end as previous, case when d.with_previous then e.omitted end as omitted`

/** Of each leased lane its oldest deliveries, up to $5, lane by lane, $6 in all; as `oldestDeliveriesStatement`. */
const headsStatement = `
select ${deliveryColumns}
from unnest($2::text[], $3::text[]) with ordinality as l (entity_type, entity_id, place)
cross join lateral (
  select * from walhook.deliveries
  where webhook_id = $1 and entity_type = l.entity_type and entity_id = l.entity_id
    and asked_during is distinct from $4
  order by event_id limit $5
) d
join walhook.events e on e.id = d.event_id
order by l.place, d.event_id
limit $6`

/** Gives the deliveries of each new batch its id, before anything is sent: after a crash it is the same batch again. */
const formBatchesStatement = `
with ids as materialized (
  select $1::int as webhook_id, n, walhook.new_time_id() as id from generate_series(0, $6 - 1) n
)
update walhook.deliveries d
set batch_id = ids.id
from unnest($2::text[], $3::text[], $4::bigint[], $5::int[]) as s (entity_type, entity_id, event_id, batch)
join ids on ids.n = s.batch
where d.webhook_id = ids.webhook_id and d.entity_type = s.entity_type and d.entity_id = s.entity_id and d.event_id = s.event_id
returning s.batch, d.batch_id`

/** Leases all lanes of a batch that nobody else has. Locked ones are passed over: two processes never wait for each other. */
const leaseLanesOfBatchStatement = `
with members as materialized (
  select distinct webhook_id, entity_type, entity_id from walhook.deliveries where webhook_id = $1 and batch_id = $2
), free as materialized (
  select l.webhook_id, l.entity_type, l.entity_id
  from walhook.lanes l
  join members m on l.webhook_id = m.webhook_id and l.entity_type = m.entity_type and l.entity_id = m.entity_id
  where (l.lease is null or l.lease = $3 or l.due_at <= now())
  order by l.entity_type, l.entity_id
  for update of l skip locked
), taken as (
  update walhook.lanes l
  set lease = $3, due_at = now() + $4 * interval '1 ms'
  from free f
  where l.webhook_id = f.webhook_id and l.entity_type = f.entity_type and l.entity_id = f.entity_id
  returning l.entity_type
)
select (select count(*) from members)::int as members, (select count(*) from taken)::int as taken`

/** The deliveries of a batch; `is_behind`: an older one of the lane is not in it, having been asked for by hand since. */
const batchStatement = `
select ${deliveryColumns}, exists (
  select from walhook.deliveries o
  where o.webhook_id = d.webhook_id and o.entity_type = d.entity_type and o.entity_id = d.entity_id
    and o.event_id < d.event_id and o.batch_id is distinct from d.batch_id
) as is_behind
from walhook.deliveries d
join walhook.events e on e.id = d.event_id
where d.webhook_id = $1 and d.batch_id = $2
order by d.event_id`

/**
 * Claims for a webhook that wants batches. What was in a batch before goes as that batch again, whole. Everything else is
 * packed into new ones, lane by lane; the last of them goes when it is full, or when one of its events has waited for
 * company as long as it may. Until then nothing is leased, and `lookAgainInMs` tells how long that is.
 */
export async function claimBatches(outbox: Outbox, input: Input): Promise<Claimed> {
  const { webhookId, lease } = input
  const { maxEvents } = input.batch
  const waitMs = await companyWaitMs(outbox, input)
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
  const known = [...byLane.values()]

  // The oldest first: what has waited longest is not left for the last batch, which may not be full.
  const fresh = known
    .filter(([head]) => head!.batchId === null)
    .map(freshPart)
    .toSorted(([a], [b]) => (a!.eventId < b!.eventId ? -1 : 1))
  const isFresh = new Set(fresh.map(([head]) => laneKey(head!)))
  const formed: Shipment[] = []
  const held = new Set<string>()
  for (const batchId of new Set(known.flatMap(([head]) => head!.batchId ?? []))) {
    const deliveries = await leaseBatch(outbox, input, { batchId, isFresh })
    if (isSeveral(deliveries)) formed.push({ webhookId, batchId, deliveries })
    for (const each of deliveries) held.add(laneKey(each))
  }

  const packed = pack(fresh, { maxEvents, maxBytes: maxBatchBytes })
  const ready = packed.filter(each => each.isFull || isReady(each.deliveries, input.batch))
  const chosen = ready.slice(0, Math.max(0, most - formed.length))
  const made = await formBatches(
    outbox,
    input,
    chosen.map(({ deliveries }) => deliveries),
  )
  for (const { deliveries } of made) for (const each of deliveries) held.add(laneKey(each))

  // A lane of a batch that was put off has been given back with it.
  const isPutOff = (lane: Lane) => (byLane.get(laneKey(lane))?.[0]?.batchId ?? null) !== null
  const left = lanes.filter(lane => !held.has(laneKey(lane)) && !isPutOff(lane))
  await giveBack(
    outbox,
    left.map(lane => ({ ...lane, webhookId, lease, dueInMs: 0 })),
  )
  if (isMoreDue || chosen.length < ready.length) return { shipments: [...formed, ...made], lookAgainInMs: 0 }
  const waiting = packed.filter(each => !ready.includes(each)).flatMap(({ deliveries }) => deliveries)
  const lookAgainInMs = waiting.length === 0 ? null : remainingMs(waiting, input.batch)
  return { shipments: [...formed, ...made], lookAgainInMs }
}

/** How long, in ms, what is due still waits for company; 0: something goes now; null: nothing is due. */
async function companyWaitMs(outbox: Outbox, { webhookId, batch, dueFrom }: Input): Promise<number | null> {
  const { rows } = await outbox.pool.query({
    name: 'what_is_due',
    text: whatIsDueStatement,
    values: [webhookId, batch.maxEvents, dueFrom ?? '-infinity'],
  })
  const { events, oldest, is_ready } = rows[0]
  if (events === 0) return null
  if (is_ready || events >= batch.maxEvents) return 0
  return remainingMs([{ eventId: oldest }], batch)
}

/** For how long, in ms, the oldest of these events may still wait: its id tells when it was appended. */
function remainingMs(deliveries: readonly { eventId: TimeId }[], { maxWaitMs }: Batching): number {
  const oldestMs = Math.min(...deliveries.map(({ eventId }) => timeOf(eventId)))
  return Math.max(0, oldestMs + maxWaitMs - Date.now())
}

function isReady(deliveries: readonly Head[], batch: Batching): boolean {
  return deliveries.some(({ isManual }) => isManual) || remainingMs(deliveries, batch) === 0
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
    ],
  })
  return rows.map(row => {
    const claimed = toClaimed(row, input)
    return { ...claimed, batchId: row.batch_id, bytes: Buffer.byteLength(claimed.body) }
  })
}

async function formBatches(
  outbox: Outbox,
  { webhookId }: Input,
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
    ],
  })
  const ids = new Map<number, TimeId>(rows.map(row => [row.batch, row.batch_id]))
  return batches.flatMap((deliveries, batch) => {
    const batchId = ids.get(batch)
    return batchId !== undefined && isSeveral(deliveries) ? [{ webhookId, batchId, deliveries }] : []
  })
}

/**
 * The deliveries of a batch, all of its lanes leased; or none, where another process has one of them, or an older event
 * goes before one. Then what was leased is given back: the lane of its first event soon, the others that much later, and
 * at once where something older is to go. What this claim itself sends first (`isFresh`) stays leased.
 */
async function leaseBatch(
  outbox: Outbox,
  input: Input,
  { batchId, isFresh }: { batchId: TimeId; isFresh: ReadonlySet<string> },
): Promise<ClaimedDelivery[]> {
  const { webhookId, lease, leaseMs } = input
  const { rows: leased } = await outbox.pool.query({
    name: 'lease_lanes_of_batch',
    text: leaseLanesOfBatchStatement,
    values: [webhookId, batchId, lease, leaseMs],
  })
  // A statement of its own, after the lease, as for a single lane.
  const { rows } = await outbox.pool.query({
    name: 'batch',
    text: batchStatement,
    values: [webhookId, batchId],
  })
  const deliveries = rows.map(row => toClaimed(row, input))
  const isWhole = leased[0].taken === leased[0].members && !rows.some(row => row.is_behind)
  if (isWhole) return deliveries
  const behind = new Set(rows.flatMap((row, i) => (row.is_behind ? laneKey(deliveries[i]!) : [])))
  const lanes = [...new Map(deliveries.map(each => [laneKey(each), each])).values()]
  await giveBack(
    outbox,
    lanes
      .filter(lane => !isFresh.has(laneKey(lane)))
      .map((lane, i) => ({
        ...lane,
        dueInMs: behind.has(laneKey(lane)) ? 0 : putOffMs + (i === 0 ? 0 : followerLaterMs),
      })),
  )
  return []
}

function isSeveral<T>(items: readonly T[]): items is readonly [T, ...T[]] {
  return items.length > 0
}
