import { noteProblem, takeReplay, workOnReplay } from '../../outbox/by-hand/replays.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import { describeError, type Log } from '../../runtime/log.ts'
import type { Service } from '../../runtime/service.ts'
import { createWaker } from './waker.ts'

/** The poll interval: the end of a lease causes no wake-up. */
const defaultPollMs = 10_000
/** Every holder waits while a page is queued. */
const pageEvents = 1_000
/** The turn of one replay before another's. */
const turnMs = 10_000
/** After a crash, another process continues after this. */
const defaultLeaseMs = 30_000

/**
 * The service that executes replays. Any number of processes run it; one of them works on each replay. `wake`: there may be a
 * new one.
 */
export function createReplays({
  outbox,
  log,
  leaseMs = defaultLeaseMs,
  pollMs = defaultPollMs,
}: {
  outbox: Outbox
  log: Log
  leaseMs?: number
  pollMs?: number
}): Service & { wake(): void } {
  const waker = createWaker()
  return {
    name: 'replays',
    wake: waker.wake,
    async run(signal) {
      while (!signal.aborted) if (!(await work(signal))) await waker.wait(pollMs, signal)
    },
  }

  async function work(signal: AbortSignal): Promise<boolean> {
    const taken = await takeReplay(outbox, leaseMs)
    if (!taken) return false
    const startedMs = performance.now()
    const isTimeOver = () => signal.aborted || performance.now() - startedMs > turnMs
    try {
      await workOnReplay(outbox, taken, { pageEvents, leaseMs, isTimeOver })
    } catch (error) {
      // Retried after the lease; other replays continue.
      const reason = describeError(error)
      log.warn('replay.waits', { replay_id: taken.job.id, reason })
      // Without the outbox, no page shows it either.
      await noteProblem(outbox, taken.job.id, reason).catch(() => undefined)
    }
    return true
  }
}
