import { keepLatest, type Superseded, type Waiting } from '../domain/latest.ts'
import type { TimeId } from '../domain/time-id.ts'
import type { Outbox } from './database.ts'
import { type ClaimInput, type Lane, release } from './lanes.ts'
import { itsEvent } from './shipment.ts'

/** How many waiting deliveries one claim looks at, and supersedes at most: what one commit may take. */
export const maxLookedAt = 1_000

type LaneDelivery = Lane & Waiting

/** Of each lane its oldest deliveries, up to $4, without those asked for by hand since the lease $5 began. */
const waitingStatement = `
select l.entity_type, l.entity_id, d.event_id, d.attempts, d.as_new, e.action_type,
       d.batch_id is not null and exists (
         select from walhook.deliveries o
         where o.webhook_id = $1 and o.batch_id = d.batch_id and o.event_id <> d.event_id
       ) as is_together
from unnest($2::text[], $3::text[]) as l (entity_type, entity_id)
cross join lateral (
  select event_id, attempts, as_new, batch_id from walhook.deliveries
  where webhook_id = $1 and entity_type = l.entity_type and entity_id = l.entity_id
    and asked_during is distinct from $5
  order by event_id limit $4
) d
${itsEvent}
order by l.entity_type, l.entity_id, d.event_id`

/** Where the delivery of the event that a row `s` names is found, if its lane is held. */
const itsDelivery = `
  join held on held.entity_type = s.entity_type and held.entity_id = s.entity_id
  cross join lateral (
    select ctid from walhook.deliveries
    where webhook_id = held.webhook_id and entity_type = s.entity_type and entity_id = s.entity_id and event_id = s.event_id
    limit 1
  ) waits`

/**
 * Ends superseded deliveries and gives those that are sent as `new` their form, of the lanes that are still held.
 *
 * - held:   locked in the order in which an append locks them. Whose lease has ended by now may be in flight elsewhere.
 * - all else is looked up one by one, whatever the planner believes of how much there is.
 */
const supersedeStatement = `
with held as materialized (
  select l.webhook_id, l.entity_type, l.entity_id
  from (
    select * from unnest($3::text[], $4::text[]) as k (entity_type, entity_id)
    order by entity_type collate "C", entity_id collate "C"
  ) k
  cross join lateral (
    select webhook_id, entity_type, entity_id from walhook.lanes
    where webhook_id = $1 and entity_type = k.entity_type and entity_id = k.entity_id and lease_id = $2
    for update
  ) l
), ended as (
  delete from walhook.deliveries d
  using unnest($5::text[], $6::text[], $7::bigint[], $8::bigint[])
          as s (entity_type, entity_id, event_id, superseded_by)
  ${itsDelivery}
  where d.ctid = waits.ctid
  returning d.entity_type, d.entity_id, d.event_id, d.attempts, s.superseded_by
), recorded as (
  insert into walhook.ended_deliveries
    (webhook_id, event_id, entity_type, entity_id, state, superseded_by, attempts)
  select $1, event_id, entity_type, entity_id, 'superseded', superseded_by, attempts from ended
  on conflict (webhook_id, event_id)
    do update set state = 'superseded', superseded_by = excluded.superseded_by, attempts = excluded.attempts,
                  ended_at = now()
), formed as (
  update walhook.deliveries d set as_new = true
  from unnest($9::text[], $10::text[], $11::bigint[]) as s (entity_type, entity_id, event_id)
  ${itsDelivery}
  where d.ctid = waits.ctid
)
select entity_type, entity_id from held`

/**
 * Of lanes that `lease` holds, ends what `keepLatest` says is superseded, in one commit, so that the oldest delivery
 * of each is what it is sent next. Looks at `maxLookedAt` deliveries in all. A lane that has more is `unfinished`: what
 * stands behind may supersede what was seen, so nothing of it is to be sent before it has been looked at again. Lanes
 * whose lease has ended are in neither.
 */
