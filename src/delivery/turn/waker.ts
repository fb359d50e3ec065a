/**
 * A wait that a wake-up cuts short. A wake-up that comes while nobody waits is kept for the next wait, so that none is lost
 * between looking for work and waiting for it. What comes in one turn of the event loop is one wake-up: under load, a turn
 * brings many answers, and the loop looks once for all of them.
 */
export function createWaker() {
  let isPending = false
  let end: (() => void) | null = null

  return {
    wake() {
      if (isPending) return
      isPending = true
      if (end) setImmediate(end)
    },

    /** Waits for a wake-up, for `ms`, or for `signal`, whichever comes first. */
    async wait(ms: number, signal: AbortSignal): Promise<void> {
      if (signal.aborted) return
      await new Promise<void>(resolve => {
        const timer = isPending ? undefined : setTimeout(done, ms)
        function done() {
          if (end !== done) return
          end = null
          isPending = false
          clearTimeout(timer)
          signal.removeEventListener('abort', done)
          resolve()
        }
        end = done
        signal.addEventListener('abort', done, { once: true })
        if (isPending) setImmediate(done)
      })
    },
  }
}
