import { expect, test } from 'vitest'
import type { Attempt } from '../../src/domain/delivery/attempt.ts'
import { bringForward } from '../../src/outbox/aside/early-retries.ts'
import { setHostClock } from '../support/host-clock.ts'
import { openTestOutbox } from '../support/open-outbox.ts'
import { everyUser } from '../support/outbox-traffic.ts'
import { claim, retry, settle, settleAll, settlementOf } from '../support/sending.ts'

type At = Awaited<ReturnType<typeof openTestOutbox>>
const early = { count: 3, longestMs: 1_800_000 }

/** The entities whose rows are due, as `1 2 3`. */
async function due(at: At): Promise<string> {
  const { rows } = await at.outbox.pool.query(
    `select entity_id from walhook.deliveries where due_at <= now() and taken_by is null order by entity_id::int`,
  )
  return rows.map(row => row.entity_id).join(' ')
}
const change = (at: At, entityId: string, set: string) =>
  at.outbox.pool.query(`update walhook.deliveries set ${set} where entity_id = $1`, [entityId])

test('an early retry makes the first retries due at once, and no others', async () => {
  await using at = await openTestOutbox()
  const [webhook, other] = [await at.webhook(everyUser), await at.webhook(everyUser)]
  await at.append(...[1, 2, 3, 4, 5, 6, 7].map(id => `user ${id} new`))
  await at.append('user 1 update')
  for (const id of [webhook, other]) await settleAll(at, id, retry(300_000))
  await change(at, '2', 'attempts = 3')
  await change(at, '3', 'attempts = 4')
  // A day off: it was not put off by the schedule's early waits.
  await change(at, '4', `due_at = now() + interval '1 day'`)
  // A process has it.
  await change(at, '5', 'taken_by = 77')
  // It was never tried.
  await change(at, '7', 'attempts = 0')
  let pages = 0
  expect(await bringForward(at.outbox, webhook, early, () => pages++)).toBe(3)
  expect(pages).toBe(1)
  expect(await due(at)).toBe('1 2 6')
  expect(await bringForward(at.outbox, webhook, early)).toBe(0)
  expect(await bringForward(at.outbox, other, { count: 0, longestMs: 0 })).toBe(0)
})

test.each([
  ['', 0],
  [', also where the clock of this host is a day ahead', 86_400_000],
])('an early retry respects Retry-After%s', async (_, offsetMs) => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  await at.append('user 1 new', 'user 2 new', 'user 3 new')
  const answered = (status: number, headers: Record<string, string>): Partial<Attempt> => ({
    outcome: 'refused',
    errorClass: 'http_error',
    errorMessage: 'no',
    response: { status, headers, body: '', truncated: false },
  })
  const answers = [
    answered(500, { 'retry-after': '300' }),
    answered(500, {}),
    // This one spoke for the whole webhook, whose hold sees to it.
    answered(503, { 'retry-after': '300' }),
  ]
  const settlements = (await claim(at, webhook)).map(delivery => {
    const settlement = settlementOf(delivery, retry(300_000))
    return { ...settlement, attempt: { ...settlement.attempt, ...answers[Number(delivery.entityId) - 1] } }
  })
  await settle(at, ...settlements)
  using _clock = setHostClock(offsetMs)
  expect(await bringForward(at.outbox, webhook, early)).toBe(2)
  expect(await due(at)).toBe('2 3')
})

test('an early retry makes a whole batch due', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  await at.append('user 1 new', 'user 2 new', 'user 3 new')
  await settleAll(at, webhook, retry(300_000))
  await at.outbox.pool.query(
    `update walhook.deliveries set batch_id = 1, share = 4, due_at = 'infinity' where entity_id <> '3'`,
  )
  await at.outbox.pool.query(
    `insert into walhook.batches (webhook_id, id, share, due_at) values ($1, 1, 4, now() + interval '5 minutes')`,
    [webhook],
  )
  expect(await bringForward(at.outbox, webhook, early)).toBe(2)
  expect(await due(at)).toBe('3')
  expect(await at.count('batches', 'due_at <= now()')).toBe(1)
})

test('an early retry waits while requests of a dead holder may be in flight', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  await at.append('user 1 new', 'user 2 new')
  await settleAll(at, webhook, retry(10_000))
  await at.outbox.pool.query(
    `update walhook.shares set wait_until = now() + interval '10 s'
     where share = (select share from walhook.deliveries where entity_id = '1')`,
  )
  expect(await bringForward(at.outbox, webhook, early)).toBe(1)
  expect(await due(at)).toBe('2')
})

test('early retries cover any number of rows', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  await at.fill(2_500)
  await claim(at, webhook, 0)
  await at.outbox.pool.query(
    `update walhook.deliveries set attempts = case when event_id % 5 = 0 then 9 else 1 end,
            due_at = now() + interval '5 minutes' + entity_id::int * interval '1 ms'`,
  )
  let pages = 0
  const moved = await bringForward(at.outbox, webhook, early, () => pages++)
  expect(moved).toBe(await at.count('deliveries', 'attempts = 1'))
  expect(pages).toBe(3)
})
