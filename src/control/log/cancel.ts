import type { Entity } from '../../domain/event/entity.ts'
import type { TimeId } from '../../domain/value/time-id.ts'
import { cancelRows, skipWaiting } from '../../outbox/by-hand/cancel.ts'
import { countSkipped } from '../../outbox/by-hand/count-skipped.ts'
import { transaction } from '../../outbox/database/database.ts'
import { findEvent, findLastEvent } from '../../outbox/reading/events.ts'
import * as queueDepth from '../../outbox/reading/queue-depth.ts'
import { recordAudit } from '../../outbox/records/audit.ts'
import type { Caller, Control } from '../kit/control.ts'
import { notFound, type Result } from '../kit/result.ts'
import { eventFor, webhookFor } from '../kit/tenants.ts'

/** A part of a webhook's queue: everything, one entity, or one event. */
export type Waiting =
  | { readonly of: 'webhook' }
  | { readonly of: 'entity'; readonly entity: Entity }
  | { readonly of: 'event'; readonly eventId: TimeId }

/** `isComplete` is false if one call can't take all, or could not tell whether something was in flight: call again. */
type Cancelled = { readonly cancelled: number; readonly isComplete: boolean }

export type Count = queueDepth.Count
/** A confirmation needs no exact number beyond this. */
export const maxCounted = 10_000

/** Every holder waits while a page is cancelled. */
const pageRows = 1_000
/** The time limit of one call: HTTP clients and proxies do not wait much longer. */
const longestMs = 10_000

/**
 * Cancels a webhook's pending deliveries, active or not, and records them as cancelled. Requests in flight and events after
 * the call continue. The first commit records the caller.
 */
export async function cancelWaiting(
  control: Control,
  caller: Caller,
  webhookId: number,
  waiting: Waiting,
): Promise<Result<Cancelled>> {
  const webhook = await webhookFor(control, caller, webhookId)
  if (!webhook) return notFound('webhook', webhookId)
  const found = waiting.of === 'event' ? await findEvent(control.outbox, waiting.eventId) : null
  const event = found && eventFor(webhook, found)
  if (waiting.of === 'event' && !event) return notFound('event', String(waiting.eventId))
  const which = {
    webhookId,
    entity: waiting.of === 'entity' ? waiting.entity : event,
    eventId: event?.id ?? null,
    upTo: (await findLastEvent(control.outbox))?.id ?? 0n,
  }
  const startedMs = performance.now()
  const isTimeOver = () => performance.now() - startedMs > longestMs
  const record = (client: Parameters<typeof recordAudit>[0]) =>
    recordAudit(client, caller, 'deliveries.cancelled', { webhookId, to: recorded(waiting) })

  // First: events that the streams bring from now on are later than the call.
  const { skipped, isUnsure } = await transaction(control.outbox.pool, async client => {
    const done = await skipWaiting(client, which)
    if (done.skipped) await record(client)
    return done
  })
  let cancelled = 0
  let isMore = true
  while (isMore && !isTimeOver()) {
    const isFirst = cancelled === 0 && skipped === null
    const page: Awaited<ReturnType<typeof cancelRows>> = await transaction(
      control.outbox.pool,
      async client => {
        const done = await cancelRows(client, which, pageRows)
        if (isFirst && done.cancelled > 0) await record(client)
        return done
      },
    )
    cancelled += page.cancelled
    isMore = page.isMore
  }
  const counted = skipped && (await countSkipped(control.outbox.pool, skipped, isTimeOver))
  return {
    ok: true,
    value: { cancelled: cancelled + (counted ?? 0), isComplete: !isMore && !isUnsure },
  }
}

/** How many deliveries of a webhook are pending or in flight, counted up to `max`. */
export async function countWaiting({ outbox }: Control, webhookId: number, max = maxCounted): Promise<Count> {
  return await queueDepth.countWaiting(outbox, webhookId, max)
}

function recorded(waiting: Waiting): object {
  if (waiting.of === 'webhook') return { all: true }
  return waiting.of === 'entity' ? waiting.entity : { eventId: waiting.eventId }
}
