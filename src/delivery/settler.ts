import type { Outbox } from '../outbox/database.ts'
import { type LeftLane, type Settlement, settle } from '../outbox/settle.ts'
import { describeError, type Log } from '../runtime/log.ts'
import { sleep } from '../runtime/sleep.ts'

const maxBatch = 200
const retryMs = 500

/**
 * Settles finished attempts in batches: what finishes while one batch commits goes into the next, so that a
 * busy queue shares commits and an idle one waits for nothing. While the database is away, settlements wait
 * here, and their lanes stay in flight.
 */
export function createSettler(options: {
  outbox: Outbox
  log: Log
  /** `left` are the lanes of these that have something left. */
  onSettled: (settlements: readonly Settlement[], left: readonly LeftLane[]) => void
}) {
  const waiting: Settlement[] = []
  let isRunning = false
  const gaveUp = new AbortController()

  async function drain(): Promise<void> {
    while (waiting.length > 0) {
      const batch = waiting.splice(0, maxBatch)
      const left: LeftLane[] = []
      while (!gaveUp.signal.aborted) {
        try {
          await settle(options.outbox, batch, {
            disabled: ({ webhookId, reason }) =>
              options.log.warn('webhook.disabled', { webhook_id: webhookId, reason }),
            left: lane => left.push(lane),
          })
          break
        } catch (error) {
          options.log.error('delivery.settle_failed', {
            reason: describeError(error),
            attempts: batch.length,
          })
          await sleep(retryMs, gaveUp.signal)
        }
      }
      options.onSettled(batch, left)
    }
    isRunning = false
  }

  return {
    push(settlement: Settlement) {
      waiting.push(settlement)
      if (isRunning) return
      isRunning = true
      void drain()
    },
    /** Stops trying: what is not settled by now is left to the end of its lease. */
    giveUp: () => gaveUp.abort(),
  }
}
