import { bringForward, type EarlyRetries } from '../../outbox/aside/early-retries.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import { describeError, type Log } from '../../runtime/log.ts'

/**
 * Sends what waits for an early retry as soon as its webhook delivers again: after an outage of seconds, nothing waits for
 * minutes. At the webhook's pace, as everything; a delivery is brought forward once for each of its early retries at most.
 */
export function createRecoveries(options: {
  outbox: Outbox
  early: EarlyRetries
  log: Log
  /** Something of a webhook has become due. */
  onDue: (webhookId: number) => void
}) {
  const { outbox, early, log } = options
  const running = new Set<number>()

  return {
    /** A webhook that refused everything has delivered. */
    async recovered(webhookId: number): Promise<void> {
      if (running.has(webhookId)) return
      running.add(webhookId)
      try {
        const rows = await bringForward(outbox, webhookId, early, () => options.onDue(webhookId))
        log.info('webhook.recovered', { webhook_id: webhookId, retried_at_once: rows })
      } catch (error) {
        // They are due by the schedule.
        log.warn('webhook.recovery_failed', { webhook_id: webhookId, reason: describeError(error) })
      } finally {
        running.delete(webhookId)
      }
    },
  }
}
