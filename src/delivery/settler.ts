import type { LeftLane, Settlement } from '../outbox/settle.ts'
import { isOfData, withoutAnswer } from '../outbox/unstorable.ts'
import { describeError, type Log } from '../runtime/log.ts'
import { sleep } from '../runtime/sleep.ts'

const maxBatch = 200
/** So many wait for no more company. */
const enough = 20
const longestRestMs = 20
const retryMs = 500

/**
 * Settles finished attempts in batches: what finishes while one batch commits goes into the next, and so does what
 * finishes while the settler then rests, for as long as the commit took. So a busy queue shares commits, at half of the
 * pace of the disk at the most, and an idle one waits for nothing. While the database is away, settlements wait here, and
 * their lanes stay in flight.
 */
export function createSettler(options: {
  /** Settles them in one commit; returns the lanes that have something left. */
  settle: (settlements: readonly Settlement[]) => Promise<readonly LeftLane[]>
  log: Log
  clockMs: () => number
  onSettled: (settlements: readonly Settlement[], left: readonly LeftLane[]) => void
}) {
  const { log, clockMs } = options
  const waiting: Settlement[] = []
  let isRunning = false
  let restsUntilMs = Number.NEGATIVE_INFINITY
  /** Since when the batch that is being settled waits for its commit; null: none is. */
  let settlingSinceMs: number | null = null
  /** Ends a rest. */
  let wake = () => {}
  const gaveUp = new AbortController()

  async function drain(): Promise<void> {
    while (waiting.length > 0) {
      if (waiting.length < enough) await rest(restsUntilMs - clockMs())
      const batch = waiting.splice(0, maxBatch)
      options.onSettled(batch, await settleSurely(batch))
    }
    isRunning = false
  }

  async function settleSurely(batch: readonly Settlement[]): Promise<readonly LeftLane[]> {
    settlingSinceMs = clockMs()
    while (!gaveUp.signal.aborted) {
      const startMs = clockMs()
      try {
        const left = await options.settle(batch)
        const endMs = clockMs()
        settlingSinceMs = null
        restsUntilMs = endMs + Math.min(endMs - startMs, longestRestMs)
        return left
      } catch (error) {
        log.error('delivery.settle_failed', { reason: describeError(error), attempts: batch.length })
        if (isOfData(error)) return await settleApart(batch, error)
        await sleep(retryMs, gaveUp.signal)
      }
    }
    return []
  }

  /** What one of them brings must not keep the others from being settled: halves, down to the one that can't be stored as it is. */
  async function settleApart(batch: readonly Settlement[], error: unknown): Promise<readonly LeftLane[]> {
    if (batch.length > 1) {
      const middle = Math.ceil(batch.length / 2)
      return [...(await settleSurely(batch.slice(0, middle))), ...(await settleSurely(batch.slice(middle)))]
    }
    const [settlement] = batch
    const { webhookId, eventId } = settlement!.attempt
    const facts = { webhook_id: webhookId, event_id: eventId === null ? undefined : String(eventId) }
    try {
      const left = await options.settle([withoutAnswer(settlement!, error)])
      log.error('delivery.answer_not_stored', { ...facts, reason: describeError(error) })
      return left
    } catch (error) {
      // Its lease ends by itself.
      log.error('delivery.not_settled', { ...facts, reason: describeError(error) })
      return []
    } finally {
      settlingSinceMs = null
    }
  }

  async function rest(ms: number): Promise<void> {
    if (ms <= 0) return
    const woken = new AbortController()
    wake = () => woken.abort()
    await sleep(ms, woken.signal)
    wake = () => {}
  }

  return {
    push(settlement: Settlement) {
      waiting.push(settlement)
      if (waiting.length >= enough) wake()
      if (isRunning) return
      isRunning = true
      void drain()
    },
    settlingSinceMs: () => settlingSinceMs,
    /** Stops trying: what is not settled by now is left to the end of its lease. */
    giveUp() {
      gaveUp.abort()
      wake()
    },
  }
}
