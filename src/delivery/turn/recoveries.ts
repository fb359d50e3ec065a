import { bringForward, type EarlyRetries } from '../../outbox/aside/early-retries.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import { describeError, type Log } from '../../runtime/log.ts'

/** A receiver of thousands recovers at once: heartbeats and settlements need connections, too. */
const maxAtOnce = 2

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
  const waiting = new Set<number>()

  async function bring(webhookId: number): Promise<void> {
    try {
      const rows = await bringForward(outbox, webhookId, early, () => options.onDue(webhookId))
      log.info('webhook.recovered', { webhook_id: webhookId, retried_at_once: rows })
    } catch (error) {
      // The schedule remains.
      log.warn('webhook.recovery_failed', { webhook_id: webhookId, reason: describeError(error) })
    }
  }

  async function work(): Promise<void> {
    for (const webhookId of waiting) {
      if (running.size >= maxAtOnce) return
      waiting.delete(webhookId)
      running.add(webhookId)
      await bring(webhookId)
      running.delete(webhookId)
    }
  }

  return {
    /** A webhook delivered after an outage. */
    recovered(webhookId: number): void {
      if (running.has(webhookId)) return
      waiting.add(webhookId)
      void work()
    },
  }
}
