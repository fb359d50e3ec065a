import type pg from 'pg'
import { type ActionType, bodySent } from '../domain/event.ts'
import type { TimeId } from '../domain/time-id.ts'
import type { Mode } from '../domain/webhook.ts'
import type { Outbox } from './database.ts'
import type { DueFloors } from './due-floors.ts'
import { supersede } from './supersede.ts'

/** A webhook with work, as delivery needs it. `secret` is the encrypted envelope. */
export type BusyWebhook = {
  readonly id: number
  readonly url: string
  readonly secret: string
  readonly mode: Mode
  /** In how many ms its earliest lane is due, or it may be sent to again; 0 or less: now. */
  readonly dueInMs: number
}

/** What `busyWebhooks` reads of a webhook `w` whose earliest lane is due at `due_at`. */
const busyColumns = `
w.id, w.url, w.secret, w.mode, due_at, clock_timestamp() as now,
(extract(epoch from greatest(due_at, w.held_until) - clock_timestamp()) * 1000)::float8 as due_in_ms`

/**
 * The active webhooks that have lanes, each with the time of its earliest lane: a walk along the index
 * `lanes_by_due` that touches one entry per webhook, however many lanes each has.
 */
const busyWebhooksStatement = `
with recursive busy as (
  (select webhook_id, due_at from walhook.lanes order by webhook_id, due_at limit 1)
  union all
  select next.webhook_id, next.due_at
  from busy cross join lateral (
    select l.webhook_id, l.due_at from walhook.lanes l
    where l.webhook_id > busy.webhook_id
    order by l.webhook_id, l.due_at limit 1
  ) next
)
select ${busyColumns}
from busy join walhook.webhooks w on w.id = busy.webhook_id
where w.is_active and w.disabled_at is null`

/** The same of some webhooks only. */
const busyAmongStatement = `
select ${busyColumns}
from walhook.webhooks w cross join lateral (
  select due_at from walhook.lanes where webhook_id = w.id order by webhook_id, due_at limit 1
) earliest
where w.id = any($1) and w.is_active and w.disabled_at is null`

/** Of all webhooks or those of $1, by lanes that are due above a floor: $3 for those of $2, $4 for the others. */
const busyAboveStatement = `
select ${busyColumns}
from walhook.webhooks w
left join unnest($2::int[], $3::timestamptz[]) as f (id, floor) on f.id = w.id
cross join lateral (
  select due_at from walhook.lanes
  where webhook_id = w.id and due_at >= coalesce(f.floor, $4)
  order by webhook_id, due_at limit 1
) earliest
where ($1::int[] is null or w.id = any($1)) and w.is_active and w.disabled_at is null`

/**
 * The active webhooks that have lanes; where `among` is given, those of them. With `floors`, lanes are looked for above
 * them, and now and then everywhere.
 */
export async function busyWebhooks(
  outbox: Outbox,
  among: 'all' | readonly number[] = 'all',
  floors: DueFloors | null = null,
): Promise<BusyWebhook[]> {
  const above = among === 'all' && floors?.isDoubtful() ? null : (floors?.all() ?? null)
  const startedMs = performance.now()
  const { rows } = await outbox.pool.query(busyQuery(among, above))
  if (floors && among === 'all' && above === null) {
    const tookMs = performance.now() - startedMs
    const at = rows[0]?.now ?? (await outbox.pool.query('select now() as now')).rows[0].now
    floors.sawAll({ tookMs, at, earliest: rows.map(row => ({ id: row.id, dueAt: row.due_at })) })
  }
  return rows.map(row => ({
    id: row.id,
    url: row.url,
    secret: row.secret,
    mode: row.mode,
    dueInMs: row.due_in_ms,
  }))
}

function busyQuery(among: 'all' | readonly number[], above: ReturnType<DueFloors['all']>): pg.QueryConfig {
  const some = among === 'all' ? null : among
  if (above) {
    const values = [some, [...above.own.keys()], [...above.own.values()], above.other]
    return { name: 'busy_above', text: busyAboveStatement, values }
  }
  return some
    ? { name: 'busy_among', text: busyAmongStatement, values: [some] }
    : { name: 'busy_webhooks', text: busyWebhooksStatement }
}

/** A leased lane with its oldest delivery: what a worker sends next. */
export type ClaimedLane = {
  readonly webhookId: number
  readonly entityType: string
  readonly entityId: string
  readonly lease: string
  readonly eventId: TimeId
  /** How often this delivery was already tried. */
  readonly attempts: number
  /** Asked for by hand, not by the change itself. */
  readonly isManual: boolean
  /** As it is sent: `new` also for an `update` that took the place of one. */
  readonly actionType: ActionType
  /** The exact text to send, the same for every attempt. */
  readonly body: string
  /** Whether it holds what the event knows beyond its own body. */
  readonly withPrevious: boolean
}

type Lane = Pick<ClaimedLane, 'entityType' | 'entityId'>

/** `isMoreDue`: there were lanes too long to be looked at as a whole, which are due again at once. */
export type Claimed = { readonly lanes: readonly ClaimedLane[]; readonly isMoreDue: boolean }

