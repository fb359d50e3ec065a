import { expect, test } from 'vitest'
import { append } from '../../src/outbox/append.ts'
import type { LaneKey } from '../../src/outbox/cancel.ts'
import { transaction } from '../../src/outbox/database.ts'
import { settle } from '../../src/outbox/settle.ts'
import {
  cancelPage,
  eventIds,
  openTestOutbox,
  resend,
  retry,
  settleAll,
  settlementOf,
  type TestOutbox,
} from '../support/open-outbox.ts'
import { everyUser, randomBelow, untilWaiting, whileSending } from '../support/outbox-traffic.ts'
import { until } from '../support/wait.ts'

const user = (entityId: string): LaneKey => ({ entityType: 'user', entityId })
const everything = { entity: null, eventId: null, upTo: 2n ** 62n }

/** Cancels page after page, and returns how many. */
async function cancel(
  at: TestOutbox,
  waiting: Parameters<typeof cancelPage>[1],
  limit = 1_000,
): Promise<number> {
  let cancelled = 0
  let after: LaneKey | null = null
  do {
    const page: Awaited<ReturnType<typeof cancelPage>> = await cancelPage(at, waiting, {
      after,
      limit,
    })
    expect(page.cancelled).toBeLessThanOrEqual(limit)
    cancelled += page.cancelled
    after = page.next
  } while (after !== null)
  return cancelled
}

test('what waits for a webhook is cancelled and recorded, in pages of any size, and for no other webhook', async () => {
  for (const limit of [1, 2, 3, 7, 100]) {
    await using at = await openTestOutbox()
    const [webhookId, other] = [await at.webhook(everyUser), await at.webhook(everyUser)]
    await at.append('user 1 new', 'user 2 new', 'user 3 new')
    await at.append('user 1 update', 'user 3 update')
    await at.append('user 1 update')
    expect(await cancel(at, { ...everything, webhookId }, limit)).toBe(6)
    expect(await at.queue()).toEqual([
      `${other} user 1: new, update, update`,
      `${other} user 2: new`,
      `${other} user 3: new, update`,
    ])
    expect(await at.count('ended_deliveries', `state = 'cancelled' and webhook_id = ${webhookId}`)).toBe(6)
    expect(await cancel(at, { ...everything, webhookId }, limit)).toBe(0)
  }
})

test('of one entity, of one event; the lane goes on behind what was cancelled, and waits where it waited', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(everyUser)
  await at.append('user 1 new', 'user 2 new')
  await at.append('user 1 update')
  await at.append('user 1 delete')
  await settleAll(at, webhookId, retry(60_000))
  const [first, , second] = await eventIds(at)
  expect(await cancel(at, { ...everything, webhookId, entity: user('2') })).toBe(1)
  expect(await at.queue()).toEqual([`${webhookId} user 1: new, update, delete`])
  // One in the middle: the oldest still waits for its time.
  expect(await cancel(at, { ...everything, webhookId, entity: user('1'), eventId: second! })).toBe(1)
  expect(await at.claim(webhookId)).toEqual([])
  // The oldest: the next one has nothing to wait for.
  expect(await cancel(at, { ...everything, webhookId, entity: user('1'), eventId: first! })).toBe(1)
  expect(await at.claim(webhookId)).toMatchObject([{ actionType: 'delete' }])
  const { rows } = await at.outbox.pool.query(
    'select event_id, state, attempts from walhook.ended_deliveries order by event_id',
  )
  expect(rows).toMatchObject([
    { event_id: first, state: 'cancelled', attempts: 1 },
    { state: 'cancelled', attempts: 1 },
    { event_id: second, state: 'cancelled', attempts: 0 },
  ])
  await resend(at, { webhookId, eventId: first! })
  expect(await at.queue()).toEqual([`${webhookId} user 1: new, delete`])
})

test('what comes after the call is not meant', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(everyUser)
  await at.append('user 1 new')
  const [upTo] = await eventIds(at)
  await at.append('user 1 update', 'user 2 new')
  expect(await cancel(at, { ...everything, webhookId, upTo: upTo! }, 1)).toBe(1)
  expect(await at.queue()).toEqual([`${webhookId} user 1: update`, `${webhookId} user 2: new`])
})

