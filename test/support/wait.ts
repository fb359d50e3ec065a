import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Waits until a condition in another process or in the database holds, and returns the truthy value that it
 * gave. A condition that throws does not hold yet; the last error is told when the time is over.
 *
 * @param options.what what is waited for, in words for the message when it does not come: `Waited 60 s for …`
 */
export async function until<T>(
  condition: () => T | Promise<T>,
  { what, timeoutMs = 60_000, intervalMs }: { what: string; timeoutMs?: number; intervalMs?: number },
): Promise<Exclude<T, false | null | undefined | 0 | ''>> {
  const begun = performance.now()
  const deadline = begun + timeoutMs
  // The longer it takes, the less it matters to know at once: to ask costs what is waited for its time.
  const restMs = () => intervalMs ?? Math.min(100, Math.max(20, (performance.now() - begun) / 10))
  let last: unknown
  do {
    try {
      last = await condition()
      if (last) return last as Exclude<T, false | null | undefined | 0 | ''>
    } catch (error) {
      last = error
    }
    await sleep(restMs())
  } while (performance.now() < deadline)
  throw new Error(`Waited ${timeoutMs / 1000} s for ${what}; the last answer was ${describe(last)}`)
}

function describe(value: unknown): string {
  return value instanceof Error ? `${value.name}: ${value.message}` : (JSON.stringify(value) ?? String(value))
}
