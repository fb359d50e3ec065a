import type { Queue } from './queue.ts'

const afterFailureMs = 1_000

/** What is being asked of the database: each thing once at a time. The end of each wakes the loop. */
export function createAsking(options: {
  clockMs: () => number
  failed: (error: unknown) => void
  wake: () => void
}) {
  const running = new Set<string>()
  let againAtMs = Number.NEGATIVE_INFINITY

  /** Begins something unless it is under way already. */
  function once(name: string, work: () => Promise<void>) {
    if (running.has(name)) return
    running.add(name)
    work()
      .catch(error => {
        againAtMs = options.clockMs() + afterFailureMs
        options.failed(error)
      })
      .finally(() => {
        running.delete(name)
        options.wake()
      })
  }

  return {
    running,
    once,

    forQueue(queue: Queue, kind: 'reading' | 'picking', work: () => Promise<void>) {
      const name = `${kind} ${queue.id}`
      // Both: the one ends a little before the other.
      if (queue.busy.has(kind) || running.has(name)) return
      queue.busy.add(kind)
      once(name, () => work().finally(() => queue.busy.delete(kind)))
    },

    /** After a failure, nothing is asked for a moment. */
    againAtMs: () => againAtMs,
  }
}