test('what is in flight is not touched, also where an older one was asked for meanwhile', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(everyUser)
  await at.append('user 1 new')
  await settleAll(at, webhookId)
  await at.append('user 1 update')
  await at.append('user 1 update')
  const [first] = await eventIds(at)
  const [lane] = await at.claim(webhookId)
  await resend(at, { webhookId, eventId: first! })
  expect(await cancel(at, { ...everything, webhookId })).toBe(2)
  expect(await cancel(at, { ...everything, webhookId })).toBe(0)
  expect(await at.queue()).toEqual([`${webhookId} user 1: update`])
  expect(await at.claim(webhookId)).toEqual([])
  expect(await settle(at.outbox, [settlementOf(lane!)])).toHaveLength(1)
  expect(await at.queue()).toEqual([])
  expect(await at.count('ended_deliveries', `event_id = ${lane!.eventId}`)).toBe(0)
})

test('where the holder of a lane may be choosing what to send, the lane is left alone, and that is told', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(everyUser, true, { mode: 'latest' })
  await at.append('user 1 new', 'user 2 new')
  await at.claim(webhookId, 2, 60_000, 'latest')
  await at.append('user 1 update', 'user 3 new')
  const all = { ...everything, webhookId }
  expect(await cancelPage(at, all, { after: null, limit: 10 })).toEqual({
    cancelled: 1,
    passedOver: 1,
    next: null,
  })
  expect(await at.queue()).toEqual([`${webhookId} user 1: new, update`, `${webhookId} user 2: new`])
})

test('what a dead process held is cancelled, and a settlement that comes after all changes nothing', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(everyUser)
  await at.append('user 1 new', 'user 2 new')
  await at.append('user 1 update')
  const lanes = await at.claim(webhookId, 2, 1)
  const [first] = await eventIds(at)
  await until(() => at.count('lanes', 'leased_until < clock_timestamp()').then(n => n === 2), {
    what: 'the leases to end',
  })
  expect(await cancel(at, { ...everything, webhookId, entity: user('1'), eventId: first! })).toBe(1)
  expect(await cancel(at, { ...everything, webhookId, entity: user('2') })).toBe(1)
  expect(
    await settle(
      at.outbox,
      lanes.map(lane => settlementOf(lane, retry(60_000))),
    ),
  ).toEqual([])
  expect(await at.queue()).toEqual([`${webhookId} user 1: update`])
  expect(await at.claim(webhookId)).toMatchObject([{ actionType: 'update' }])
})

test('a cancellation waits for an append to the lane, and keeps the lane for it', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(everyUser)
  await at.append('user 1 new')
  const [upTo] = await eventIds(at)
  let cancelled: Promise<unknown> = Promise.resolve()
  await transaction(at.outbox.pool, async client => {
    await append(client, at.nextAppend('user 1 update'))
    cancelled = cancel(at, { ...everything, webhookId, upTo: upTo! })
    await untilWaiting(at, 1, 'the cancellation to wait')
  })
  expect(await cancelled).toBe(1)
  expect(await at.queue()).toEqual([`${webhookId} user 1: update`])
  expect(await at.claim(webhookId)).toMatchObject([{ actionType: 'update' }])
})

test('under appends, claims, settlements and cancellations at random, each event is either sent or cancelled', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(everyUser)
  let isAppending = true
  async function appendAll() {
    for (let i = 0; i < 150; i++)
      await at.append(...new Set(Array.from({ length: 3 }, () => `user ${randomBelow(4)} update`)))
    isAppending = false
  }
  async function cancelAtRandom() {
    while (isAppending) {
      const entity = Math.random() < 0.5 ? null : user(String(randomBelow(4)))
      await cancel(at, { ...everything, webhookId, entity }, 1 + randomBelow(3))
    }
  }
  const settled = await whileSending(at, webhookId, [appendAll(), cancelAtRandom(), cancelAtRandom()])
  const sent = new Set(settled.map(({ lane }) => lane.eventId))

  expect(await at.queue()).toEqual([])
  const { rows } = await at.outbox.pool.query('select event_id from walhook.ended_deliveries')
  const cancelled = new Set(rows.map(({ event_id }) => event_id))
  expect(cancelled.size).toBeGreaterThan(0)
  for (const eventId of await eventIds(at))
    expect([eventId, sent.has(eventId), cancelled.has(eventId)]).toSatisfy(
      ([, wasSent, wasCancelled]) => wasSent !== wasCancelled,
    )
})
