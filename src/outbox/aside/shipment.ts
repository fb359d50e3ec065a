import type pg from 'pg'
import { type ActionType, bodySent, type EventFacts, type ToldForm } from '../../domain/event/event.ts'
import type { TimeId } from '../../domain/value/time-id.ts'
import { fields } from '../database/fields.ts'

/** An event on its way to a webhook, with what is sent of it. */
export type Delivery = {
  readonly webhookId: number
  readonly share: number
  readonly entityType: string
  readonly entityId: string
  readonly eventId: TimeId
  /** How often it was already tried. */
  readonly attempts: number
  /** Asked for by hand, not by the change itself. */
  readonly isManual: boolean
  /** As it is sent: `new` also for an `update` that took the place of one. */
  readonly actionType: ActionType
  readonly asNew: boolean
  /** An `update` that is sent as `delete`: it took its entity out of the webhook's filter. */
  readonly asDelete: boolean
  /** Whether the body holds what the event knows beyond its own. */
  readonly withPrevious: boolean
  /** The exact text to send, the same for every attempt. */
  readonly body: string
}

/** What one request carries: one event, or a batch in the order of its events. */
export type Shipment = {
  readonly webhookId: number
  /** Null for an event that goes as it is, not in a batch. */
  readonly batchId: TimeId | null
  /** Whether its deliveries are rows of the table, taken by who sends them; else they came by the stream. */
  readonly isAside: boolean
  readonly deliveries: readonly [Delivery, ...Delivery[]]
}

type DeliveryForm = Pick<Delivery, 'attempts' | 'isManual' | 'withPrevious'> & ToldForm

/** A delivery of an event to a webhook in a form. */
export function toDelivery(
  event: Pick<EventFacts, 'previous' | 'omitted'> & {
    readonly id: TimeId
    readonly share: number
    readonly entityType: string
    readonly entityId: string
    readonly actionType: ActionType
    readonly body: string
  },
  webhookId: number,
  form: DeliveryForm,
): Delivery {
  return {
    webhookId,
    share: event.share,
    entityType: event.entityType,
    entityId: event.entityId,
    eventId: event.id,
    attempts: form.attempts,
    isManual: form.isManual,
    actionType: form.asNew ? 'new' : form.asDelete ? 'delete' : event.actionType,
    asNew: form.asNew,
    asDelete: form.asDelete,
    withPrevious: form.withPrevious,
    body: form.asNew || form.asDelete || form.withPrevious ? bodySent(event, form) : event.body,
  }
}

/** The event `e` of a delivery `d`, each looked up by itself: a join may read all events of a day instead. */
export const itsEvent = 'cross join lateral (select * from walhook.events where id = d.event_id limit 1) e'

/** What `fromRow` reads of a row of deliveries `d` and its event `e`. */
export const deliveryColumns = `
d.webhook_id, d.share, d.entity_type, d.entity_id, d.event_id, d.attempts, d.is_manual, d.with_previous, d.as_new, d.as_delete,
d.batch_id, e.action_type, e.body,
case when d.with_previous then e.previous end as previous, case when d.with_previous then e.omitted end as omitted`

export function fromRow(row: pg.QueryResultRow): Delivery {
  const told = fields<DeliveryForm & Omit<Parameters<typeof toDelivery>[0], 'id'>>(row)
  return toDelivery({ ...told, id: row.event_id }, row.webhook_id, told)
}

/** What a shipment is known by while it is under way: its batch, or its events. */
export const idsOf = ({ batchId, deliveries }: Shipment): TimeId[] =>
  batchId === null ? deliveries.map(({ eventId }) => eventId) : [batchId]
