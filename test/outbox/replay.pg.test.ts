import type pg from 'pg'
import { expect, test } from 'vitest'
import type { Entity } from '../../src/domain/event/entity.ts'
import { askFor } from '../../src/outbox/by-hand/ask.ts'
import { type ReplaySource, replay } from '../../src/outbox/by-hand/replay.ts'
import { transaction } from '../../src/outbox/database/database.ts'
import { eventIds, openTestOutbox, type TestOutbox } from '../support/open-outbox.ts'
import {
  dead,
  everyUser,
  holdUp,
  holdUpLog,
  randomBelow,
  untilWaiting,
  whileSending,
} from '../support/outbox-traffic.ts'
import { claim, pull, resend, retry, settle, settleAll, settlementOf } from '../support/sending.ts'
import { leaveBehind } from '../support/waiting.ts'

const everything: ReplaySource = { of: 'range', from: 0n, to: 2n ** 62n, triggers: null }
const failures: ReplaySource = { of: 'failed', from: new Date(0), to: new Date('2199-01-01') }

const replayed = (
  at: TestOutbox,
  webhookId: number,
  source: ReplaySource,
  {
    pageEvents = 100,
    after = null as Entity | null,
    pages = Number.POSITIVE_INFINITY,
    onQueued = async (_client: pg.PoolClient): Promise<void> => {},
  } = {},
) => replay(at.outbox, { webhookId, source, after, pageEvents }, { isTimeOver: () => pages-- <= 0, onQueued })

/** Sends all that is due, one by one, until nothing is, and returns the events of each entity in the order of sending. */
async function sendAll(at: TestOutbox, webhookId: number): Promise<Record<string, bigint[]>> {
  const sent: Record<string, bigint[]> = {}
  for (;;) {
    const deliveries = await settleAll(at, webhookId)
    if (deliveries.length === 0) return sent
    for (const { entityType, entityId, eventId } of deliveries) {
      const entity = `${entityType} ${entityId}`
      sent[entity] = [...(sent[entity] ?? []), eventId]
    }
  }
}

test('a replay sends unwanted and older events too, in order per entity, in pages of any size', async () => {
  for (const pageEvents of [1, 2, 3, 100]) {
    await using at = await openTestOutbox()
    await at.append('user 1 new', 'user 2 new', 'company 1 new')
    const webhookId = await at.webhook(['user.delete'])
    await at.append('user 1 update', 'user 3 new')
    await at.append('user 1 update')
    expect(await replayed(at, webhookId, everything, { pageEvents })).toEqual({
      state: 'queued',
      queued: 6,
      next: null,
    })
    expect(await at.queue()).toEqual([
      `${webhookId} company 1: new`,
      `${webhookId} user 1: new, update, update`,
      `${webhookId} user 2: new`,
      `${webhookId} user 3: new`,
    ])
    expect(await at.count('deliveries', 'is_manual and attempts = 0')).toBe(6)
    const sent = await sendAll(at, webhookId)
    for (const ids of Object.values(sent)) expect(ids).toEqual(ids.toSorted())
    expect(await at.queue()).toEqual([])
  }
})

test('a replay selects a range, triggers or a list of events', async () => {
  await using at = await openTestOutbox()
  await at.append('user 1 new', 'company 1 new')
  await at.append('user 1 update', 'user 2 new')
  await at.append('user 1 delete')
  const ids = await eventIds(at)
  const webhookId = await at.webhook(['user.new'])
  const queued = async (source: ReplaySource) => {
    await replayed(at, webhookId, source)
    const { rows } = await at.outbox.pool.query('delete from walhook.deliveries returning event_id')
    await at.outbox.pool.query('delete from walhook.skips')
    return rows.map(row => ids.indexOf(row.event_id)).sort()
  }
  expect(await queued({ ...everything, from: ids[1]!, to: ids[4]! })).toEqual([1, 2, 3])
  expect(await queued({ ...everything, triggers: ['user.new', 'company.update'] })).toEqual([0, 3])
  expect(await queued({ of: 'ids', ids: [ids[4]!, ids[1]!, 7n] })).toEqual([1, 4])
  expect(await queued({ of: 'ids', ids: [7n] })).toEqual([])
})

test('replayed events come before newer pending ones, also before retries', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(['user.delete'])
  await at.append('user 1 new')
  await at.append('user 1 delete')
  const ids = await eventIds(at)
  await settleAll(at, webhookId, retry(60_000))
  expect(await replayed(at, webhookId, everything)).toMatchObject({ queued: 1 })
  expect(await at.count('deliveries', 'attempts = 1')).toBe(1)
  expect((await sendAll(at, webhookId))['user 1']).toEqual(ids)
})

