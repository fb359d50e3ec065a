import { expect, test } from 'vitest'
import type { Attempt } from '../../src/domain/attempt.ts'
import { bringForward } from '../../src/outbox/early-retries.ts'
import { settle } from '../../src/outbox/settle.ts'
import { openTestOutbox, retry, settleAll, settlementOf } from '../support/open-outbox.ts'
import { everyUser } from '../support/outbox-traffic.ts'

type At = Awaited<ReturnType<typeof openTestOutbox>>
const early = { count: 3, longestMs: 1_800_000 }

/** The lanes that are due, as `1 2 3`. */
async function due(at: At): Promise<string> {
  const { rows } = await at.outbox.pool.query(
    `select entity_id from walhook.lanes where due_at <= now() and leased_until <= now() order by entity_id::int`,
  )
  return rows.map(row => row.entity_id).join(' ')
}
const setAttempts = (at: At, entityId: string, attempts: number) =>
  at.outbox.pool.query(`update walhook.deliveries set attempts = $2 where entity_id = $1`, [
    entityId,
    attempts,
  ])

test('what waits for one of its first retries is due at once, and nothing else', async () => {
  await using at = await openTestOutbox()
  const [webhook, other] = [await at.webhook(everyUser), await at.webhook(everyUser)]
  await at.append(...[1, 2, 3, 4, 5, 6].map(id => `user ${id} new`))
  for (const id of [webhook, other]) await settleAll(at, id, retry(300_000))
  await at.append('user 7 new')
  await at.outbox.pool.query(
    `update walhook.lanes set due_at = now() + interval '5 minutes' where entity_id = '7'`,
  )
  await setAttempts(at, '2', 3)
  await setAttempts(at, '3', 4)
  // A day off: it was not put off by the schedule's early waits.
  await at.outbox.pool.query(
    `update walhook.lanes set due_at = now() + interval '1 day' where entity_id = '4'`,
  )
  // Another process has it.
  await at.outbox.pool.query(
    `update walhook.lanes set lease_id = gen_random_uuid(), leased_until = now() + interval '1 minute' where entity_id = '5'`,
  )
  let pages = 0
  expect(await bringForward(at.outbox, webhook, early, () => pages++)).toBe(3)
  expect(pages).toBe(1)
  expect(await due(at)).toBe('1 2 6')
  expect(await bringForward(at.outbox, webhook, early)).toBe(0)
  expect(await bringForward(at.outbox, other, { count: 0, longestMs: 0 })).toBe(0)
})

test('what a receiver asked to wait for waits', async () => {
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
  const lanes = await at.claim(webhook)
  await settle(
    at.outbox,
    lanes.map(lane => {
      const settlement = settlementOf(lane, retry(300_000))
      return { ...settlement, attempt: { ...settlement.attempt, ...answers[Number(lane.entityId) - 1] } }
    }),
  )
  expect(await bringForward(at.outbox, webhook, early)).toBe(2)
  expect(await due(at)).toBe('2 3')
})

test('of a batch the lane of its first event is due, which brings the others', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  await at.append('user 1 new', 'user 2 new', 'user 3 new')
  await settleAll(at, webhook, retry(300_000))
  await at.outbox.pool.query(`update walhook.deliveries set batch_id = 1 where entity_id <> '3'`)
  expect(await bringForward(at.outbox, webhook, early)).toBe(2)
  expect(await due(at)).toBe('1 3')
})

test('however many there are, all are found', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  await at.append(...Array.from({ length: 2_500 }, (_, i) => `user ${i} new`))
  await at.outbox.pool.query(
    `update walhook.deliveries set attempts = case when event_id % 5 = 0 then 9 else 1 end`,
  )
  await at.outbox.pool.query(
    `update walhook.lanes set due_at = now() + interval '5 minutes' + entity_id::int * interval '1 ms'`,
  )
  let pages = 0
  const moved = await bringForward(at.outbox, webhook, early, () => pages++)
  expect(moved).toBe(await at.count('deliveries', 'attempts = 1'))
  expect(pages).toBe(3)
})
