import type pg from 'pg'
import type { TimeId } from '../domain/time-id.ts'
import { triggerOf } from '../domain/trigger.ts'
import { wakeChannel } from './append.ts'

/** What became of the wish to send one event to a webhook once more. */
export type Resent =
  | { readonly state: 'no_webhook' }
  | { readonly state: 'no_event' | 'in_flight' }
  /** The webhook has not the event's trigger. */
  | { readonly state: 'not_wanted'; readonly trigger: string }
  | { readonly state: 'inactive'; readonly disabledReason: string | null }
  | {
      readonly state: 'queued'
      readonly entityType: string
      readonly entityId: string
      /** The event of the entity that is on its way or comes first, or null: this one is next. */
      readonly behind: TimeId | null
      /** A newer event of the entity was delivered, or is on its way: the receiver gets an older state after it. */
      readonly newerDelivered: boolean
    }

/** Whether a webhook may be given deliveries. Locked against deletion until the transaction ends. */
const lockWebhookStatement = `
select is_active and disabled_at is null as may_send, disabled_reason, triggers
from walhook.webhooks where id = $1 for key share`

/**
 * Whoever asks for events of a webhook by hand does so alone: a replay makes a delivery first and locks its lane then, a
 * resend the other way round, and for one event at once they would wait for each other. Not by the webhook's row, for which a
 * settlement may wait. The first number is any that nothing else in the database locks: the letters of "hand".
 */
const lockByHandStatement = `select pg_advisory_xact_lock(x'68616e64'::int, $1)`

/** Locks a lane, or makes it; which of its deliveries is the oldest may change. `lease` is null where nobody holds it now. */
const lockOrMakeLaneStatement = `
insert into walhook.lanes as l (webhook_id, entity_type, entity_id) values ($1, $2, $3)
on conflict (webhook_id, entity_type, entity_id) do update set next_event_id = null
returning case when leased_until > clock_timestamp() then lease_id end as lease`

/** The lane's oldest delivery; under a lease, the oldest one that was there when the lease began: what is in flight. */
const oldestDeliveryStatement = `
select event_id, batch_id from walhook.deliveries
where webhook_id = $1 and entity_type = $2 and entity_id = $3
  and ($4::uuid is null or asked_during is distinct from $4)
order by event_id limit 1`

/**
 * A new delivery of the event, with the body that the webhook wants now, or the one that waits, with the body that it
 * has: counted from the first attempt again. It is not ended any more.
 */
const askForDeliveryStatement = `
with ended as (
  delete from walhook.ended_deliveries where webhook_id = $1 and event_id = $4
)
insert into walhook.deliveries (webhook_id, entity_type, entity_id, event_id, with_previous, is_manual, asked_during)
select $1, $2, $3, $4, previous, true, $5 from walhook.webhooks where id = $1
on conflict (webhook_id, entity_type, entity_id, event_id)
  do update set attempts = 0, is_manual = true, asked_during = excluded.asked_during`

/**
 * Looked up as a row of a list, because for single values the planner may take the index by time, and read all lanes of the
 * webhook.
 */
const laneIsDueStatement = `
with lane as materialized (
  select found.ctid
  from unnest(array[$1::int], array[$2::text], array[$3::text]) as k (webhook_id, entity_type, entity_id)
  cross join lateral (
    select ctid from walhook.lanes
    where webhook_id = k.webhook_id and entity_type = k.entity_type and entity_id = k.entity_id limit 1
  ) found
)
update walhook.lanes l set due_at = now() from lane where l.ctid = lane.ctid`

/** How many of an entity's next events are looked at for one that was delivered: the lane is locked meanwhile. */
const newerEvents = 1_000

const newerDeliveredStatement = `
select exists (
  select from (
    select id from walhook.events where entity_type = $2 and entity_id = $3 and id > $4 order by id limit ${newerEvents}
  ) e
  where exists (
    select from walhook.attempts a
    where a.event_id = e.id and a.webhook_id = $1 and a.id > e.id and a.outcome = 'delivered'
  )
) as newer_delivered`

/**
 * Puts an event into its lane of a webhook once more, whatever became of it before and, unless `onlyWanted`, whether the
 * webhook has its trigger or not: as a delivery that is asked for by hand and begins with its first attempt. It goes through the lane
 * like any other, at its place in the order; where it is the oldest, the lane is due at once.
 *
 * The lane is locked first, as a settlement does, and everything else is read under that lock. A delivery that is
 * under way right now is left alone. Run inside a transaction.
 */
export async function resendEvent(
  client: pg.PoolClient,
  input: { webhookId: number; eventId: TimeId; onlyWanted?: boolean },
): Promise<Resent> {
  const { webhookId, eventId } = input
  const webhook = await lockSendingWebhook(client, webhookId)
  if (!webhook.ok) return webhook.refusal
  const event = await client.query(
    'select entity_type, entity_id, action_type from walhook.events where id = $1',
    [eventId],
  )
  if (!event.rows[0]) return { state: 'no_event' }
  const { entity_type: entityType, entity_id: entityId, action_type: actionType } = event.rows[0]
  const trigger = triggerOf(entityType, actionType)
  if (input.onlyWanted && !webhook.triggers.includes(trigger)) return { state: 'not_wanted', trigger }
  const key = [webhookId, entityType, entityId]

  const { lease } = (await client.query(lockOrMakeLaneStatement, key)).rows[0]
  const oldest = async (underLease: string | null): Promise<{ event_id: TimeId; batch_id: TimeId | null }> =>
    (await client.query(oldestDeliveryStatement, [...key, underLease])).rows[0]
  const held = lease === null ? null : await oldest(lease)
  const inFlight = held?.event_id ?? null
  if (inFlight === eventId || (await isInBatch(client, [...key, eventId], held?.batch_id)))
    return { state: 'in_flight' }

  await client.query(askForDeliveryStatement, [...key, eventId, lease])
  const first = (await oldest(null)).event_id
  if (first === eventId) await client.query(laneIsDueStatement, key)
  const newer = await client.query(newerDeliveredStatement, [...key, eventId])
  await client.query(`select pg_notify('${wakeChannel}', '')`)
  return {
    state: 'queued',
    entityType,
    entityId,
    behind: inFlight ?? (first === eventId ? null : first),
    newerDelivered: newer.rows[0].newer_delivered || (inFlight !== null && inFlight > eventId),
  }
}

async function isInBatch(
  client: pg.PoolClient,
  delivery: readonly unknown[],
  batchId: TimeId | null | undefined,
): Promise<boolean> {
  if (!batchId) return false
  const { rowCount } = await client.query(
    `select from walhook.deliveries
     where webhook_id = $1 and entity_type = $2 and entity_id = $3 and event_id = $4 and batch_id = $5`,
    [...delivery, batchId],
  )
  return rowCount === 1
}

/** Locks a webhook against deletion and others who ask by hand, and says whether it may be given deliveries. */
export async function lockSendingWebhook(
  client: pg.PoolClient,
  webhookId: number,
): Promise<
  | { readonly ok: true; readonly triggers: readonly string[] }
  | { readonly ok: false; readonly refusal: Extract<Resent, { state: 'no_webhook' | 'inactive' }> }
> {
  const { rows } = await client.query(lockWebhookStatement, [webhookId])
  if (!rows[0]) return { ok: false, refusal: { state: 'no_webhook' } }
  if (!rows[0].may_send)
    return { ok: false, refusal: { state: 'inactive', disabledReason: rows[0].disabled_reason } }
  await client.query(lockByHandStatement, [webhookId])
  return { ok: true, triggers: rows[0].triggers }
}
