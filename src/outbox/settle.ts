import type pg from 'pg'
import type { Attempt } from '../domain/attempt.ts'
import { laneKey, type NextOfShipment } from '../domain/shipment.ts'
import { insertAttempts } from './attempts.ts'
import { freeFollowersWithoutBatches } from './batch-followers.ts'
import { column } from './binary-array.ts'
import { type Outbox, transaction } from './database.ts'
import { type Disabled, lockHealth, saveHealth, type WebhookNews } from './health.ts'
import { free } from './lanes.ts'
import { settledRows } from './settled-rows.ts'
import type { ClaimedDelivery, Shipment } from './shipment.ts'

/** An attempt that has ended, and what becomes of its shipment. */
export type Settlement = {
  readonly shipment: Shipment
  readonly attempt: Attempt
  readonly next: NextOfShipment
  /** Not null: the receiver wants nothing more (410), and this becomes the webhook's `disabled_reason`. */
  readonly disable: string | null
  /** It failed, and the webhook has delivered nothing lately. */
  readonly isFailing: boolean
  /** An event has waited for longer than all retries take. */
  readonly isOverdue: boolean
  /** For how long the receiver wants nothing more, in ms; 0: it said nothing. */
  readonly holdMs: number
}

/**
 * Locks the lanes that are still leased to the settlements' holder, in the order in which an append locks them.
 * The statements after this one see every delivery that was appended to these lanes before. Each is looked up by
 * itself (`lateral`, and no join that the planner could turn round).
 */
const lockHeldLanesStatement = `
select l.*
from (
  select * from unnest($1::int[], $2::text[], $3::text[], $4::uuid[]) as s (webhook_id, entity_type, entity_id, lease_id)
  order by webhook_id, entity_type collate "C", entity_id collate "C"
) s
cross join lateral (
  select webhook_id, entity_type, entity_id from walhook.lanes
  where webhook_id = s.webhook_id and entity_type = s.entity_type and entity_id = s.entity_id and lease_id = s.lease_id
  for update
) l`

/**
 * Moves the deliveries of held lanes on, and their lanes with them. Of several deliveries of one lane, all but the last are
 * `is_followed`, and that one names them all (`lane_events`).
 *
 * - s:         each delivery is looked up by itself, and so is each lane in `lane_work`; what changes them finds them by their
 *              `ctid`. Nobody else changes them meanwhile: the lanes are locked. A join by their keys could be planned from the
 *              queue's side, which reads all of it, where the statistics are of a time when it was empty.
 * - finished:  delivered or dead: it leaves the queue; a dead one is kept aside.
 * - failed:    counts the attempt; a batch that is sent in parts from now on gets its new ids.
 * - emptied:   a lane without another delivery ends.
 * - the rest is given back: due when its oldest delivery is, at once after a finished one, or where an older one was
 *   put before a failed one by hand meanwhile.
 */
