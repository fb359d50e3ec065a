import { expect, test } from 'vitest'
import { append } from '../../src/outbox/append.ts'
import { claim } from '../../src/outbox/claim.ts'
import { type Outbox, transaction } from '../../src/outbox/database.ts'
import { settle } from '../../src/outbox/settle.ts'
import { deleteWebhook, updateWebhook } from '../../src/outbox/webhooks.ts'
import {
  eventIds,
  openTestOutbox,
  resend,
  retry,
  settleAll,
  settlementOf,
  type TestOutbox,
} from '../support/open-outbox.ts'
import {
  dead,
  everyUser,
  holdUp,
  holdUpLog,
  randomBelow,
  untilWaiting,
  whileSending,
} from '../support/outbox-traffic.ts'

test('a dead event goes through its lane again, by hand, from its first attempt', async () => {
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
  expect(await at.claim(webhookId)).toMatchObject([{ eventId, attempts: 0, isManual: true }])
})

test('one that waits to be tried again is due at once, and counts anew', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(everyUser)
  await at.append('user 1 new')
  const [eventId] = await eventIds(at)
  await settleAll(at, webhookId, retry(60_000))
  expect(await at.claim(webhookId)).toEqual([])
  expect(await resend(at, { webhookId, eventId: eventId! })).toMatchObject({ behind: null })
  expect(await at.claim(webhookId)).toMatchObject([{ eventId, attempts: 0, isManual: true }])
  expect(await at.queue()).toHaveLength(1)
})

test('a delivered one is sent again, and it is told where the receiver has had a newer state', async () => {
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

test('what the webhook does not want is sent all the same; one that does not send refuses', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(['company.new'])
  await at.append('user 1 new')
  const [eventId] = await eventIds(at)
  expect(await resend(at, { webhookId, eventId: eventId! })).toMatchObject({ state: 'queued' })
  expect(await at.claim(webhookId)).toMatchObject([{ eventId, isManual: true }])
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
  expect(await at.queue()).toEqual([])
})

test('it takes its place in the order of the lane', async () => {
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
  expect(await at.claim(webhookId)).toEqual([])
  // The first one comes before both.
  expect(await resend(at, { webhookId, eventId: first! })).toMatchObject({ behind: null })
  const sent = []
  for (let i = 0; i < 3; i++) sent.push(...(await settleAll(at, webhookId)).map(({ eventId }) => eventId))
  expect(sent).toEqual([first, second, third])
  expect(await at.queue()).toEqual([])
})

test('what is on its way is left alone; an older one asked for meanwhile follows as soon as it has ended', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(everyUser)
  await at.append('user 1 new')
  await settleAll(at, webhookId)
  await at.append('user 1 update')
  const [first, second] = await eventIds(at)
  const [lane] = await at.claim(webhookId)
  expect(await resend(at, { webhookId, eventId: second! })).toEqual({ state: 'in_flight' })
  expect(await resend(at, { webhookId, eventId: first! })).toMatchObject({
    behind: second,
    newerDelivered: true,
  })
  // Still the newer one, although the older one now stands before it.
  expect(await resend(at, { webhookId, eventId: second! })).toEqual({ state: 'in_flight' })
  expect(await resend(at, { webhookId, eventId: first! })).toMatchObject({ state: 'queued' })
  expect(await at.claim(webhookId)).toEqual([])

  await settle(at.outbox, [settlementOf(lane!, retry(60_000))])
  expect(await at.claim(webhookId)).toMatchObject([{ eventId: first, isManual: true }])
})