export async function supersede(
  outbox: Outbox,
  input: { webhookId: number; lease: string; lanes: readonly Lane[] },
): Promise<{ finished: Lane[]; unfinished: Lane[] }> {
  const { webhookId, lease, lanes } = input
  const limit = Math.max(2, Math.floor(maxLookedAt / lanes.length))
  const { rows } = await outbox.pool.query({
    name: 'waiting_deliveries',
    text: waitingStatement,
    values: [webhookId, lanes.map(lane => lane.entityType), lanes.map(lane => lane.entityId), limit, lease],
  })
  const waitingOf = Map.groupBy(rows.map(toDelivery), keyOf)
  const plans = [...waitingOf.values()].map(waiting => {
    const { send, superseded } = keepLatest(waiting)
    const [first] = send
    const isFinished = waiting.length < limit || send.length > 1 || first!.actionType === 'delete'
    return { lane: first!, isFinished, asNew: send.filter(({ asNew }) => asNew), superseded }
  })
  const changed = plans.filter(({ superseded }) => superseded.length > 0)
  const held = changed.length === 0 ? null : await writePlans(outbox, { webhookId, lease, plans: changed })
  const kept = plans.filter(({ lane, superseded }) => superseded.length === 0 || held!.has(keyOf(lane)))
  const { finished = [], unfinished = [] } = Object.groupBy(kept, plan =>
    plan.isFinished ? 'finished' : 'unfinished',
  )
  return { finished: finished.map(({ lane }) => lane), unfinished: unfinished.map(({ lane }) => lane) }
}

/** The same in a claim: what is unfinished is given back, due at once. Returns the lanes to go on with. */
export async function supersedeIn(
  outbox: Outbox,
  { webhookId, lease }: Pick<ClaimInput, 'webhookId' | 'lease'>,
  lanes: readonly Lane[],
): Promise<{ lanes: readonly Lane[]; isMoreDue: boolean }> {
  if (lanes.length === 0) return { lanes, isMoreDue: false }
  const { finished, unfinished } = await supersede(outbox, { webhookId, lease, lanes })
  await release(
    outbox,
    unfinished.map(lane => ({ ...lane, webhookId, lease })),
  )
  return { lanes: finished, isMoreDue: unfinished.length > 0 }
}

type Plan = {
  readonly lane: Lane
  readonly asNew: readonly LaneDelivery[]
  readonly superseded: readonly Superseded[]
}

/** Returns the keys of the lanes that were changed, being held. */
async function writePlans(
  outbox: Outbox,
  { webhookId, lease, plans }: { webhookId: number; lease: string; plans: readonly Plan[] },
): Promise<Set<string>> {
  const superseded = plans.flatMap(({ lane, superseded }) => superseded.map(each => ({ ...lane, ...each })))
  const asNew = plans.flatMap(plan => plan.asNew)
  const { rows } = await outbox.pool.query({
    name: 'supersede',
    text: supersedeStatement,
    values: [
      webhookId,
      lease,
      plans.map(({ lane }) => lane.entityType),
      plans.map(({ lane }) => lane.entityId),
      superseded.map(each => each.entityType),
      superseded.map(each => each.entityId),
      superseded.map(each => each.eventId),
      superseded.map(each => each.supersededBy),
      asNew.map(each => each.entityType),
      asNew.map(each => each.entityId),
      asNew.map(each => each.eventId),
    ],
  })
  return new Set(rows.map(row => keyOf({ entityType: row.entity_type, entityId: row.entity_id })))
}

function toDelivery(row: Record<string, unknown>): LaneDelivery {
  return {
    entityType: row.entity_type as string,
    entityId: row.entity_id as string,
    eventId: row.event_id as TimeId,
    actionType: row.action_type as Waiting['actionType'],
    attempts: row.attempts as number,
    asNew: row.as_new as boolean,
    isTogether: row.is_together as boolean,
  }
}

function keyOf({ entityType, entityId }: Lane): string {
  return JSON.stringify([entityType, entityId])
}
