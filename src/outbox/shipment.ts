import { type ActionType, bodySent } from '../domain/event.ts'
import type { TimeId } from '../domain/time-id.ts'

/** A delivery whose lane is leased, with what is sent of it. */
export type ClaimedDelivery = {
  readonly webhookId: number
  readonly entityType: string
  readonly entityId: string
  /** Of its lane. */
  readonly lease: string
  readonly eventId: TimeId
  /** How often it was already tried. */
  readonly attempts: number
  /** Asked for by hand, not by the change itself. */
  readonly isManual: boolean
  /** As it is sent: `new` also for an `update` that took the place of one. */
  readonly actionType: ActionType
  readonly asNew: boolean
  /** The exact text to send, the same for every attempt. */
  readonly body: string
  /** Whether it holds what the event knows beyond its own body. */
  readonly withPrevious: boolean
}

/**
 * What one request carries: the oldest delivery of one lane, or a batch: deliveries of one or several lanes, the
 * oldest of each, in the order of their events. Every lane that it touches is leased to whoever sends it.
 */
export type Shipment = {
  readonly webhookId: number
  /** Null for a delivery that goes as it is, not in a batch. */
  readonly batchId: TimeId | null
  readonly deliveries: readonly [ClaimedDelivery, ...ClaimedDelivery[]]
}

/** `lookAgainInMs`: when more is to be claimed although nothing tells of it, in ms; null where there is nothing. */
export type Claimed = { readonly shipments: readonly Shipment[]; readonly lookAgainInMs: number | null }

/**
 * The event `e` of a delivery `d`, each looked up by itself. A join may read all events of a day instead, by a plan that was
 * made when the day was young.
 */
export const itsEvent = 'cross join lateral (select * from walhook.events where id = d.event_id limit 1) e'

/** A row of a delivery with its event. */
export function toClaimed(
  // biome-ignore lint/suspicious/noExplicitAny: as node-postgres gives it
  row: any,
  { webhookId, lease }: { webhookId: number; lease: string },
): ClaimedDelivery {
  return {
    webhookId,
    entityType: row.entity_type,
    entityId: row.entity_id,
    lease,
    eventId: row.event_id,
    attempts: row.attempts,
    isManual: row.is_manual,
    actionType: row.as_new ? 'new' : row.action_type,
    asNew: row.as_new,
    body: bodySent(row, { asNew: row.as_new, withPrevious: row.with_previous }),
    withPrevious: row.with_previous,
  }
}
