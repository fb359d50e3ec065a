import { expect, test } from 'vitest'
import { pickDue } from '../../src/outbox/aside/pick-due.ts'
import { transaction } from '../../src/outbox/database/database.ts'
import { lockAllHolders } from '../../src/outbox/database/fence.ts'
import { append } from '../../src/outbox/log/append.ts'
import { deleteLeftovers, deleteWebhook, updateWebhook } from '../../src/outbox/records/webhooks.ts'
import { eventIds, openTestOutbox } from '../support/open-outbox.ts'
import {
  dead,
  everyUser,
  holdUp,
  holdUpLog,
  randomBelow,
  untilWaiting,
  whileSending,
} from '../support/outbox-traffic.ts'
import {
  allShares,
  claim,
  holderOf,
  pull,
  resend,
  retry,
  settle,
  settleAll,
  settlementOf,
} from '../support/sending.ts'
import { leaveBehind } from '../support/waiting.ts'

test('a dead event is sent again, by hand, from its first attempt', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(everyUser)
  await at.append('user 1 new')
  const [eventId] = await eventIds(at)
  await settleAll(at, webhookId, dead)
  expect(await at.count('ended_deliveries')).toBe(1)

  expect(await resend(at, { webhookId, eventId: eventId! })).toEqual({
    state: 'queued',
    entityType: 'user',
    entityId: '1',
    behind: null,
    newerDelivered: false,
  })
  expect(await at.count('ended_deliveries')).toBe(0)
  expect(await claim(at, webhookId)).toMatchObject([{ eventId, attempts: 0, isManual: true }])
})

test('a retrying delivery is due at once, and starts with attempt 1', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(everyUser)
  await at.append('user 1 new')
  const [eventId] = await eventIds(at)
  await settleAll(at, webhookId, retry(60_000))
  expect(await claim(at, webhookId)).toEqual([])
  expect(await resend(at, { webhookId, eventId: eventId! })).toMatchObject({ behind: null })
  expect(await claim(at, webhookId)).toMatchObject([{ eventId, attempts: 0, isManual: true }])
  expect(await at.queue()).toHaveLength(1)
})

test('a delivered event is sent again, and the response says if the receiver has a newer state', async () => {
  await using at = await openTestOutbox()
  const [webhookId, other] = [await at.webhook(everyUser), await at.webhook(everyUser)]
  await at.append('user 1 new')
  await at.append('user 1 update', 'user 2 new')
  const [first, second] = await eventIds(at)
  await settleAll(at, webhookId)
  expect(await resend(at, { webhookId, eventId: first! })).toMatchObject({
    newerDelivered: false,
  })
  await settleAll(at, webhookId)
  await settleAll(at, webhookId)
  expect(await resend(at, { webhookId, eventId: first! })).toMatchObject({ newerDelivered: true })
  expect(await resend(at, { webhookId, eventId: second! })).toMatchObject({
    newerDelivered: false,
    behind: first,
  })
  expect(await resend(at, { webhookId: other, eventId: first! })).toMatchObject({
    newerDelivered: false,
  })
})

test('an unwanted event is sent too; an inactive webhook refuses', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(['company.new'])
  await at.append('user 1 new')
  const [eventId] = await eventIds(at)
  expect(await resend(at, { webhookId, eventId: eventId! })).toMatchObject({ state: 'queued' })
  expect(await claim(at, webhookId)).toMatchObject([{ eventId, isManual: true }])
  await updateWebhook(at.outbox, webhookId, { isActive: false })
  expect(await resend(at, { webhookId, eventId: eventId! })).toEqual({
    state: 'inactive',
    disabledReason: null,
  })
  expect(await resend(at, { webhookId, eventId: 1n })).toMatchObject({ state: 'inactive' })
  await updateWebhook(at.outbox, webhookId, { isActive: true })
  expect(await resend(at, { webhookId, eventId: 1n })).toEqual({ state: 'no_event' })
  await transaction(at.outbox.pool, client => deleteWebhook(client, webhookId))
  expect(await resend(at, { webhookId, eventId: eventId! })).toEqual({ state: 'no_webhook' })
  await deleteLeftovers(at.outbox)
  expect(await at.queue()).toEqual([])
})

