import type { Attempt } from '../../domain/delivery/attempt.ts'
import type { NextOfShipment } from '../../domain/delivery/shipment.ts'
import type { Log } from '../../runtime/log.ts'

/** Logs one wide line per attempt, with what follows. */
export function tellAttempt(log: Log, attempt: Attempt, next: NextOfShipment): void {
  log.info('delivery.attempted', {
    webhook_id: attempt.webhookId,
    event_id: attempt.eventId === null ? undefined : String(attempt.eventId),
    events: attempt.eventIds?.length,
    message_id: attempt.messageId,
    entity_type: attempt.entityType ?? undefined,
    entity_id: attempt.entityId ?? undefined,
    action_type: attempt.actionType ?? undefined,
    number: attempt.number,
    outcome: attempt.outcome,
    status: attempt.response?.status,
    error_class: attempt.errorClass ?? undefined,
    duration_ms: attempt.durationMs,
    next: next.state,
    next_in_ms: 'waitMs' in next ? next.waitMs : undefined,
  })
}