const settleHeldLanesStatement = `
with s as materialized (
  select s.*, lane_event_ids::bigint[] as lane_events, d.ctid as delivery
  from unnest($1::int[], $2::text[], $3::text[], $4::bigint[], $5::smallint[], $6::text[], $7::float8[], $8::bigint[],
              $9::text[], $10::boolean[])
    as s (webhook_id, entity_type, entity_id, event_id, attempts, state, wait_ms, batch_id, lane_event_ids, is_followed)
  left join lateral (
    select ctid from walhook.deliveries
    where webhook_id = s.webhook_id and entity_type = s.entity_type and entity_id = s.entity_id and event_id = s.event_id
    limit 1
  ) d on true
), finished as (
  delete from walhook.deliveries d using s
  where s.state in ('done', 'dead') and d.ctid = s.delivery
), buried as (
  insert into walhook.ended_deliveries (webhook_id, event_id, entity_type, entity_id, state, attempts)
  select webhook_id, event_id, entity_type, entity_id, 'dead', attempts from s where state = 'dead'
  on conflict (webhook_id, event_id)
    do update set state = 'dead', superseded_by = null, attempts = excluded.attempts, ended_at = now()
), failed as (
  update walhook.deliveries d
  set attempts = s.attempts, batch_id = case when s.state = 'split' then s.batch_id else d.batch_id end
  from s
  where s.state in ('retry', 'split') and d.ctid = s.delivery
), lane_work as materialized (
  select s.*, s.state in ('retry', 'split') or other.event_id is not null as has_work,
         s.state = 'retry' and other.event_id < coalesce(s.lane_events[1], s.event_id) as is_behind,
         least(other.event_id, case when s.state in ('retry', 'split') then coalesce(s.lane_events[1], s.event_id) end)
           as next_event_id,
         lane.ctid as lane
  from s
  cross join lateral (
    select ctid from walhook.lanes
    where webhook_id = s.webhook_id and entity_type = s.entity_type and entity_id = s.entity_id limit 1
  ) lane
  left join lateral (
    select d.event_id from walhook.deliveries d
    where d.webhook_id = s.webhook_id and d.entity_type = s.entity_type and d.entity_id = s.entity_id
      and d.event_id <> s.event_id and (s.lane_events is null or d.event_id <> all (s.lane_events))
    order by d.event_id limit 1
  ) other on true
  where s.is_followed is not true
), emptied as (
  delete from walhook.lanes l using lane_work s where not s.has_work and l.ctid = s.lane
)
update walhook.lanes l
set ${free}, next_event_id = s.next_event_id,
    due_at = clock_timestamp() + case when s.is_behind then 0 else s.wait_ms end * interval '1 ms'
from lane_work s
where s.has_work and l.ctid = s.lane
returning l.webhook_id, (extract(epoch from l.due_at - clock_timestamp()) * 1000)::float8 as due_in_ms`

/** A lane that goes on after a settlement, due in so many ms. */
export type LeftLane = { readonly webhookId: number; readonly dueInMs: number }

/**
 * Settles attempts of any webhooks, each lane in one of them at most: the log, the deliveries, the lanes and the
 * webhooks' health change in one commit. An attempt whose lease has gone to another process is logged and changes
 * nothing else. Returns the settlements that held their lease. `hear` is told, once it has committed, of webhooks that this
 * disabled, of webhooks that fail no more, and of lanes that have something left: in how many ms they are due.
 */
export async function settle(
  outbox: Outbox,
  settlements: readonly Settlement[],
  hear: {
    disabled?: (disabled: Disabled) => void
    recovered?: (webhookId: number) => void
    left?: (lane: LeftLane) => void
  } = {},
): Promise<readonly Settlement[]> {
  const { held, left, disabled, recovered } = await transaction(outbox.pool, async client => {
    const entries = settlements.map(({ attempt, next, shipment }) => ({
      attempt,
      ...formOf(shipment),
      nextAttemptInMs: next.state === 'retry' || next.state === 'split' ? next.waitMs : null,
    }))
    const [{ health, readAtMs }, held] = await Promise.all([
      // How long ago an attempt began is counted from the moment at which the outbox's clock was read.
      lockHealth(
        client,
        settlements.map(each => newsOf(each, Date.now())),
      ).then(health => ({ health, readAtMs: Date.now() })),
      lockHeldLanes(client, settlements),
      insertAttempts(client, entries),
    ])
    const left = held.length > 0 ? await settleHeldLanes(client, held) : []
    await freeFollowersWithoutBatches(client, webhooksOfFailedBatches(held))
    return {
      held,
      left,
      ...(await saveHealth(
        client,
        health,
        held.map(each => newsOf(each, readAtMs)),
      )),
    }
  })
  for (const each of disabled) hear.disabled?.(each)
  for (const webhookId of recovered) hear.recovered?.(webhookId)
  for (const lane of left) hear.left?.(lane)
  return held
}

function webhooksOfFailedBatches(held: readonly Settlement[]): number[] {
  return held.flatMap(({ shipment, next }) =>
    shipment.batchId !== null && (next.state === 'retry' || next.state === 'split')
      ? [shipment.webhookId]
      : [],
  )
}