test('a resend keeps the order of its entity', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(everyUser)
  await at.append('user 1 new')
  await settleAll(at, webhookId)
  await at.append('user 1 update')
  await at.append('user 1 delete')
  const [first, second, third] = await eventIds(at)
  // The oldest waits to be tried again; the last one is asked for and stays behind it.
  await settleAll(at, webhookId, retry(60_000))
  expect(await resend(at, { webhookId, eventId: third! })).toMatchObject({ behind: second })
  expect(await claim(at, webhookId)).toEqual([])
  // The first one comes before both.
  expect(await resend(at, { webhookId, eventId: first! })).toMatchObject({ behind: null })
  const sent = []
  for (let i = 0; i < 3; i++) sent.push(...(await settleAll(at, webhookId)).map(({ eventId }) => eventId))
  expect(sent).toEqual([first, second, third])
  expect(await at.queue()).toEqual([])
})

test('a resend leaves an event in flight alone; an older one requested meanwhile follows at once', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(everyUser)
  await at.append('user 1 new')
  await settleAll(at, webhookId)
  await at.append('user 1 update')
  const [first, second] = await eventIds(at)
  const [delivery] = await claim(at, webhookId)
  expect(await resend(at, { webhookId, eventId: second! })).toEqual({ state: 'in_flight' })
  expect(await resend(at, { webhookId, eventId: first! })).toMatchObject({
    behind: second,
    newerDelivered: true,
  })
  // Still the newer one, although the older one now stands before it.
  expect(await resend(at, { webhookId, eventId: second! })).toEqual({ state: 'in_flight' })
  expect(await resend(at, { webhookId, eventId: first! })).toMatchObject({ state: 'queued' })
  expect(await claim(at, webhookId)).toEqual([])

  await settle(at, settlementOf(delivery!, retry(60_000)))
  expect(await claim(at, webhookId)).toMatchObject([{ eventId: first, isManual: true }])
})

test('a settlement waits for a resend, and makes its event due', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(everyUser)
  await at.append('user 1 new')
  await settleAll(at, webhookId)
  await at.append('user 1 update')
  const [first] = await eventIds(at)
  const [delivery] = await claim(at, webhookId)
  // The resend has stopped every holder, and is held up at the deliveries.
  const letGo = await holdUp(at, 'lock table walhook.ended_deliveries in share mode')
  const resent = resend(at, { webhookId, eventId: first! })
  await untilWaiting(at, 1, 'the resend to wait')
  const settled = settle(at, settlementOf(delivery!))
  await untilWaiting(at, 2, 'the settlement to wait for the resend')
  await letGo()
  await Promise.all([resent, settled])
  expect(await at.queue()).toEqual([`${webhookId} user 1: new`])
  expect(await claim(at, webhookId)).toMatchObject([{ eventId: first }])
})

test('a resend waits for the settlement of its event', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(everyUser)
  await at.append('user 1 new')
  await settleAll(at, webhookId)
  await at.append('user 1 update')
  const [first, second] = await eventIds(at)
  for (const eventId of [first!, second!]) {
    const [delivery] = await claim(at, webhookId)
    const letGo = await holdUpLog(at)
    const settled = settle(at, settlementOf(delivery!))
    await untilWaiting(at, 1, 'the settlement to wait for the log')
    const resent = resend(at, { webhookId, eventId })
    await untilWaiting(at, 2, 'the resend to wait for the settlement')
    await letGo()
    await settled
    expect(await resent).toMatchObject({ state: 'queued', behind: null })
    expect(await at.queue()).toHaveLength(1)
  }
  expect(await claim(at, webhookId)).toMatchObject([{ eventId: second }])
})

test('a simultaneous append and resend of one entity keep its order', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(everyUser)
  await at.append('user 1 new')
  await settleAll(at, webhookId)
  const [first] = await eventIds(at)
  await transaction(at.outbox.pool, async client => {
    await append(client, at.nextAppend('user 1 update'))
    // An append locks nothing that a resend waits for.
    await resend(at, { webhookId, eventId: first! })
  })
  expect(await at.queue()).toEqual([`${webhookId} user 1: new, update`])
  const sent = []
  for (let i = 0; i < 2; i++)
    sent.push(...(await settleAll(at, webhookId)).map(({ actionType }) => actionType))
  expect(sent).toEqual(['new', 'update'])
})