test('a claim that has the lane, and not yet read what it sends, does not take what is asked for meanwhile', async () => {
  await using at = await openTestOutbox()
  for (const mode of ['every', 'latest'] as const) {
    const webhookId = await at.webhook(everyUser, true, { mode })
    await at.append('user 1 new')
    await settleAll(at, webhookId)
    await at.append('user 1 update')
    const [first, second] = (await eventIds(at)).slice(-2)
    const { shipments } = await claim(
      afterFirstQuery(at, () => resend(at, { webhookId, eventId: first! })),
      {
        webhookId,
        mode,
        batch: null,
        limit: 10,
        lease: crypto.randomUUID(),
        leaseMs: 60_000,
      },
    )
    const lanes = shipments.map(({ deliveries }) => deliveries[0])
    expect(lanes).toMatchObject([{ eventId: second }])
    expect(await resend(at, { webhookId, eventId: second! })).toEqual({ state: 'in_flight' })
    await settle(
      at.outbox,
      lanes.map(lane => settlementOf(lane)),
    )
    expect(await at.claim(webhookId)).toMatchObject([{ eventId: first }])
  }
})

/** The outbox, except that something happens once after its first query. */
function afterFirstQuery(at: TestOutbox, act: () => Promise<unknown>): Outbox {
  let isFirst = true
  const query = async (config: never) => {
    const result = await at.outbox.pool.query(config)
    if (isFirst) {
      isFirst = false
      await act()
    }
    return result
  }
  return { ...at.outbox, pool: { query } as never }
}

test('a settlement that is about to end the lane waits for a resend, and keeps it', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(everyUser)
  await at.append('user 1 new')
  await settleAll(at, webhookId)
  await at.append('user 1 update')
  const [first] = await eventIds(at)
  const [lane] = await at.claim(webhookId)
  // The resend has the lane, and is held up at the deliveries.
  const letGo = await holdUp(at, 'lock table walhook.ended_deliveries in share mode')
  const resent = resend(at, { webhookId, eventId: first! })
  await untilWaiting(at, 1, 'the resend to wait')
  const settled = settle(at.outbox, [settlementOf(lane!)])
  await untilWaiting(at, 2, 'the settlement to wait for the resend')
  await letGo()
  await Promise.all([resent, settled])
  expect(await at.queue()).toEqual([`${webhookId} user 1: new`])
  expect(await at.claim(webhookId)).toMatchObject([{ eventId: first }])
})

test('a resend waits for a settlement that is ending the lane, and makes it anew', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(everyUser)
  await at.append('user 1 new')
  await settleAll(at, webhookId)
  await at.append('user 1 update')
  const [first, second] = await eventIds(at)
  for (const eventId of [first!, second!]) {
    const [lane] = await at.claim(webhookId)
    const letGo = await holdUpLog(at)
    const settled = settle(at.outbox, [settlementOf(lane!)])
    await untilWaiting(at, 1, 'the settlement to wait for the log')
    const resent = resend(at, { webhookId, eventId })
    await untilWaiting(at, 2, 'the resend to wait for the settlement')
    await letGo()
    await settled
    expect(await resent).toMatchObject({ state: 'queued', behind: null })
    expect(await at.queue()).toHaveLength(1)
  }
  expect(await at.claim(webhookId)).toMatchObject([{ eventId: second }])
})

test('an append and a resend of one entity at once leave one lane, whoever comes first', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(everyUser)
  await at.append('user 1 new')
  await settleAll(at, webhookId)
  const [first] = await eventIds(at)
  let resent: Promise<unknown> = Promise.resolve()
  await transaction(at.outbox.pool, async client => {
    await append(client, at.nextAppend('user 1 update'))
    resent = resend(at, { webhookId, eventId: first! })
    await untilWaiting(at, 1, 'the resend to wait for the append')
  })
  await resent
  expect(await at.queue()).toEqual([`${webhookId} user 1: new, update`])
  const sent = []
  for (let i = 0; i < 2; i++)
    sent.push(...(await settleAll(at, webhookId)).map(({ actionType }) => actionType))
  expect(sent).toEqual(['new', 'update'])
})

test('under appends, resends, claims and settlements at random, nothing is stuck and nothing is left', async () => {
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
    const sent = settled.filter(({ lane, next }) => lane.eventId === eventId && next.state !== 'retry').length
    expect(sent).toBeGreaterThanOrEqual(1)
    expect(sent).toBeLessThanOrEqual(1 + (asked.get(eventId) ?? 0))
  }
})