test('a replay leaves events in flight alone; an older replayed one follows afterwards', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(['user.delete'])
  await at.append('user 1 new')
  await at.append('user 1 delete')
  const [older, inFlight] = await eventIds(at)
  const [delivery] = await claim(at, webhookId)
  expect(await replayed(at, webhookId, everything)).toMatchObject({ queued: 1 })
  expect(await claim(at, webhookId)).toEqual([])
  await settle(at, settlementOf(delivery!, retry(60_000)))
  expect(await claim(at, webhookId)).toMatchObject([{ eventId: older }])
  expect(await at.count('deliveries', `event_id = ${inFlight}`)).toBe(1)
})

test("an entity's events are sent only once all selected ones are queued", async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(['user.delete'])
  for (let i = 0; i < 20; i++) await at.append(...[1, 2, 3].map(user => `user ${user} update`))
  // These newer ones wait; sent between two pages of the replay, they would be followed by older states.
  const [to] = await at.append(...[1, 2, 3].map(user => `user ${user} delete`))
  await pull(at, webhookId)
  // After each page, everything that is due is sent.
  const sent: Record<string, bigint[]> = {}
  let after: Entity | null = null
  do {
    const older = { ...everything, to: to! }
    const page: Awaited<ReturnType<typeof replay>> = await replayed(at, webhookId, older, {
      after,
      pageEvents: 2,
      pages: 1,
    })
    if (page.state !== 'queued') throw new Error(page.state)
    for (const [entity, ids] of Object.entries(await sendAll(at, webhookId)))
      sent[entity] = [...(sent[entity] ?? []), ...ids]
    after = page.next
  } while (after !== null)
  for (const entity of ['user 1', 'user 2', 'user 3']) {
    // Those that waited may be sent before any of it is queued, and never in between.
    const [first, ...rest] = sent[entity]!
    const older = first! > rest[0]! ? rest : sent[entity]!
    expect(older).toEqual(older.toSorted())
    expect(sent[entity]).toHaveLength(21)
  }
  expect(await at.queue()).toEqual([])
})

test('a replay call that runs out of time returns its position, and the next one continues there', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(['company.new'])
  for (const user of [1, 2, 3, 4, 5]) await at.append(`user ${user} new`, `company ${user} update`)
  let after: Entity | null = null
  const queued = []
  do {
    const part: Awaited<ReturnType<typeof replay>> = await replayed(at, webhookId, everything, {
      after,
      pageEvents: 3,
      pages: 1,
    })
    if (part.state !== 'queued') throw new Error(part.state)
    queued.push(part.queued)
    after = part.next
  } while (after !== null)
  expect(queued).toEqual([2, 2, 2, 2, 2])
  expect(await at.queue()).toHaveLength(10)
})

test('a replay for an inactive webhook is refused, also in the middle', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(['company.new'])
  await at.append('user 1 new', 'user 2 new')
  const refusal = await replayed(at, webhookId, everything, {
    pageEvents: 1,
    onQueued: async client => {
      await client.query('update walhook.webhooks set is_active = false')
    },
  })
  expect(refusal).toEqual({ state: 'inactive', disabledReason: null })
  expect(await at.queue()).toHaveLength(1)
  expect(await replayed(at, webhookId, everything)).toEqual({ state: 'inactive', disabledReason: null })
  expect(await replayed(at, 999, everything)).toEqual({ state: 'no_webhook' })
})

test('a replay of failures resends dead events, and makes pending retries due', async () => {
  await using at = await openTestOutbox()
  const [webhookId, other] = [await at.webhook(everyUser), await at.webhook(everyUser)]
  await at.append('user 1 new', 'user 2 new', 'user 3 new', 'user 4 new')
  const [died, waits, delivered] = await eventIds(at)
  await at.append('user 1 update')
  const outcomes: Record<string, object> = { 1: dead, 2: retry(60_000), 3: retry(0), 4: {} }
  await settle(
    at,
    ...(await claim(at, webhookId)).map(delivery => settlementOf(delivery, outcomes[delivery.entityId])),
  )
  await settle(at, ...(await claim(at, other)).map(delivery => settlementOf(delivery, dead)))
  await settleAll(at, webhookId)
  expect(await at.queue()).toContain(`${webhookId} user 2: new`)

  const tooLate = { ...failures, from: new Date(Date.now() + 60_000) } as ReplaySource
  expect(await replayed(at, webhookId, tooLate)).toMatchObject({ queued: 0 })
  for (const queued of [2, 0])
    expect(await replayed(at, webhookId, failures)).toEqual({ state: 'queued', queued, next: null })
  expect(await sendAll(at, webhookId)).toEqual({ 'user 1': [died], 'user 2': [waits] })
  expect(await at.count('ended_deliveries', `webhook_id = ${webhookId}`)).toBe(0)
  expect(await at.count('attempts', `webhook_id = ${webhookId} and event_id = ${delivered}`)).toBe(2)
  expect(await replayed(at, webhookId, failures)).toMatchObject({ queued: 0 })
})

