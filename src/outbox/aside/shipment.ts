import type pg from 'pg'
import { type ActionType, bodySent, type EventFacts, type SentForm } from '../../domain/event/event.ts'
import type { TimeId } from '../../domain/value/time-id.ts'
import { fields } from '../database/fields.ts'
import type { RowKey } from '../database/row-keys.ts'

/** An event to send to a webhook, with its body. */
export type Delivery = RowKey & {
  readonly share: number
  /** The attempts so far. */
  readonly attempts: number
  /** Requested by hand, not caused by the change itself. */
  readonly isManual: boolean
  /** The action sent: `new` also for an `update` that replaces one. */
  readonly actionType: ActionType
  readonly asNew: boolean
  /** An `update` sent as `delete`: the entity no longer matches the filter. */
  readonly asDelete: boolean
  /** Whether the body contains the event's previous values. */
  readonly withPrevious: boolean
  /** The exact text, equal for each attempt. */
  readonly body: string
}

/** The content of one request: one event, or a batch in event order. */
export type Shipment = {
  readonly webhookId: number
  /** Null for a single event. */
  readonly batchId: TimeId | null
  /** Whether its deliveries are rows taken by the sender; otherwise they came by the stream. */
  readonly isAside: boolean
  readonly deliveries: readonly [Delivery, ...Delivery[]]
}

type DeliveryForm = Pick<Delivery, 'attempts' | 'isManual' | 'withPrevious'> & SentForm

/** A delivery of an event to a webhook, in one form. */
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

/** The event `e` of a delivery `d`, looked up one by one: a join may read a whole day instead. */
export const itsEvent = 'cross join lateral (select * from walhook.events where id = d.event_id limit 1) e'

/** The columns of delivery `d` and event `e` for `fromRow`. */
export const deliveryColumns = `
d.webhook_id, d.share, d.entity_type, d.entity_id, d.event_id, d.attempts, d.is_manual, d.with_previous, d.as_new, d.as_delete,
d.batch_id, e.action_type, e.body,
case when d.with_previous then e.previous end as previous, case when d.with_previous then e.omitted end as omitted`

export function fromRow(row: pg.QueryResultRow): Delivery {
  const form = fields<DeliveryForm & Omit<Parameters<typeof toDelivery>[0], 'id'>>(row)
  return toDelivery({ ...form, id: row.event_id }, row.webhook_id, form)
}

/** The ids of a shipment in flight: its batch, or its events. */
export const idsOf = ({ batchId, deliveries }: Shipment): TimeId[] =>
  batchId === null ? deliveries.map(({ eventId }) => eventId) : [batchId]
