import { laneKey } from '../domain/shipment.ts'
import type { TimeId } from '../domain/time-id.ts'
import type { Outbox } from './database.ts'
import { type ClaimInput, giveBack } from './lanes.ts'
import { followerLaterMs } from './settled-rows.ts'
import { type ClaimedDelivery, itsEvent, toClaimed } from './shipment.ts'

/** When a batch of which another process has a lane is looked at again. */
const putOffMs = 1_000
/** An append locks a lane for a moment only. */
const mostTries = 5

/** What a claim of batches reads of a delivery `d` and its event `e`. */
export const deliveryColumns = `
d.entity_type, d.entity_id, d.event_id, d.attempts, d.is_manual, d.with_previous, d.as_new, d.batch_id, e.action_type, e.body,
case when d.with_previous then e.previous end as previous, case when d.with_previous then e.omitted end as omitted`

/**
 * Leases all lanes of a batch that nobody else has, where it is due: when the lane of its first event is, or when one of
 * its events was asked for by hand. Locked lanes are passed over: two processes never wait for each other.
 */
const leaseLanesOfBatchStatement = `
with members as materialized (
  select webhook_id, entity_type, entity_id, min(event_id) as first_event, bool_or(is_manual) as is_manual
  from walhook.deliveries where webhook_id = $1 and batch_id = $2
  group by webhook_id, entity_type, entity_id
), first_lane as materialized (
  select greatest(l.due_at, l.leased_until) as free_at,
         l.due_at <= now() and l.leased_until <= now() or l.lease_id = $3 as is_due
  from (select * from members order by first_event limit 1) m
  cross join lateral (
    select due_at, lease_id, leased_until from walhook.lanes
    where webhook_id = m.webhook_id and entity_type = m.entity_type and entity_id = m.entity_id limit 1
  ) l
), is_due as (
  select coalesce((select bool_or(is_manual) from members), false)
      or coalesce((select first_lane.is_due from first_lane), false) as yes
), free as materialized (
  select l.ctid
  from (select * from members order by entity_type, entity_id) m
  cross join lateral (
    select ctid from walhook.lanes
    where webhook_id = m.webhook_id and entity_type = m.entity_type and entity_id = m.entity_id
      and (leased_until <= now() or lease_id = $3) and (select yes from is_due)
    for update skip locked
  ) l
), taken as (
  update walhook.lanes l
  set lease_id = $3, leased_until = now() + $4 * interval '1 ms'
  from free f
  where l.ctid = f.ctid
  returning l.entity_type
)
select (select yes from is_due) as is_due,
       (select count(*) from members)::int as members, (select count(*) from taken)::int as taken,
       (select count(*) from members m cross join lateral (
          select from walhook.lanes
          where webhook_id = m.webhook_id and entity_type = m.entity_type and entity_id = m.entity_id
            and lease_id <> $3 and leased_until > now() limit 1
        ) l)::int as held_by_others,
       coalesce((select extract(epoch from free_at - now()) * 1000 from first_lane), 0)::float8 as due_in_ms`

/** The deliveries of a batch; `is_behind`: an older one of the lane is not in it, having been asked for by hand since. */
const batchStatement = `
select ${deliveryColumns}, exists (
  select from walhook.deliveries o
  where o.webhook_id = d.webhook_id and o.entity_type = d.entity_type and o.entity_id = d.entity_id
    and o.event_id < d.event_id and o.batch_id is distinct from d.batch_id
) as is_behind
from walhook.deliveries d
${itsEvent}
where d.webhook_id = $1 and d.batch_id = $2
order by d.event_id`

/**
 * The deliveries of a batch; `isWhole`: it is due, all of its lanes are leased, and no older event goes before one. Else
 * what was leased is given back: the lane of its first event soon, or when the batch is due, the others that much later,
 * and at once where something older is to go. What this claim itself sends first (`isFresh`) stays leased.
 */
export async function leaseBatch(
  outbox: Outbox,
  input: ClaimInput,
  { batchId, isFresh }: { batchId: TimeId; isFresh: ReadonlySet<string> },
): Promise<{ deliveries: readonly ClaimedDelivery[]; isWhole: boolean }> {
  const { webhookId } = input
  const lease = await leaseLanesOf(outbox, input, batchId)
  // A statement of its own, after the lease, as for a single lane.
  const { rows } = await outbox.pool.query({
    name: 'batch',
    text: batchStatement,
    values: [webhookId, batchId],
  })
  const deliveries = rows.map(row => toClaimed(row, input))
  if (lease.isDue && lease.isAll && !rows.some(row => row.is_behind)) return { deliveries, isWhole: true }
  const behind = new Set(rows.flatMap((row, i) => (row.is_behind ? laneKey(deliveries[i]!) : [])))
  const lanes = [...new Map(deliveries.map(each => [laneKey(each), each])).values()]
  const againInMs = lease.isDue ? putOffMs : Math.max(0, lease.dueInMs)
  await giveBack(
    outbox,
    lanes
      .filter(lane => !isFresh.has(laneKey(lane)))
      .map(lane => ({
        ...lane,
        dueInMs: behind.has(laneKey(lane)) ? 0 : againInMs + (lane === lanes[0] ? 0 : followerLaterMs),
      })),
  )
  return { deliveries, isWhole: false }
}

async function leaseLanesOf(
  outbox: Outbox,
  { webhookId, lease, leaseMs }: ClaimInput,
  batchId: TimeId,
): Promise<{ isDue: boolean; isAll: boolean; dueInMs: number }> {
  for (let tries = 1; ; tries++) {
    const { rows } = await outbox.pool.query({
      name: 'lease_lanes_of_batch',
      text: leaseLanesOfBatchStatement,
      values: [webhookId, batchId, lease, leaseMs],
    })
    const { is_due: isDue, members, taken, held_by_others, due_in_ms: dueInMs } = rows[0]
    const isAll = taken === members
    if (!isDue || isAll || held_by_others > 0 || tries === mostTries) return { isDue, isAll, dueInMs }
  }
}
