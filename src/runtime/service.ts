import pRetry, { AbortError } from 'p-retry'
import { sleep } from './sleep.ts'

/** A long-running service: runs until `signal` is aborted, and has then cleaned up. Rejects when it fails. */
export type Service = { readonly name: string; run(signal: AbortSignal): Promise<void> }

/** Thrown by a service that must not restart: a person must fix its problem. */
export class Fatal extends Error {}

const steadyAfterMs = 5_000

/**
 * Keeps a service running: restarts it after each failure with exponential delays from `minDelayMs` to `maxDelayMs`, which
 * reset after five seconds of running. `onFailure` is called for each. Resolves when `signal` is aborted; rejects on `Fatal`.
 */
export async function supervise(
  service: Service,
  options: {
    signal: AbortSignal
    minDelayMs: number
    maxDelayMs: number
    onFailure: (error: unknown, nextDelayMs: number) => void
  },
): Promise<void> {
  const { signal, minDelayMs, maxDelayMs } = options
  while (!signal.aborted) {
    let startedAt = 0
    try {
      await pRetry(
        async () => {
          startedAt = performance.now()
          // Wrapped: p-retry gives up on a bare TypeError.
          await service.run(signal).catch(error => {
            throw error instanceof Fatal ? new AbortError(error) : new Error(service.name, { cause: error })
          })
        },
        {
          signal,
          retries: Number.POSITIVE_INFINITY,
          minTimeout: minDelayMs,
          maxTimeout: maxDelayMs,
          randomize: true,
          onFailedAttempt: ({ error, retryDelay }) => {
            // It ran well for a while: a new incident. The delays reset.
            if (performance.now() - startedAt > steadyAfterMs)
              throw new Restart(service.name, { cause: error.cause })
            options.onFailure(error.cause, retryDelay)
          },
        },
      )
    } catch (error) {
      if (signal.aborted) return
      if (!(error instanceof Restart)) throw error
      options.onFailure(error.cause, minDelayMs)
      await sleep(minDelayMs, signal)
    }
  }
}

class Restart extends Error {}
