import type pg from 'pg'
import type { TimeId } from '../domain/time-id.ts'
import { wakeChannel } from './append.ts'
import { free } from './lanes.ts'

export type LaneKey = { readonly entityType: string; readonly entityId: string }

/** Which of a webhook's waiting deliveries: all, those of one entity, or the one of an event. */
export type Waiting = {
  readonly webhookId: number
  readonly entity: LaneKey | null
  readonly eventId: TimeId | null
  /** No newer event than this: what comes while a cancellation runs is not meant. */
  readonly upTo: TimeId
}

/**
 * Locks the next lanes, in the order in which an append locks them. `lease` is null where nobody holds the lane now: a
 * lease that is over counts as none, else what a dead process held could never be cancelled.
 */
const lockNextLanesStatement = `
select entity_type, entity_id, case when leased_until > clock_timestamp() then lease_id end as lease
from walhook.lanes
where webhook_id = $1 and (entity_type, entity_id) > ($2, $3)
order by entity_type, entity_id
limit $4
for update`

/**
 * Looked up as a row of a list, because for single values the planner may take the index by time, and read all lanes of the
 * webhook.
 */
const lockOneLaneStatement = `
select l.entity_type, l.entity_id, case when l.leased_until > clock_timestamp() then l.lease_id end as lease
from unnest(array[$1::int], array[$2::text], array[$3::text]) as k (webhook_id, entity_type, entity_id)
cross join lateral (
  select * from walhook.lanes
  where webhook_id = k.webhook_id and entity_type = k.entity_type and entity_id = k.entity_id
  limit $4
  for update
) l`

/** What is in flight in a held lane is its oldest delivery that was there when the lease began. */
const cancelDeliveriesStatement = `
with lane as (
  select * from unnest($1::int[], $2::text[], $3::text[], $4::uuid[]) as l (webhook_id, entity_type, entity_id, lease)
), doomed as materialized (
  select d.ctid
  from lane
  left join lateral (
    select o.event_id from walhook.deliveries o
    where o.webhook_id = lane.webhook_id and o.entity_type = lane.entity_type and o.entity_id = lane.entity_id
      and o.asked_during is distinct from lane.lease
    order by o.event_id limit 1
  ) in_flight on lane.lease is not null
  cross join lateral (
    select d.ctid from walhook.deliveries d
    where d.webhook_id = lane.webhook_id and d.entity_type = lane.entity_type and d.entity_id = lane.entity_id
      and d.event_id >= $5 and d.event_id <= $6
      and d.event_id is distinct from in_flight.event_id
    order by d.event_id limit $7
  ) d
  limit $7
), gone as (
  delete from walhook.deliveries d using doomed
  where d.ctid = doomed.ctid
  returning d.webhook_id, d.entity_type, d.entity_id, d.event_id, d.attempts
), recorded as (
  insert into walhook.ended_deliveries (webhook_id, event_id, entity_type, entity_id, state, attempts)
  select webhook_id, event_id, entity_type, entity_id, 'cancelled', attempts from gone
  on conflict (webhook_id, event_id)
    do update set state = 'cancelled', superseded_by = null, attempts = excluded.attempts, ended_at = now()
)
select entity_type, entity_id, min(event_id) as oldest, count(*)::int as cancelled from gone group by 1, 2`

/**
 * Moves the lanes on from which something was cancelled: one without another delivery ends, and where the oldest
 * delivery was cancelled the next one is due at once. A lease that is over ends with it, so that a settlement that comes
 * after all finds nothing to change.
 */
const moveLanesOnStatement = `
with lane as materialized (
  select l.*, first.event_id, locked.ctid
  from unnest($1::int[], $2::text[], $3::text[], $4::uuid[], $5::bigint[])
    as l (webhook_id, entity_type, entity_id, lease, oldest_cancelled)
  cross join lateral (
    select ctid from walhook.lanes
    where webhook_id = l.webhook_id and entity_type = l.entity_type and entity_id = l.entity_id limit 1
  ) locked
  left join lateral (
    select d.event_id from walhook.deliveries d
    where d.webhook_id = l.webhook_id and d.entity_type = l.entity_type and d.entity_id = l.entity_id
    order by d.event_id limit 1
  ) first on true
), emptied as (
  delete from walhook.lanes l using lane
  where lane.event_id is null and l.ctid = lane.ctid
)
update walhook.lanes l
set ${free}, due_at = case when lane.oldest_cancelled < lane.event_id then least(l.due_at, now()) else l.due_at end
from lane
where lane.event_id is not null and lane.lease is null and l.ctid = lane.ctid`

/** Whether whoever holds a lane of the webhook may be choosing at this moment what to send of it, and how much. */
const holderChoosesStatement = `
select mode = 'latest' or batch_max_events is not null as holder_chooses from walhook.webhooks where id = $1`

