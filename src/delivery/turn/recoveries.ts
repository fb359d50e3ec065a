import { bringForward, type EarlyRetries } from '../../outbox/aside/early-retries.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import { describeError, type Log } from '../../runtime/log.ts'

/**
 * Makes early retries due once their webhook delivers again: after an outage of seconds, nothing waits for minutes. At the
 * webhook's pace; once per early retry of a delivery.
 */
export function createRecoveries(options: {
  outbox: Outbox
  early: EarlyRetries
  log: Log
  /** A webhook has newly due deliveries. */
  onDue: (webhookId: number) => void
}) {
  const { outbox, early, log } = options
  const running = new Set<number>()

  return {
    /** A webhook delivered after an outage. */
    async recovered(webhookId: number): Promise<void> {
      if (running.has(webhookId)) return
      running.add(webhookId)
      try {
        const rows = await bringForward(outbox, webhookId, early, () => options.onDue(webhookId))
        log.info('webhook.recovered', { webhook_id: webhookId, retried_at_once: rows })
      } catch (error) {
        // The schedule remains.
        log.warn('webhook.recovery_failed', { webhook_id: webhookId, reason: describeError(error) })
      } finally {
        running.delete(webhookId)
      }
    },
  }
}