function newsOf(settlement: Settlement, nowMs: number): WebhookNews {
  const { attempt, next, disable, isFailing, isOverdue, holdMs } = settlement
  return {
    webhookId: attempt.webhookId,
    url: attempt.request.url,
    isDelivered: attempt.outcome === 'delivered',
    isFailing,
    isExhausted: next.state === 'dead' || isOverdue,
    holdMs,
    gone: disable,
    startedMsAgo: nowMs - attempt.startedAt.getTime(),
    nextTryMs: 'waitMs' in next ? Math.max(next.waitMs, holdMs) : null,
    isOurs: attempt.isOurs === true,
  }
}

/** How the log makes the body again: of events that were all sent in one form; else it keeps the body. */
function formOf({ batchId, deliveries }: Shipment): { withPrevious: boolean; isBodyKept: boolean } {
  const { withPrevious } = deliveries[0]
  const isPlain = deliveries.every(each => !each.asNew && each.withPrevious === withPrevious)
  return { withPrevious, isBodyKept: batchId !== null && !isPlain }
}

/** Returns the settlements of which a lane is held, with their deliveries in held lanes only. */
async function lockHeldLanes(
  client: pg.PoolClient,
  settlements: readonly Settlement[],
): Promise<readonly Settlement[]> {
  const lanes = settlements.flatMap(({ shipment }) => lanesOf(shipment))
  const { rows } = await client.query({
    name: 'lock_held_lanes',
    text: lockHeldLanesStatement,
    values: [
      column('int', lanes, lane => lane.webhookId),
      column('text', lanes, lane => lane.entityType),
      column('text', lanes, lane => lane.entityId),
      column('uuid', lanes, lane => lane.lease),
    ],
  })
  // Almost always, and nobody has to be told apart then.
  if (rows.length === lanes.length) return settlements
  const keyOf = (webhookId: number, entityType: string, entityId: string) =>
    JSON.stringify([webhookId, entityType, entityId])
  const held = new Set(rows.map(row => keyOf(row.webhook_id, row.entity_type, row.entity_id)))
  return settlements.flatMap(settlement => {
    const { shipment } = settlement
    const isHeld = (each: ClaimedDelivery) => held.has(keyOf(each.webhookId, each.entityType, each.entityId))
    if (shipment.deliveries.every(isHeld)) return [settlement]
    const [first, ...rest] = shipment.deliveries.filter(isHeld)
    return first ? [{ ...settlement, shipment: { ...shipment, deliveries: [first, ...rest] as const } }] : []
  })
}

/** Each lane of a shipment once. */
function lanesOf({ deliveries }: Shipment): readonly ClaimedDelivery[] {
  return deliveries.length === 1
    ? deliveries
    : [...new Map(deliveries.map(each => [laneKey(each), each])).values()]
}

async function settleHeldLanes(client: pg.PoolClient, held: readonly Settlement[]): Promise<LeftLane[]> {
  const rows = settledRows(held, await newBatchIds(client, held))
  const { rows: left } = await client.query({
    name: 'settle_held_lanes',
    text: settleHeldLanesStatement,
    values: [
      column('int', rows, ({ delivery }) => delivery.webhookId),
      column('text', rows, ({ delivery }) => delivery.entityType),
      column('text', rows, ({ delivery }) => delivery.entityId),
      column('bigint', rows, ({ delivery }) => delivery.eventId),
      column('smallint', rows, row => row.attempts),
      column('text', rows, row => row.state),
      column('float8', rows, row => row.waitMs),
      column('bigint', rows, row => row.batchId),
      column('text', rows, row => row.laneEvents && `{${row.laneEvents.join(',')}}`),
      column('boolean', rows, row => row.isFollowed),
    ],
  })
  return left.map(row => ({ webhookId: row.webhook_id, dueInMs: row.due_in_ms }))
}

/** Ids for the parts of batches that are sent in parts from now on: two of each. */
async function newBatchIds(client: pg.PoolClient, held: readonly Settlement[]): Promise<bigint[]> {
  const wanted = 2 * held.filter(({ next }) => next.state === 'split').length
  if (wanted === 0) return []
  const { rows } = await client.query('select walhook.new_time_id() as id from generate_series(1, $1)', [
    wanted,
  ])
  return rows.map(row => row.id)
}
