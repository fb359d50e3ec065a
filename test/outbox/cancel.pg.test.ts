import { expect, test } from 'vitest'
import { shareOf } from '../../src/domain/delivery/share.ts'
import type { Entity } from '../../src/domain/event/entity.ts'
import { cancelRows, skipWaiting, type Waiting } from '../../src/outbox/by-hand/cancel.ts'
import { countSkipped } from '../../src/outbox/by-hand/count-skipped.ts'
import { transaction } from '../../src/outbox/database/database.ts'
import { append } from '../../src/outbox/log/append.ts'
import { settle as settleAs } from '../../src/outbox/settle/settle.ts'
import { eventIds, openTestOutbox, type TestOutbox } from '../support/open-outbox.ts'
import { everyUser, randomBelow, whileSending } from '../support/outbox-traffic.ts'
import { claim, holderOf, pull, resend, retry, settle, settleAll, settlementOf } from '../support/sending.ts'
import { leaveBehind } from '../support/waiting.ts'

const user = (entityId: string): Entity => ({ entityType: 'user', entityId })
const everything = { entity: null, eventId: null, upTo: 2n ** 62n }

/** Cancels what waits in the log, and page after page of rows. Returns how many both were. */
async function cancel(at: TestOutbox, waiting: Waiting, limit = 1_000): Promise<number> {
  const { skipped } = await transaction(at.outbox.pool, client => skipWaiting(client, waiting))
  let cancelled = 0
  for (let isMore = true; isMore; ) {
    const page = await transaction(at.outbox.pool, client => cancelRows(client, waiting, limit))
    expect(page.cancelled).toBeLessThanOrEqual(limit)
    cancelled += page.cancelled
    isMore = page.isMore
  }
  return cancelled + (skipped ? await countSkipped(at.outbox.pool, skipped, () => false) : 0)
}

/** Rows, and what is behind them in the log. */
const places = ['as rows', 'in the log'] as const

test.each(places)(
  'the pending events of a webhook %s are cancelled, in pages of any size, and no others',
  async where => {
    for (const limit of [1, 2, 3, 7, 100]) {
      await using at = await openTestOutbox()
      const [webhookId, other] = [await at.webhook(everyUser), await at.webhook(everyUser)]
      await at.append('user 1 new', 'user 2 new', 'user 3 new')
      await at.append('user 1 update', 'user 3 update')
      await at.append('user 1 update')
      if (where === 'as rows') await pull(at, webhookId)
      expect(await cancel(at, { ...everything, webhookId }, limit)).toBe(6)
      expect(await at.queue()).toEqual([
        `${other} user 1: new, update, update`,
        `${other} user 2: new`,
        `${other} user 3: new, update`,
      ])
      const ended = await at.count('ended_deliveries', `state = 'cancelled' and webhook_id = ${webhookId}`)
      expect([ended, await at.count('skips')]).toEqual(where === 'as rows' ? [6, 0] : [0, 1])
      expect(await cancel(at, { ...everything, webhookId }, limit)).toBe(0)
    }
  },
)

test('one entity or one event is cancelled; blocked events continue', async () => {
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
  expect(await claim(at, webhookId)).toEqual([])
  // The oldest: the next one has nothing to wait for.
  expect(await cancel(at, { ...everything, webhookId, entity: user('1'), eventId: first! })).toBe(1)
  expect(await claim(at, webhookId)).toMatchObject([{ actionType: 'delete' }])
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

test('events after the call are not cancelled', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(everyUser)
  await at.append('user 1 new')
  const [upTo] = await eventIds(at)
  await at.append('user 1 update', 'user 2 new')
  expect(await cancel(at, { ...everything, webhookId, upTo: upTo! }, 1)).toBe(1)
  expect(await at.queue()).toEqual([`${webhookId} user 1: update`, `${webhookId} user 2: new`])
})

test('an event in flight is not cancelled, also if an older one was requested meanwhile', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(everyUser)
  await at.append('user 1 new')
  await settleAll(at, webhookId)
  await at.append('user 1 update')
  await at.append('user 1 update')
  const [first] = await eventIds(at)
  const [delivery] = await claim(at, webhookId)
  await resend(at, { webhookId, eventId: first! })
  expect(await cancel(at, { ...everything, webhookId })).toBe(2)
  expect(await cancel(at, { ...everything, webhookId })).toBe(0)
  expect(await at.queue()).toEqual([`${webhookId} user 1: update`])
  expect(await claim(at, webhookId)).toEqual([])
  await settle(at, settlementOf(delivery!))
  expect(await at.queue()).toEqual([])
  expect(await at.count('ended_deliveries', `event_id = ${delivery!.eventId}`)).toBe(0)
})

test('an append and a cancellation do not wait for each other', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(everyUser)
  await at.append('user 1 new')
  const [upTo] = await eventIds(at)
  await transaction(at.outbox.pool, async client => {
    await append(client, at.nextAppend('user 1 update'))
    expect(await cancel(at, { ...everything, webhookId, upTo: upTo! })).toBe(1)
  })
  expect(await at.queue()).toEqual([`${webhookId} user 1: update`])
  expect(await claim(at, webhookId)).toMatchObject([{ actionType: 'update' }])
})

