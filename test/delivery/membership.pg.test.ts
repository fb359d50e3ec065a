import { expect, test } from 'vitest'
import { joinHolders } from '../../src/delivery/turn/membership.ts'
import { leave } from '../../src/outbox/holders/holders.ts'
import { openTestOutbox } from '../support/open-outbox.ts'

/** A holder with clocks of its own; another one is there, so that it never rests. */
async function open() {
  const at = await openTestOutbox()
  let now = { monotonicMs: 5_000, wallMs: 1_700_000_000_000 }
  const options = { outbox: at.outbox, deadlineMs: 15_000, now: () => now }
  const other = await joinHolders(options)
  const membership = await joinHolders(options)
  await membership.renew(0n, false)
  return {
    ...at,
    membership,
    pass(monotonicMs: number, wallMs: number) {
      now = { monotonicMs: now.monotonicMs + monotonicMs, wallMs: now.wallMs + wallMs }
    },
    async [Symbol.asyncDispose]() {
      for (const each of [membership, other]) each.endSession()
      await at[Symbol.asyncDispose]()
    },
  }
}

test.each([
  ['both clocks go on', 1_900, 1_900, true],
  ['both clocks are beyond', 2_100, 2_100, false],
  ['the monotonic one has stood still with the machine', 0, 2_100, false],
  ['the clock of the day was set ahead', 100, 3_600_000, false],
  ['the clock of the day has stood still', 2_100, 1_500, false],
  ['the clock of the day is corrected by a little', 100, -500, true],
  ['the clock of the day was set back: nobody knows', 100, -3_600_000, false],
])(
  'if %s, requests stop until the database confirms the membership',
  async (_what, monotonicMs, wallMs, mayBegin) => {
    await using at = await open()
    at.pass(monotonicMs, wallMs)
    expect(at.membership.mayBegin()).toBe(mayBegin)
    expect(await at.membership.renew(0n, false)).not.toBe(null)
    expect(at.membership.mayBegin()).toBe(true)
  },
)

test('the membership is counted from before the query', async () => {
  await using at = await open()
  at.pass(1_000, 1_000)
  const renewing = at.membership.renew(0n, false)
  // By the wall clock alone, as in a machine that is suspended meanwhile.
  at.pass(0, 2_100)
  await renewing
  expect(at.membership.mayBegin()).toBe(false)
})

test('a holder that was taken over learns of it at its next query, and starts nothing more', async () => {
  await using at = await open()
  at.pass(0, 20_000)
  await leave(at.outbox, { holderId: at.membership.holderId })
  expect(await at.membership.renew(0n, false)).toBe(null)
  expect(at.membership.mayBegin()).toBe(false)
})
