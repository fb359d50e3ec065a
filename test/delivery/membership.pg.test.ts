import { expect, test } from 'vitest'
import { joinHolders } from '../../src/delivery/turn/membership.ts'
import { asHolder } from '../../src/outbox/database/fence.ts'
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
  'if %s, after %i ms by the one and %i ms by the other, requests may begin: %s; they may once the database confirms the membership',
  async (_what, monotonicMs, wallMs, mayBegin) => {
    await using at = await open()
    at.pass(monotonicMs, wallMs)
    expect(at.membership.mayBegin()).toBe(mayBegin)
    expect(await at.membership.renew(0n, false)).not.toBe(null)
    expect(at.membership.mayBegin()).toBe(true)
  },
)

test('the time that the database takes to respond counts against the membership', async () => {
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

test('an outbox restored to an earlier time ends holders that have sent a heartbeat since', async () => {
  await using at = await open()
  const { holderId } = at.membership
  await at.membership.renew(0n, false)
  const setBack = (by: number) =>
    at.outbox.pool.query('update walhook.holders set beat = beat - $2 where id = $1', [holderId, by])
  await setBack(0)
  expect(await at.membership.renew(0n, true)).not.toBe(null)
  await setBack(1)
  expect(await at.membership.renew(0n, false)).toBe(null)
})

test('on a promoted server a holder changes nothing more, and notes up to where it may have sent', async () => {
  await using at = await open()
  const { holderId } = at.membership
  await at.membership.renew(70n, false)
  const work = () => asHolder(at.outbox, holderId, async () => 'done')
  expect(await work()).toBe('done')
  const { rows } = await at.outbox.pool.query('select timeline from walhook.holders where id = $1', [
    holderId,
  ])
  expect(rows[0].timeline).toMatch(/^[0-9A-F]{8}$/)
  // As the session sees it after a failover: the row is of another timeline, and an earlier beat.
  await at.outbox.pool.query(
    `update walhook.holders set timeline = 'FFFFFFFF', may_send_up_to = 5, alive_until = now() where id = $1`,
    [holderId],
  )
  expect(await work()).toBe(null)
  expect(await at.membership.renew(0n, false)).toBe(null)
  await at.membership.noteEnd()
  const { rows: left } = await at.outbox.pool.query(
    `select may_send_up_to, alive_until > now() + interval '10 s' as counts from walhook.holders where id = $1`,
    [holderId],
  )
  expect(left).toEqual([{ may_send_up_to: 70n, counts: true }])
})
