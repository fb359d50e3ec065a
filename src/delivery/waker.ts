/**
 * A wait that a wake-up cuts short. A wake-up that comes while nobody waits is kept for the next wait, so that
 * none is lost between looking for work and waiting for it; several are one.
 */
export function createWaker() {
  let isPending = false
  let end: (() => void) | null = null

  return {
    wake() {
      if (end) end()
      else isPending = true
    },

    /** Waits for a wake-up, for `ms`, or for `signal`, whichever comes first. */
    async wait(ms: number, signal: AbortSignal): Promise<void> {
      if (isPending || signal.aborted) {
        isPending = false
        return
      }
      await new Promise<void>(resolve => {
        const timer = setTimeout(done, ms)
        function done() {
          clearTimeout(timer)
          signal.removeEventListener('abort', done)
          end = null
          resolve()
        }
        end = done
        signal.addEventListener('abort', done, { once: true })
      })
    },
  }
}