test('under random appends, resends, claims and settlements, nothing is stuck or left over', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(everyUser)
  await at.append('user 1 new', 'user 2 new', 'user 3 new')
  const asked = new Map<bigint, number>()
  async function ask() {
    for (let i = 0; i < 100; i++) {
      const ids = await eventIds(at)
      const eventId = ids[randomBelow(ids.length)]!
      const { state } = await resend(at, { webhookId, eventId })
      if (state === 'queued') asked.set(eventId, (asked.get(eventId) ?? 0) + 1)
    }
  }
  async function appendAll() {
    for (let i = 0; i < 60; i++) await at.append(`user ${1 + (i % 3)} update`)
  }
  const settled = await whileSending(at, webhookId, [appendAll(), ask(), ask()], [{}, {}, {}, retry(0), dead])
  expect(await at.queue()).toEqual([])
  for (const eventId of await eventIds(at)) {
    const sent = settled.filter(
      ({ delivery, next }) => delivery.eventId === eventId && next.state !== 'retry',
    ).length
    expect(sent).toBeGreaterThanOrEqual(1)
    expect(sent).toBeLessThanOrEqual(1 + (asked.get(eventId) ?? 0))
  }
})

test('an event pending in the log is resent before its stream reaches it, after older ones of its entity, and once', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(everyUser)
  await leaveBehind(at, webhookId, 100)
  const holderId = await holderOf(at)
  await at.append('user 7 update', 'user 8 update')
  await at.append('user 7 delete')
  const ids = await eventIds(at)
  const last = ids.at(-3)!
  expect(await resend(at, { webhookId, eventId: last })).toMatchObject({ state: 'queued', behind: ids[6] })
  expect(await at.count('deliveries', 'is_manual')).toBe(1)
  expect(await at.queue()).toHaveLength(100)
  const sent: [number, boolean][] = []
  const send = async () => {
    const input = { holderId, webhookId, shares: allShares, limit: 10 }
    const { deliveries } = await pickDue(at.outbox, input)
    await settle(at, ...deliveries.map(each => settlementOf(each)))
    for (const { eventId, isManual } of deliveries) sent.push([ids.indexOf(eventId), isManual])
  }
  await send()
  await send()
  // Only now the stream comes there.
  const later = await settleAll(at, webhookId)
  expect(later.map(({ eventId }) => ids.indexOf(eventId))).toContain(102)
  expect(later.map(({ eventId }) => ids.indexOf(eventId))).not.toContain(6)
  expect(sent).toEqual([
    [6, false],
    [100, true],
  ])
})

test('a resend leaves an event alone that a stream may have in flight', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(everyUser)
  const holderId = await holderOf(at)
  const [first, second] = await at.append('user 1 update', 'user 2 update')
  await at.outbox.pool.query('update walhook.holders set may_send_up_to = $1 where id = $2', [
    first,
    holderId,
  ])
  expect(await resend(at, { webhookId, eventId: first! })).toEqual({ state: 'in_flight' })
  expect(await resend(at, { webhookId, eventId: second! })).toMatchObject({ state: 'queued', behind: null })
  const [, later] = await at.append('user 2 new', 'user 1 delete')
  // It is behind what is under way, of which no row tells.
  expect(await resend(at, { webhookId, eventId: later! })).toMatchObject({ state: 'queued', behind: first })
})

test('manual actions wait for settlements only, and no holder joins meanwhile', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(everyUser)
  await at.append('user 1 new')
  await pull(at, webhookId)
  const [eventId] = await eventIds(at)
  let isDone = false
  let both: Promise<unknown> = Promise.resolve()
  await transaction(at.outbox.pool, async client => {
    await lockAllHolders(client)
    both = Promise.allSettled([resend(at, { webhookId, eventId: eventId! }), claim(at, webhookId)])
    void both.then(() => (isDone = true))
    await untilWaiting(at, 2, 'the other one by hand and the holder to wait')
    expect(isDone).toBe(false)
  })
  await both
  expect(await at.queue()).toEqual([`${webhookId} user 1: new`])
})