/**
 * Leases up to $2 due lanes of one webhook, those that are due since $5 or later. The choice must be a materialized CTE: as a subquery, the planner
 * may run it again and again, and lock more rows than the LIMIT says. It hands on webhook_id too: of a webhook whose
 * queue has grown since the last ANALYZE, the planner believes that it has hardly a lane, and with $1 here it would read
 * all of them for each of those chosen.
 */
const leaseDueLanesStatement = `
with due as materialized (
  select webhook_id, entity_type, entity_id
  from walhook.lanes
  where webhook_id = $1 and due_at <= now() and due_at >= $5
  order by due_at
  limit $2
  for update skip locked
)
update walhook.lanes l
set lease = $3, due_at = now() + $4 * interval '1 ms'
from due d
where l.webhook_id = d.webhook_id and l.entity_type = d.entity_type and l.entity_id = d.entity_id
returning l.entity_type, l.entity_id`

/**
 * The oldest delivery of each leased lane. A statement of its own, after the lease: a snapshot taken before the
 * lane was locked could still show a delivery that the lane's last holder has just finished. What was asked for by hand
 * since the lease began is not for it, so that everybody knows what is in flight.
 */
const oldestDeliveriesStatement = `
select l.entity_type, l.entity_id, d.event_id, d.attempts, d.is_manual, d.with_previous, d.as_new, e.action_type, e.body,
       case when d.with_previous then e.previous end as previous, case when d.with_previous then e.omitted end as omitted
from unnest($2::text[], $3::text[]) as l (entity_type, entity_id)
cross join lateral (
  select event_id, attempts, is_manual, with_previous, as_new from walhook.deliveries
  where webhook_id = $1 and entity_type = l.entity_type and entity_id = l.entity_id
    and asked_during is distinct from $4
  order by event_id limit 1
) d
join walhook.events e on e.id = d.event_id`

/**
 * Claims up to `limit` due lanes of a webhook for `leaseMs`, under the token `lease` (a UUID used for nothing
 * else). Until then no other process claims them; after that anybody may. For a webhook that wants only the latest
 * state, the older events of each lane are superseded first.
 */
export async function claim(
  outbox: Outbox,
  input: {
    webhookId: number
    mode: Mode
    limit: number
    lease: string
    leaseMs: number
    /** Lanes that are due since before are passed over. */
    dueFrom?: Date | null
  },
): Promise<Claimed> {
  const { webhookId, lease } = input
  const leased = await outbox.pool.query({
    name: 'lease_due_lanes',
    text: leaseDueLanesStatement,
    values: [webhookId, input.limit, lease, input.leaseMs, input.dueFrom ?? '-infinity'],
  })
  let lanes: Lane[] = leased.rows.map(row => ({ entityType: row.entity_type, entityId: row.entity_id }))
  let unfinished: Lane[] = []
  if (input.mode === 'latest' && lanes.length > 0)
    ({ finished: lanes, unfinished } = await supersede(outbox, { webhookId, lease, lanes }))
  await release(
    outbox,
    unfinished.map(lane => ({ ...lane, webhookId, lease })),
  )
  return { lanes: await readOldest(outbox, { webhookId, lease, lanes }), isMoreDue: unfinished.length > 0 }
}

async function readOldest(
  outbox: Outbox,
  { webhookId, lease, lanes }: { webhookId: number; lease: string; lanes: readonly Lane[] },
): Promise<ClaimedLane[]> {
  if (lanes.length === 0) return []
  const { rows } = await outbox.pool.query({
    name: 'oldest_deliveries',
    text: oldestDeliveriesStatement,
    values: [webhookId, lanes.map(lane => lane.entityType), lanes.map(lane => lane.entityId), lease],
  })
  return rows.map(row => ({
    webhookId,
    entityType: row.entity_type,
    entityId: row.entity_id,
    lease,
    eventId: row.event_id,
    attempts: row.attempts,
    isManual: row.is_manual,
    actionType: row.as_new ? 'new' : row.action_type,
    body: bodySent(row, { asNew: row.as_new, withPrevious: row.with_previous }),
    withPrevious: row.with_previous,
  }))
}

/** Gives back lanes that were claimed and not tried: due at once, for any process. */
export async function release(
  outbox: Outbox,
  lanes: readonly Pick<ClaimedLane, 'webhookId' | 'entityType' | 'entityId' | 'lease'>[],
): Promise<void> {
  if (lanes.length === 0) return
  await outbox.pool.query(
    `update walhook.lanes l
     set lease = null, due_at = now()
     from unnest($1::int[], $2::text[], $3::text[], $4::uuid[]) as r (webhook_id, entity_type, entity_id, lease)
     where l.webhook_id = r.webhook_id and l.entity_type = r.entity_type and l.entity_id = r.entity_id
       and l.lease = r.lease`,
    [
      lanes.map(lane => lane.webhookId),
      lanes.map(lane => lane.entityType),
      lanes.map(lane => lane.entityId),
      lanes.map(lane => lane.lease),
    ],
  )
}