test('in the log, one entity or one event is cancelled, and the others continue', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(everyUser)
  await leaveBehind(at, webhookId, 5)
  const [update, other] = await at.append('user 1 update', 'user 2 update')
  await holderOf(at)
  expect(await cancel(at, { ...everything, webhookId, entity: user('1') })).toBe(2)
  expect(await cancel(at, { ...everything, webhookId, entity: user('2'), eventId: other! })).toBe(1)
  expect(await cancel(at, { ...everything, webhookId, entity: user('1'), eventId: update! })).toBe(0)
  expect(await at.queue()).toEqual([2, 3, 4, 5].map(id => `${webhookId} user ${id}: new`))
  expect((await settleAll(at, webhookId)).map(({ entityId }) => entityId).sort()).toEqual([
    '2',
    '3',
    '4',
    '5',
  ])
  // What was cancelled can be sent by hand.
  expect(await resend(at, { webhookId, eventId: update! })).toMatchObject({ state: 'queued' })
  expect(await claim(at, webhookId)).toMatchObject([{ eventId: update, isManual: true }])
})

test('a cancellation raises the version of the webhooks, so that holders notice', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(everyUser)
  await at.append('user 1 new')
  const version = async () =>
    (
      await at.outbox.pool.query(
        'select v.version, w.changed_in_version from walhook.webhooks_version v, walhook.webhooks w',
      )
    ).rows[0]
  const before = await version()
  expect(await cancel(at, { ...everything, webhookId })).toBe(1)
  const after = await version()
  expect(after.version).toBeGreaterThan(before.version)
  expect(after.changed_in_version).toBe(after.version)
})

test('whether an event that may be in flight without a row was cancelled is unknown', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(everyUser)
  const holderId = await holderOf(at)
  const [eventId] = await at.append('user 1 update')
  await at.outbox.pool.query('update walhook.holders set may_send_up_to = $1 where id = $2', [
    eventId,
    holderId,
  ])
  const one = { webhookId, entity: user('1'), eventId: eventId!, upTo: eventId! }
  expect(await transaction(at.outbox.pool, client => skipWaiting(client, one))).toMatchObject({
    isUnsure: true,
  })
  // The second time it is known: it will not be sent any more.
  expect(await transaction(at.outbox.pool, client => skipWaiting(client, one))).toEqual({
    skipped: null,
    isUnsure: false,
  })
})

test('under random appends, claims, settlements and cancellations, each event is either sent or cancelled', async () => {
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
  const sent = new Set(settled.map(({ delivery }) => delivery.eventId))

  expect(await at.queue()).toEqual([])
  // A skip may hold what was a row by then, and in flight: that goes on.
  const { rows } = await at.outbox.pool.query(
    `select event_id from walhook.ended_deliveries
     union
     select e.id from walhook.events e
     join walhook.skips k on k.after_id < e.id and k.up_to >= e.id and (k.entity_id is null or k.entity_id = e.entity_id)
     where not exists (select from walhook.attempts where event_id = e.id)`,
  )
  const cancelled = new Set(rows.map(({ event_id }) => event_id))
  expect(cancelled.size).toBeGreaterThan(0)
  for (const eventId of await eventIds(at))
    expect([eventId, sent.has(eventId), cancelled.has(eventId)]).toSatisfy(
      ([, wasSent, wasCancelled]) => wasSent !== wasCancelled,
    )
})

test('an event cancelled or forgotten while it is being set aside is dropped, and blocked ones are due', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(everyUser)
  const holderId = await holderOf(at)
  const ids = await at.append('user 1 new', 'user 1 update', 'user 2 new', 'user 2 update')
  const asideOf = (eventId: bigint, entityId: string, attempts = 0) => ({
    ...{ webhookId, share: shareOf('user', entityId), entityType: 'user', entityId, eventId, attempts },
    ...{ withPrevious: false, asNew: false, asDelete: false, dueInMs: null, takenBy: null },
  })
  await cancel(at, { ...everything, webhookId, entity: user('1'), eventId: ids[0]! })
  await at.outbox.pool.query('delete from walhook.events where id = $1', [ids[2]])
  const aside = [asideOf(ids[0]!, '1'), asideOf(ids[1]!, '1'), asideOf(ids[2]!, '2'), asideOf(ids[3]!, '2')]
  const { left } = await settleAs(at.outbox, holderId, { settlements: [], aside })
  expect(left).toHaveLength(1)
  expect(await at.count('deliveries', 'due_at <= now()')).toBe(2)
  expect(await at.queue()).toEqual([`${webhookId} user 1: update`, `${webhookId} user 2: update`])
  // What was in flight goes on.
  const tried = await settleAs(at.outbox, holderId, { settlements: [], aside: [asideOf(ids[0]!, '1', 1)] })
  expect(tried.isFenced).toBe(false)
  expect(await at.queue()).toContain(`${webhookId} user 1: new, update`)
})