test('a failure that is delivered meanwhile is not replayed', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(everyUser)
  await at.append('user 1 new')
  const [eventId] = await eventIds(at)
  await settleAll(at, webhookId, retry(0))
  await settleAll(at, webhookId)
  const { asked } = await transaction(at.outbox.pool, client =>
    askFor(client, { webhookId, eventIds: [eventId!], purpose: 'failed' }),
  )
  expect(asked).toEqual([])
  expect(await at.queue()).toEqual([])
})

test('a replay leaves events pending in the log, and sends unwanted ones in order', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(['user.new', 'user.update'])
  await leaveBehind(at, webhookId, 3)
  const [gone, update] = await at.append('user 1 delete', 'user 1 update')
  expect(await replayed(at, webhookId, everything)).toMatchObject({ queued: 1 })
  expect(await at.queue()).toEqual([
    `${webhookId} user 1: new, delete, update`,
    `${webhookId} user 2: new`,
    `${webhookId} user 3: new`,
  ])
  expect(await at.count('deliveries', 'is_manual')).toBe(1)
  const sent = await sendAll(at, webhookId)
  expect(sent['user 1']).toEqual([expect.anything(), gone, update])
  expect(await at.queue()).toEqual([])
})

test('a replay waits for a settlement that is ending the last row of an entity', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(everyUser)
  await at.append('user 1 new')
  await settleAll(at, webhookId)
  await at.append('user 1 update')
  const [delivery] = await claim(at, webhookId)
  const letGo = await holdUpLog(at)
  const settled = settle(at, settlementOf(delivery!))
  await untilWaiting(at, 1, 'the settlement to wait for the log')
  const done = replayed(at, webhookId, everything)
  await untilWaiting(at, 2, 'the replay to wait for the settlement')
  await letGo()
  await settled
  expect(await done).toMatchObject({ state: 'queued' })
  expect((await at.queue())[0]).toMatch(/^\d+ user 1: new/)
  const sent = (await sendAll(at, webhookId))['user 1']!
  expect(sent).toEqual(sent.toSorted())
  expect(await at.queue()).toEqual([])
})

test('a replay and a resend of the same event do not deadlock', async () => {
  for (const isReplayFirst of [true, false]) {
    await using at = await openTestOutbox()
    const webhookId = await at.webhook(['user.delete'])
    await at.append('user 1 new', 'user 2 new')
    const [, eventId] = await eventIds(at)
    await at.append('user 1 delete', 'user 2 delete')
    // Both wait for the webhook, once every holder has stopped.
    const letGo = await holdUp(at, 'select from walhook.webhooks for update')
    const acts = [
      () => replayed(at, webhookId, everything),
      () => resend(at, { webhookId, eventId: eventId! }),
    ]
    if (!isReplayFirst) acts.reverse()
    const first = acts[0]!()
    await untilWaiting(at, 1, 'the first one to wait for the webhook')
    const second = acts[1]!()
    await untilWaiting(at, 2, 'the second one to wait')
    await letGo()
    expect(await Promise.all([first, second])).toMatchObject([{ state: 'queued' }, { state: 'queued' }])
    expect(await at.queue()).toEqual([`${webhookId} user 1: new, delete`, `${webhookId} user 2: new, delete`])
  }
})

test('under random appends, replays, claims and settlements, nothing is stuck or left over', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(everyUser)
  async function replayAtRandom() {
    for (let i = 0; i < 12; i++)
      expect(
        await replayed(at, webhookId, i % 2 ? failures : everything, { pageEvents: 1 + randomBelow(9) }),
      ).toMatchObject({ state: 'queued' })
  }
  async function appendAll() {
    for (let i = 0; i < 60; i++) await at.append(`user ${i % 4} update`, `user ${5 + (i % 3)} update`)
  }
  const work = [appendAll(), replayAtRandom(), replayAtRandom()]
  const settled = await whileSending(at, webhookId, work, [{}, {}, {}, retry(0), dead])
  expect(await at.queue()).toEqual([])
  const died = await at.outbox.pool.query('select event_id from walhook.ended_deliveries')
  const over = settled.flatMap(({ delivery, next }) => (next.state === 'done' ? delivery.eventId : []))
  expect(new Set([...over, ...died.rows.map(row => row.event_id)])).toEqual(new Set(await eventIds(at)))
})
