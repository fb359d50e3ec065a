/**
 * A wait that a wake-up ends early. A wake-up without a wait counts for the next one, so that none is lost between looking
 * for work and waiting. Several in one turn of the event loop are one: the loop runs once for many responses.
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
