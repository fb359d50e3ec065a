import { type Performances, spanWithNow } from '../../domain/shown/traffic.ts'
import { hourMs } from '../../domain/value/duration.ts'
import { timeOf } from '../../domain/value/time-id.ts'
import { readOldestPending } from '../../outbox/figures/oldest-pending.ts'
import { readPerformance } from '../../outbox/figures/performance.ts'
import { type Count, countWaiting } from '../../outbox/reading/queue-depth.ts'
import { findWebhook } from '../../outbox/records/webhooks.ts'
import type { Control } from '../kit/control.ts'
import { notFound, type Result } from '../kit/result.ts'

export type WebhookStats = {
  /** By hour, and by six hours, both including the current minute. */
  readonly day: Performances
  readonly week: Performances
  readonly pending: Count
  /** The time of the oldest pending event; null: none known. */
  readonly oldestPending: { readonly at: Date | null; readonly isExact: boolean }
}

const maxPending = 1_000

export async function readWebhookStats(
  { outbox }: Control,
  webhookId: number,
  nowMs: number,
): Promise<Result<WebhookStats>> {
  if (!(await findWebhook(outbox, webhookId))) return notFound('webhook', webhookId)
  const [day, week, pending, oldest] = await Promise.all([
    readPerformance(outbox, webhookId, spanWithNow(nowMs, hourMs, 24)),
    readPerformance(outbox, webhookId, spanWithNow(nowMs, 6 * hourMs, 28)),
    countWaiting(outbox, webhookId, maxPending),
    readOldestPending(outbox, webhookId),
  ])
  const at = oldest.eventId === null ? null : new Date(timeOf(oldest.eventId))
  return { ok: true, value: { day, week, pending, oldestPending: { at, isExact: oldest.isExact } } }
}
