import { expect } from 'vitest'
import type { Delivery } from '../../src/outbox/aside/shipment.ts'
import type { Settlement } from '../../src/outbox/settle/settle.ts'
import { type TestOutbox, waiters } from './open-outbox.ts'
import { claim, settle, settlementOf } from './sending.ts'
import { until } from './wait.ts'

export const everyUser = ['user.new', 'user.update', 'user.delete']

/** What becomes of a settled delivery that is given up. */
export const dead = { next: { state: 'dead' as const } }

/** Locks by a statement, and returns what lets those go on who wait for that, with all that they have locked before. */
export async function holdUp(at: TestOutbox, lock: string): Promise<() => Promise<void>> {
  const blocker = await at.outbox.pool.connect()
  await blocker.query(`begin; ${lock}`)
  return async () => {
    await blocker.query('commit')
    blocker.release()
  }
}

/** Holds up settlements when they have locked their holder. */
export const holdUpLog = (at: TestOutbox) => holdUp(at, 'lock table walhook.attempts in share mode')

/** Until so many connections wait for a lock. */
export const untilWaiting = (at: TestOutbox, count: number, what: string) =>
  until(async () => (await waiters(at)) === count, { what })

/** A whole number from 0, below `end`. */
export const randomBelow = (end: number) => Math.floor(Math.random() * end)

/**
 * Does all of `work` while three loops of one process take a few deliveries of a webhook at a time and settle each by one
 * of `outcomes`, until nothing is left. No settlement is fenced. Returns the settlements in their order.
 */
export async function whileSending(
  at: TestOutbox,
  webhookId: number,
  work: readonly Promise<unknown>[],
  outcomes: readonly NonNullable<Parameters<typeof settlementOf>[1]>[] = [{}],
): Promise<{ delivery: Delivery; next: Settlement['next'] }[]> {
  const settled: { delivery: Delivery; next: Settlement['next'] }[] = []
  let isBusy = true
  async function send() {
    for (;;) {
      const wasBusy = isBusy
      const deliveries = await claim(at, webhookId, 1 + randomBelow(5))
      if (deliveries.length === 0 && !wasBusy && (await at.count('deliveries')) === 0) return
      const settlements = deliveries.map(delivery =>
        settlementOf(delivery, outcomes[randomBelow(outcomes.length)]),
      )
      if (settlements.length > 0) expect((await settle(at, ...settlements)).isFenced).toBe(false)
      settled.push(...settlements.map(({ shipment, next }) => ({ delivery: shipment.deliveries[0], next })))
    }
  }
  const senders = [send(), send(), send()]
  await Promise.all(work)
  isBusy = false
  await Promise.all(senders)
  return settled
}
