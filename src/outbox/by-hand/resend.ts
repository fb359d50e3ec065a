import type pg from 'pg'
import { triggerOf } from '../../domain/event/trigger.ts'
import type { TimeId } from '../../domain/value/time-id.ts'
import { openInStream } from '../aside/pulled.ts'
import { isTaken } from '../aside/taken.ts'
import { statement } from '../database/statement.ts'
import { isDelivered, positionIn } from '../log/waits.ts'
import { concernsFilter, isMeantFor, isOfTenant } from '../log/wanted.ts'
import { askFor } from './ask.ts'
import { lockToSend, type NotSending } from './by-hand.ts'

type Resent =
  | NotSending
  | { readonly state: 'no_event' | 'in_flight' }
  /** The webhook lacks the event's trigger. */
  | { readonly state: 'not_wanted'; readonly trigger: string }
  /** Its filter excludes the event. */
  | { readonly state: 'filtered' }
  | {
      readonly state: 'queued'
      readonly entityType: string
      readonly entityId: string
      /** The event of the entity to be sent first, or null: this one is next. */
      readonly behind: TimeId | null
      /** A newer event of the entity was delivered, or is in flight: the receiver gets an older state after it. */
      readonly newerDelivered: boolean
    }

/** How many later events are searched for a delivered one: every holder waits meanwhile. */
const newerEvents = 1_000

/**
 * An entity's request in flight, as a row or by the stream, its oldest row, and whether one of the `newerEvents` after
 * `eventId` was delivered.
 */
const aroundEvent = statement(
  'around_event',
  { webhookId: 'int', entityType: 'text', entityId: 'text', share: 'smallint', eventId: 'bigint' },
  p => `
select
  (select d.event_id from walhook.deliveries d
   where d.webhook_id = ${p.webhookId} and d.entity_type = ${p.entityType} and d.entity_id = ${p.entityId} and ${isTaken('d')}
   order by d.event_id limit 1) as taken,
  (select id
   from (
     select ${p.entityType} as entity_type, ${p.entityId} as entity_id, settled_up_to, may_send_up_to as up_to
     from (${positionIn(p.webhookId, p.share)}) p
   ) k
   cross join lateral (${openInStream(p.webhookId, 'k', String(newerEvents))}) e
   limit 1) as sent_by_stream,
  (select event_id from walhook.deliveries
   where webhook_id = ${p.webhookId} and entity_type = ${p.entityType} and entity_id = ${p.entityId}
   order by event_id limit 1) as first,
  exists (
    select 1 from (
      select id from walhook.events
      where entity_id = ${p.entityId} and entity_type = ${p.entityType} and id > ${p.eventId} order by id limit ${newerEvents}
    ) e
    where ${isDelivered(p.webhookId, 'e')}
  ) as newer_delivered`,
)

const meantStatement = `
select e.entity_type, e.action_type, ${isMeantFor('e', 'w')} as is_meant, ${concernsFilter('e', 'w')} as is_filtered,
       ${isOfTenant('e', 'w')} as is_of_tenant
from walhook.events e join walhook.webhooks w on w.id = $1 where e.id = $2`

/**
 * Resends one event to a webhook, whatever its state and, unless `onlyWanted`, without a trigger: a replay of one event. It
 * keeps the entity's order, and starts with attempt 1. A request in flight is left alone. A transaction of its
 * own.
 */
export async function resendEvent(
  client: pg.PoolClient,
  input: { webhookId: number; eventId: TimeId; onlyWanted?: boolean },
): Promise<Resent> {
  const { webhookId, eventId } = input
  const webhook = await lockToSend(client, webhookId)
  if (!webhook.ok) return webhook.refusal
  const { rows: found } = await client.query(meantStatement, [webhookId, eventId])
  // A tenant's webhook never gets another tenant's events.
  if (!found[0]?.is_of_tenant) return { state: 'no_event' }
  if (input.onlyWanted) {
    const { entity_type, action_type, is_meant, is_filtered } = found[0]
    const trigger = triggerOf(entity_type, action_type)
    if (!is_meant) return is_filtered ? { state: 'filtered' } : { state: 'not_wanted', trigger }
  }
  const { events, asked } = await askFor(client, { webhookId, eventIds: [eventId], purpose: 'resend' })
  const [event] = events
  if (!event) return { state: 'no_event' }
  if (asked.length === 0) return { state: 'in_flight' }
  const { entityType, entityId, share } = event
  const { rows } = await aroundEvent(client, { webhookId, entityType, entityId, share, eventId })
  const { taken, sent_by_stream, first, newer_delivered } = rows[0]
  const inFlight: TimeId | null = taken ?? sent_by_stream
  return {
    state: 'queued',
    entityType,
    entityId,
    behind: inFlight ?? (first === eventId ? null : first),
    newerDelivered: newer_delivered || (inFlight !== null && inFlight > eventId),
  }
}
