import type { Attempt } from '../../domain/delivery/attempt.ts'
import { isOverdue } from '../../domain/delivery/health.ts'
import { classifyAttempt, isOverloaded } from '../../domain/delivery/pace.ts'
import { longestRetryAfterMs, parseRetryAfter } from '../../domain/delivery/retry.ts'
import { decideNextOfShipment, type NextOfShipment } from '../../domain/delivery/shipment.ts'
import { timeOf } from '../../domain/value/time-id.ts'
import type { Shipment } from '../../outbox/aside/shipment.ts'
import type { Settlement } from '../../outbox/settle/settle.ts'
import type { Log } from '../../runtime/log.ts'
import type { Capacity } from '../sending/capacity.ts'
import type { Deliver, Target } from '../sending/deliver.ts'
import { messageOf } from '../sending/message.ts'

/**
 * Creates the function that sends a shipment: it updates the webhook's pace by the response, and decides the shipment's next
 * state. `mayBegin` is asked before the first byte. Never rejects.
 */
export function createSend(options: {
  deliver: Deliver
  capacity: Capacity
  scheduleMs: readonly number[]
  /** The clock of `capacity`. */
  clockMs: () => number
  nowMs: () => number
  random: () => number
  log: Log
}) {
  const { capacity, clockMs, nowMs, scheduleMs, log } = options

  return async (
    target: Target,
    shipment: Shipment,
    { signal, mayBegin }: { signal: AbortSignal; mayBegin: () => boolean },
  ): Promise<Settlement> => {
    const startedAtMs = clockMs()
    const committedAtMs = timeOf(shipment.deliveries[0].eventId)
    const attempt = await options.deliver(target, messageOf(shipment), signal, mayBegin)
    const status = attempt.response?.status ?? null
    const retryAfter = attempt.response?.headers['retry-after']
    const retryAfterMs = retryAfter === undefined ? null : parseRetryAfter(retryAfter, nowMs())
    const isFailing = capacity.end(target.webhookId, target.url, {
      reaction: classifyAttempt({ outcome: attempt.outcome, status, errorClass: attempt.errorClass }),
      startedAtMs,
      retryAfterMs,
    })
    const next = decideNextOfShipment({
      outcome: attempt.outcome,
      status,
      size: shipment.deliveries.length,
      number: attempt.number,
      retryAfterMs,
      scheduleMs,
      random: options.random(),
      isAskedToWait: isOverloaded(status) && retryAfterMs !== null,
      isOutdated: capacity.hasRecoveredSince(target.webhookId, startedAtMs),
      ageMs: nowMs() - committedAtMs,
    })
    const isGone = attempt.response?.status === 410 && attempt.outcome === 'refused'
    logAttempt(log, attempt, next)
    return {
      shipment,
      attempt,
      next,
      disable: isGone ? attempt.errorMessage : null,
      isFailing,
      isOverdue: isFailing && isOverdue(committedAtMs, nowMs(), scheduleMs),
      holdMs: isOverloaded(status) ? Math.min(retryAfterMs ?? 0, longestRetryAfterMs) : 0,
    }
  }
}

export type Send = ReturnType<typeof createSend>

/** Logs one wide line per attempt, with what follows. */
function logAttempt(log: Log, attempt: Attempt, next: NextOfShipment): void {
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
