import type { TimeId } from '../domain/time-id.ts'
import { recordAudit } from '../outbox/audit.ts'
import { cancelSome, type LaneKey } from '../outbox/cancel.ts'
import { inTransaction } from '../outbox/database.ts'
import { findEvent } from '../outbox/events.ts'
import { readLastEvent } from '../outbox/last-event.ts'
import * as queueDepth from '../outbox/queue-depth.ts'
import { findWebhook } from '../outbox/webhooks.ts'
import type { Caller, Control } from './control.ts'
import { notFound, type Result } from './result.ts'

/** What of a webhook's queue is meant: everything, one entity, or one event. */
export type Waiting =
  | { readonly of: 'webhook' }
  | { readonly of: 'entity'; readonly entity: LaneKey }
  | { readonly of: 'event'; readonly eventId: TimeId }

/**
 * `isComplete` is false where there was more than one call may take, or where it could not be told whether something
 * was in flight: call again.
 */
export type Cancelled = { readonly cancelled: number; readonly isComplete: boolean }

export type Count = queueDepth.Count
/** Beyond this, somebody who is asked whether they are sure needs no number. */
export const mostCounted = 10_000

/** Short enough for an append that waits for the lanes of a page. */
const pageDeliveries = 1_000
/** How long one call may take: an HTTP client, or a proxy before us, does not wait much longer. */
const longestMs = 10_000

/**
 * Cancels what waits for a webhook, active or not: it is never sent by itself, and is recorded as cancelled. What is in
 * flight goes on; so does what comes after the call. Its first commit records who asked for it.
 */
export async function cancelWaiting(
  control: Control,
  caller: Caller,
  webhookId: number,
  waiting: Waiting,
): Promise<Result<Cancelled>> {
  if (!(await findWebhook(control.outbox, webhookId))) return notFound('webhook', webhookId)
  const event = waiting.of === 'event' ? await findEvent(control.outbox, waiting.eventId) : null
  if (waiting.of === 'event' && !event) return notFound('event', String(waiting.eventId))
  const which = {
    webhookId,
    entity: waiting.of === 'entity' ? waiting.entity : event,
    eventId: event?.id ?? null,
    upTo: (await readLastEvent(control.outbox))?.id ?? 0n,
  }
  const startedMs = performance.now()
  let cancelled = 0
  let passedOver = 0
  let after: LaneKey | null = null
  do {
    const from = { after, limit: pageDeliveries }
    const isFirst = cancelled === 0
    const page: Awaited<ReturnType<typeof cancelSome>> = await inTransaction(
      control.outbox,
      async ({ client }) => {
        const done = await cancelSome(client, which, from)
        if (isFirst && done.cancelled > 0)
          await recordAudit(client, caller, 'deliveries.cancelled', { webhookId, to: recorded(waiting) })
        return done
      },
    )
    cancelled += page.cancelled
    passedOver += page.passedOver
    after = page.next
  } while (after !== null && performance.now() - startedMs < longestMs)
  return { ok: true, value: { cancelled, isComplete: after === null && passedOver === 0 } }
}

/** How many deliveries wait for a webhook or are in flight, counted up to `most`. */
export async function countWaiting(
  { outbox }: Control,
  webhookId: number,
  most = mostCounted,
): Promise<Count> {
  return await queueDepth.countWaiting(outbox, webhookId, most)
}

function recorded(waiting: Waiting): object {
  if (waiting.of === 'webhook') return { all: true }
  return waiting.of === 'entity' ? waiting.entity : { eventId: waiting.eventId }
}
