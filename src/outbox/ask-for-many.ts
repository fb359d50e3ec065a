import type pg from 'pg'
import type { TimeId } from '../domain/time-id.ts'
import { wakeChannel } from './append.ts'
import type { LaneKey } from './cancel.ts'

export type LaneEvent = LaneKey & { readonly eventId: TimeId }

/**
 * A delivery by hand for each event that does not wait already; with $5 only of those that are dead. Events that are not kept any more are passed over; their
 * reading holds back whoever would drop them until this commits.
 */
const insertDeliveriesStatement = `
with asked as (
  insert into walhook.deliveries (webhook_id, entity_type, entity_id, event_id, with_previous, is_manual)
  select w.id, e.entity_type, e.entity_id, e.id, w.previous, true
  from walhook.webhooks w, walhook.events e
  where w.id = $1 and e.id = any($2) and e.id between $3 and $4
    and (not $5 or exists (
      select from walhook.ended_deliveries x where x.webhook_id = $1 and x.event_id = e.id and x.state = 'dead'))
  order by e.entity_type, e.entity_id, e.id
  on conflict (webhook_id, entity_type, entity_id, event_id) do nothing
  returning event_id
), ended as (
  delete from walhook.ended_deliveries
  where webhook_id = $1 and event_id between $3 and $4
    and event_id = any(array(select event_id from asked))
)
select event_id from asked`

/**
 * Locks lanes, or makes them, in the order in which an append does; which of their deliveries is the oldest may change. `lease` is
 * null where nobody holds the lane now.
 */
const lockOrMakeLanesStatement = `
insert into walhook.lanes as l (webhook_id, entity_type, entity_id)
select $1, entity_type, entity_id from unnest($2::text[], $3::text[]) as k (entity_type, entity_id)
order by entity_type collate "C", entity_id collate "C"
on conflict (webhook_id, entity_type, entity_id) do update set next_event_id = null
returning entity_type, entity_id, case when leased_until > clock_timestamp() then lease_id end as lease`

/**
 * Of the locked lanes `l`, those of the deliveries `$n` (event ids) that are there: each lane is looked up by itself, so that
 * no statistics of an empty queue have all of it read.
 */
const theirDeliveries = (ids: string, condition = 'true') => `
  cross join lateral (
    select ctid from walhook.deliveries
    where webhook_id = l.webhook_id and entity_type = l.entity_type and entity_id = l.entity_id
      and event_id = any(${ids}) and ${condition}
    offset 0
  ) their`

/** What a held lane's lease sends was chosen before. */
const noteLeasesStatement = `
with noted as materialized (
  select their.ctid, l.lease
  from unnest($1::int[], $2::text[], $3::text[], $4::uuid[]) as l (webhook_id, entity_type, entity_id, lease)
  ${theirDeliveries('$5')}
)
update walhook.deliveries d set asked_during = noted.lease from noted where d.ctid = noted.ctid`

/** Deliveries that failed and wait, of lanes that nobody holds, begin anew. */
const beginAnewStatement = `
with failed as materialized (
  select their.ctid
  from unnest($1::int[], $2::text[], $3::text[]) as l (webhook_id, entity_type, entity_id)
  ${theirDeliveries('$4', 'attempts > 0')}
)
update walhook.deliveries d set attempts = 0, is_manual = true from failed where d.ctid = failed.ctid
returning d.event_id`

/** Lanes whose oldest delivery is one of $4 have nothing to wait for. */
const lanesAreDueStatement = `
with due as materialized (
  select lane.ctid
  from unnest($1::int[], $2::text[], $3::text[]) as k (webhook_id, entity_type, entity_id)
  cross join lateral (
    select d.event_id from walhook.deliveries d
    where d.webhook_id = k.webhook_id and d.entity_type = k.entity_type and d.entity_id = k.entity_id
    order by d.event_id limit 1
  ) first
  cross join lateral (
    select ctid from walhook.lanes
    where webhook_id = k.webhook_id and entity_type = k.entity_type and entity_id = k.entity_id limit 1
  ) lane
  where first.event_id = any($4)
)
update walhook.lanes l set due_at = least(l.due_at, now()) from due where l.ctid = due.ctid`

