import { until } from '../support/wait.ts'
import { perSecond } from './figures.ts'

export type Shape = { readonly shape: string; readonly figure: string; readonly highestMb: number | null }

export const timeoutMs = 240_000

/** Does the work, waits for `count` more requests, and returns the rate at which they came. */
export async function rateOf(
  receiver: { count(): Promise<number> },
  count: number,
  work: () => Promise<unknown>,
): Promise<number> {
  const first = await receiver.count()
  const startMs = performance.now()
  await work()
  await until(async () => (await receiver.count()) - first >= count, {
    what: `${count} deliveries`,
    timeoutMs,
    intervalMs: 25,
  })
  return perSecond(count, performance.now() - startMs)
}