/** Of held lanes, how many hold more than one delivery. */
const longLanesStatement = `
select count(*)::int as n
from unnest($2::text[], $3::text[]) as l (entity_type, entity_id)
where exists (
  select from walhook.deliveries d
  where d.webhook_id = $1 and d.entity_type = l.entity_type and d.entity_id = l.entity_id
  offset 1
)`

const beforeAll: LaneKey = { entityType: '', entityId: '' }

/**
 * Cancels up to `limit` waiting deliveries, inside a transaction, lane by lane from the one after `after`. What is in
 * flight is not touched, and is settled as ever. Returns how many, and where to go on, or null where nothing is left.
 *
 * Where a webhook wants only the latest state, or batches, whoever holds a lane may be choosing among all that waits
 * in it. Such lanes are left alone whole while they are held; `passedOver` says how many there were.
 */
export async function cancelSome(
  client: pg.PoolClient,
  waiting: Waiting,
  page: { after: LaneKey | null; limit: number },
): Promise<{ cancelled: number; passedOver: number; next: LaneKey | null }> {
  const { webhookId } = waiting
  const from = waiting.entity ?? page.after ?? beforeAll
  const { rows: lanes } = await client.query<LockedLane>({
    name: waiting.entity ? 'lock_one_lane' : 'lock_next_lanes',
    text: waiting.entity ? lockOneLaneStatement : lockNextLanesStatement,
    values: [webhookId, from.entityType, from.entityId, page.limit],
  })
  const last = lanes.at(-1)
  if (!last) return { cancelled: 0, passedOver: 0, next: null }
  const held = lanes.filter(({ lease }) => lease !== null)
  const isUnsure = held.length > 0 && (await holderChooses(client, webhookId))
  const passedOver = isUnsure ? await countLongLanes(client, webhookId, held) : 0

  const open = isUnsure ? lanes.filter(({ lease }) => lease === null) : lanes
  const cancelled = await cancelDeliveries(client, waiting, open, page.limit)
  const count = cancelled.reduce((sum, lane) => sum + lane.cancelled, 0)
  if (count > 0) {
    await moveLanesOn(client, webhookId, cancelled)
    await client.query(`select pg_notify('${wakeChannel}', '')`)
  }
  // A full page may have left something in these lanes: they are looked at once more.
  if (count >= page.limit) return { cancelled: count, passedOver: 0, next: page.after ?? beforeAll }
  const isOver = waiting.entity !== null || lanes.length < page.limit
  return {
    cancelled: count,
    passedOver,
    next: isOver ? null : { entityType: last.entity_type, entityId: last.entity_id },
  }
}

async function holderChooses(client: pg.PoolClient, webhookId: number): Promise<boolean> {
  const { rows } = await client.query(holderChoosesStatement, [webhookId])
  return rows[0]?.holder_chooses ?? false
}

async function countLongLanes(
  client: pg.PoolClient,
  webhookId: number,
  lanes: readonly LockedLane[],
): Promise<number> {
  const { rows } = await client.query(longLanesStatement, [
    webhookId,
    lanes.map(lane => lane.entity_type),
    lanes.map(lane => lane.entity_id),
  ])
  return rows[0].n
}

type LockedLane = { entity_type: string; entity_id: string; lease: string | null }
type CancelledLane = LockedLane & { oldest: TimeId; cancelled: number }

async function cancelDeliveries(
  client: pg.PoolClient,
  waiting: Waiting,
  lanes: readonly LockedLane[],
  limit: number,
): Promise<CancelledLane[]> {
  const { rows } = await client.query({
    name: 'cancel_deliveries',
    text: cancelDeliveriesStatement,
    values: [
      lanes.map(() => waiting.webhookId),
      lanes.map(lane => lane.entity_type),
      lanes.map(lane => lane.entity_id),
      lanes.map(lane => lane.lease),
      waiting.eventId ?? 0n,
      waiting.eventId ?? waiting.upTo,
      limit,
    ],
  })
  const keyOf = (lane: Omit<LockedLane, 'lease'>) => JSON.stringify([lane.entity_type, lane.entity_id])
  const leases = new Map(lanes.map(lane => [keyOf(lane), lane.lease]))
  return rows.map(row => ({ ...row, lease: leases.get(keyOf(row)) ?? null }))
}

async function moveLanesOn(
  client: pg.PoolClient,
  webhookId: number,
  lanes: readonly CancelledLane[],
): Promise<void> {
  await client.query({
    name: 'move_lanes_on',
    text: moveLanesOnStatement,
    values: [
      lanes.map(() => webhookId),
      lanes.map(lane => lane.entity_type),
      lanes.map(lane => lane.entity_id),
      lanes.map(lane => lane.lease),
      lanes.map(lane => lane.oldest),
    ],
  })
}
