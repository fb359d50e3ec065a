import pRetry, { AbortError } from 'p-retry'
import { sleep } from './sleep.ts'

/** A long-running thing: runs until `signal` is aborted and has then put everything away. Rejects when it fails. */
export type Service = { readonly name: string; run(signal: AbortSignal): Promise<void> }

/** Thrown by a service that must not be started again: only a person can mend what it found. */
export class Fatal extends Error {}

const steadyAfterMs = 5_000

/**
 * Keeps a service running: starts it again after every failure, at first after about `minDelayMs`, then after
 * twice as long each time up to `maxDelayMs`, and from the beginning of that row once it has run for five
 * seconds. `onFailure` hears of each. Resolves when `signal` is aborted; rejects on `Fatal`.
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
          // Wrapped, because p-retry takes a bare TypeError for a programmer's error and gives up.
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
            // Ran well for a while: a new incident, not the next one of a row. The loop begins a new row.
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
