import { batchBody, batchMessageId } from '../../domain/delivery/shipment.ts'
import { messageId } from '../../domain/event/event.ts'
import type { Shipment } from '../../outbox/aside/shipment.ts'
import type { Sendable } from './deliver.ts'

/**
 * The message of a shipment: the body of its delivery, or the array of all bodies under the batch's id. Equal for each
 * attempt except its number. Manual if all of it was requested by hand.
 */
export function messageOf({ webhookId, batchId, deliveries }: Shipment): Sendable {
  const [first] = deliveries
  const trigger = deliveries.every(({ isManual }) => isManual) ? 'manual' : 'schedule'
  const number = first.attempts + 1
  if (batchId === null) {
    const { eventId, entityType, entityId, actionType, body } = first
    const id = messageId(webhookId, eventId)
    return { trigger, messageId: id, eventId, eventIds: null, entityType, entityId, actionType, number, body }
  }
  return {
    trigger,
    messageId: batchMessageId(webhookId, batchId, deliveries.length),
    eventId: null,
    eventIds: deliveries.map(({ eventId }) => eventId),
    entityType: null,
    entityId: null,
    actionType: null,
    number,
    body: batchBody(deliveries.map(({ body }) => body)),
  }
}
