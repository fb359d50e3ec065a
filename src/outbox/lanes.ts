import type { TimeId } from '../domain/time-id.ts'
import type { Batching, Mode } from '../domain/webhook.ts'
import type { Outbox } from './database.ts'

/** Lets a statement use the index `lanes_by_due`, which is not for those that look for a lane by its entity. */
export const byDue = `due_at > '-infinity'`

/** What a statement sets of a lane that nobody is to hold any more. */
export const free = `lease_id = null, leased_until = '-infinity'`

/** An entity, as the name of its queue for a webhook. */
export type Lane = { readonly entityType: string; readonly entityId: string }

/** What of a webhook is claimed, how much, and under which lease. */
export type ClaimInput = {
  readonly webhookId: number
  readonly mode: Mode
  readonly batch: Batching | null
  readonly limit: number
  readonly lease: string
  readonly leaseMs: number
  /** Lanes that are due since before are passed over. */
  readonly dueFrom?: Date | null
}

/**
 * Leases up to $2 due lanes of one webhook, those that are due since $5 or later. The choice must be a materialized CTE:
 * as a subquery, the planner may run it again and again, and lock more rows than the LIMIT says. Its rows are locked, so
 * they are where they were found: by `ctid` they are not looked up a second time in an index as deep as the queue is long.
 * One that another process has changed in the moment before it was locked is left to the next claim.
 * https://www.postgresql.org/docs/current/ddl-system-columns.html
 */
const leaseDueLanesStatement = `
with due as materialized (
  select ctid
  from walhook.lanes
  where webhook_id = $1 and due_at <= now() and due_at >= $5 and ${byDue} and leased_until <= now()
  order by due_at
  limit $2
  for update skip locked
)
update walhook.lanes l
set lease_id = $3, leased_until = now() + $4 * interval '1 ms'
from due d
where l.ctid = d.ctid
returning l.entity_type, l.entity_id, l.next_event_id`

/** A lane that was leased, and its oldest delivery, where that is known. */
export type LeasedLane = Lane & { readonly nextEventId: TimeId | null }

/** Leases up to `limit` due lanes of a webhook, and returns them. */
export async function leaseDueLanes(
  outbox: Outbox,
  input: Pick<ClaimInput, 'webhookId' | 'limit' | 'lease' | 'leaseMs' | 'dueFrom'>,
): Promise<LeasedLane[]> {
  const { rows } = await outbox.pool.query({
    name: 'lease_due_lanes',
    text: leaseDueLanesStatement,
    values: [input.webhookId, input.limit, input.lease, input.leaseMs, input.dueFrom ?? '-infinity'],
  })
  return rows.map(row => ({
    entityType: row.entity_type,
    entityId: row.entity_id,
    nextEventId: row.next_event_id,
  }))
}

/** Locks in the order in which an append locks, so that neither waits for the other for ever, each lane looked up by itself. */
const giveBackStatement = `
with held as materialized (
  select l.ctid, r.due_in_ms
  from (
    select * from unnest($1::int[], $2::text[], $3::text[], $4::uuid[], $5::float8[])
                    as r (webhook_id, entity_type, entity_id, lease_id, due_in_ms)
    order by webhook_id, entity_type collate "C", entity_id collate "C"
  ) r
  cross join lateral (
    select ctid from walhook.lanes
    where webhook_id = r.webhook_id and entity_type = r.entity_type and entity_id = r.entity_id and lease_id = r.lease_id
    for update
  ) l
), given as (
  update walhook.lanes l
  set ${free}, due_at = clock_timestamp() + held.due_in_ms * interval '1 ms'
  from held where l.ctid = held.ctid
  returning l.webhook_id
)
select (select count(*) from held) = (select count(*) from given) as is_done`

type HeldLane = Lane & { readonly webhookId: number; readonly lease: string }

/** Gives back lanes that were claimed and not tried, for any process to claim `dueInMs` from now. */
export async function giveBack(
  outbox: Outbox,
  lanes: readonly (HeldLane & { readonly dueInMs: number })[],
): Promise<void> {
  if (lanes.length === 0) return
  const values = [
    lanes.map(lane => lane.webhookId),
    lanes.map(lane => lane.entityType),
    lanes.map(lane => lane.entityId),
    lanes.map(lane => lane.lease),
    lanes.map(lane => lane.dueInMs),
  ]
  // A lane for whose lock it had to wait may have been changed meanwhile, and only the next statement sees where it is now.
  for (;;) {
    const { rows } = await outbox.pool.query(giveBackStatement, values)
    if (rows[0].is_done) return
  }
}

/** Gives back lanes that were claimed and not tried: due at once, for any process. */
export async function release(outbox: Outbox, lanes: readonly HeldLane[]): Promise<void> {
  await giveBack(
    outbox,
    lanes.map(lane => ({ ...lane, dueInMs: 0 })),
  )
}