/** What waited when it was looked for may have been delivered since, and its lane ended: it is not to be made anew. */
const endEmptyLanesStatement = `
with empty as materialized (
  select lane.ctid
  from unnest($1::int[], $2::text[], $3::text[]) as k (webhook_id, entity_type, entity_id)
  cross join lateral (
    select ctid from walhook.lanes
    where webhook_id = k.webhook_id and entity_type = k.entity_type and entity_id = k.entity_id limit 1
  ) lane
  left join lateral (
    select event_id from walhook.deliveries
    where webhook_id = k.webhook_id and entity_type = k.entity_type and entity_id = k.entity_id limit 1
  ) other on true
  where other.event_id is null
)
delete from walhook.lanes l using empty where l.ctid = empty.ctid`

const chunkEvents = 1_000

/**
 * Puts events into their lanes of a webhook, by hand, inside a transaction: all that is meant of a lane must come in one
 * call, so that nothing newer of the entity can be sent in between. `items` are in the order of lanes and events. An
 * event that waits already is left as it is. With `onlyFailed` nothing but what is dead is sent again, and what failed and
 * waits is tried at once.
 *
 * The deliveries come first and the lanes' locks last, as in an append: a lane with 100,000 events is locked for a
 * moment only. The locks make a settlement that is about to end a lane see these deliveries, or have ended it.
 * Returns how many deliveries were made or begin anew.
 */
export async function askForMany(
  client: pg.PoolClient,
  input: { webhookId: number; items: readonly LaneEvent[]; onlyFailed: boolean },
): Promise<number> {
  const { webhookId, items } = input
  const asked: TimeId[] = []
  for (let from = 0; from < items.length; from += chunkEvents) {
    const ids = items.slice(from, from + chunkEvents).map(({ eventId }) => eventId)
    const inOrder = ids.toSorted((a, b) => (a < b ? -1 : 1))
    const values = [webhookId, ids, inOrder[0], inOrder.at(-1), input.onlyFailed]
    const { rows } = await client.query({ name: 'insert_asked', text: insertDeliveriesStatement, values })
    asked.push(...rows.map(row => row.event_id))
  }
  const wanted = new Set(input.onlyFailed ? items.map(({ eventId }) => eventId) : asked)
  const lanes = await lockOrMakeLanes(
    client,
    webhookId,
    items.filter(({ eventId }) => wanted.has(eventId)),
  )
  const held = lanes.filter(({ lease }) => lease !== null)
  if (held.length > 0 && asked.length > 0)
    await client.query(noteLeasesStatement, [
      ...columns(webhookId, held),
      held.map(({ lease }) => lease),
      asked,
    ])
  const free = lanes.filter(({ lease }) => lease === null)
  const begun = input.onlyFailed
    ? (await client.query(beginAnewStatement, [...columns(webhookId, free), [...wanted]])).rows
    : []
  if (input.onlyFailed) await client.query(endEmptyLanesStatement, [...columns(webhookId, free)])
  const changed = [...asked, ...begun.map(row => row.event_id)]
  if (changed.length > 0) {
    await client.query(lanesAreDueStatement, [...columns(webhookId, free), changed])
    await client.query(`select pg_notify('${wakeChannel}', '')`)
  }
  return changed.length
}

type LockedLane = { entity_type: string; entity_id: string; lease: string | null }

async function lockOrMakeLanes(
  client: pg.PoolClient,
  webhookId: number,
  items: readonly LaneEvent[],
): Promise<LockedLane[]> {
  const lanes = items.filter(
    (item, i) => item.entityId !== items[i - 1]?.entityId || item.entityType !== items[i - 1]?.entityType,
  )
  if (lanes.length === 0) return []
  const { rows } = await client.query({
    name: 'lock_or_make_lanes',
    text: lockOrMakeLanesStatement,
    values: [webhookId, lanes.map(lane => lane.entityType), lanes.map(lane => lane.entityId)],
  })
  return rows
}

/**
 * The webhook's id comes with each lane, and never as one value: of a webhook whose queue has grown since the last
 * ANALYZE, the planner believes that it is almost empty, and would read all of it for each lane.
 */
function columns(webhookId: number, lanes: readonly LockedLane[]): [number[], string[], string[]] {
  return [lanes.map(() => webhookId), lanes.map(lane => lane.entity_type), lanes.map(lane => lane.entity_id)]
}
