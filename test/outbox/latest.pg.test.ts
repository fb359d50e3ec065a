import { expect, test } from 'vitest'
import { latestOf } from '../../src/outbox/aside/latest.ts'
import { type Delivery, toDelivery } from '../../src/outbox/aside/shipment.ts'
import { append } from '../../src/outbox/log/append.ts'
import { readLogFor } from '../../src/outbox/log/log.ts'
import { updateWebhook } from '../../src/outbox/records/webhooks.ts'
import { openTestOutbox, type TestOutbox } from '../support/open-outbox.ts'
import { everyUser, randomBelow } from '../support/outbox-traffic.ts'
import { attemptsOf } from '../support/read-outbox.ts'
import { allShares, claim, holderOf, retry, settle, settlementOf } from '../support/sending.ts'

const latest = (at: TestOutbox, options = {}) => at.webhook(everyUser, true, { mode: 'latest', ...options })

/** What a process takes of rows, until nothing is left that is superseded. */
async function claimLatest(at: TestOutbox, webhookId: number, limit = 100): Promise<Delivery[]> {
  const send: Delivery[] = []
  for (;;) {
    const deliveries = await claim(at, webhookId, limit)
    const checked = await latestOf(at.outbox, {
      ...{ webhookId, deliveries, readUpTo: () => 2n ** 62n },
      holderId: await holderOf(at),
    })
    send.push(...checked.send)
    if (checked.superseded.length === 0) return send
  }
}

/** As a stream brings them: the events after a place, `count` of them at most, and what is beyond waits in the log. */
async function readLatest(at: TestOutbox, webhookId: number, after: bigint, count: number) {
  const page = await readLogFor(at.outbox, {
    limit: 1_000,
    ...{ webhookId, tenant: null, shares: allShares, after },
    ...{ scan: count, maxBytes: 1_000_000 },
  })
  const form = { attempts: 0, isManual: false, asNew: false, asDelete: false, withPrevious: false }
  const checked = await latestOf(at.outbox, {
    webhookId,
    holderId: await holderOf(at),
    deliveries: page.events.map(event => toDelivery(event, webhookId, form)),
    readUpTo: () => page.readUpTo,
  })
  return { ...checked, readUpTo: page.readUpTo }
}

const shown = (deliveries: readonly Delivery[]) =>
  deliveries.map(({ entityId, actionType }) => `${entityId} ${actionType}`)

/** What was superseded, as `1 new by 3`, each event by its place among all. */
async function superseded(at: TestOutbox): Promise<string[]> {
  const { rows } = await at.outbox.pool.query(`
    with e as (select id, action_type, row_number() over (order by id) as place from walhook.events)
    select e.place || ' ' || e.action_type || ' by ' || by.place as line
    from walhook.ended_deliveries d join e on e.id = d.event_id join e by on by.id = d.superseded_by
    where d.state = 'superseded' order by e.place`)
  return rows.map(({ line }) => line)
}

test('only the newest pending event of an entity is sent, a new entity stays new, and superseded ones are recorded', async () => {
  await using at = await openTestOutbox()
  const [webhook, every] = [await latest(at), await at.webhook(everyUser)]
  await at.append('user 1 new', 'user 2 update')
  await at.append('user 1 update', 'user 2 update')
  await at.append('user 1 update')
  const sent = await claimLatest(at, webhook)
  expect(sent.map(({ entityId, actionType, body }) => [entityId, actionType, body]).sort()).toEqual([
    ['1', 'new', '{"entity_id":1,"entity_type":"user","action_type":"new"}'],
    ['2', 'update', '{"entity_id":2,"entity_type":"user","action_type":"update"}'],
  ])
  expect(await superseded(at)).toEqual(['1 new by 5', '2 update by 4', '3 update by 5'])
  await settle(at, ...sent.map(each => settlementOf(each)))
  expect(await at.queue()).toEqual([
    `${every} user 1: new, update, update`,
    `${every} user 2: update, update`,
  ])
  expect(shown(await claim(at, every)).sort()).toEqual(['1 new', '2 update'])
})

test('events far ahead in a backlog supersede too, and the stream later knows how each update was sent', async () => {
  await using at = await openTestOutbox()
  const webhook = await latest(at)
  const [first] = await at.append('user 1 new', 'user 2 update', 'user 3 new')
  await at.append('user 1 update', 'user 4 new')
  await at.append('user 2 delete', 'user 1 update')
  const place = first! - 1n
  const one = await readLatest(at, webhook, place, 3)
  expect(shown(one.send)).toEqual(['3 new'])
  expect(await superseded(at)).toEqual(['1 new by 7', '2 update by 6'])
  const two = await readLatest(at, webhook, one.readUpTo, 2)
  expect(shown(two.send)).toEqual(['4 new'])
  const three = await readLatest(at, webhook, two.readUpTo, 10)
  // What it takes the place of was a `new`, also where another process reads it.
  expect(shown(three.send)).toEqual(['2 delete', '1 new'])
  expect(await superseded(at)).toEqual(['1 new by 7', '2 update by 6', '4 update by 7'])
  // Read again, as by a process that takes over: the same.
  expect(shown((await readLatest(at, webhook, two.readUpTo, 10)).send)).toEqual(['2 delete', '1 new'])
})

test('an unwanted event supersedes nothing', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(['user.new', 'user.update'], true, {
    mode: 'latest',
    updateFields: ['user.name'],
  })
  const facts = (changed: string[]) => ({ previous: null, changed, omitted: null })
  async function update(field: string) {
    const input = at.nextAppend('user 1 update')
    await append(at.outbox.pool, {
      ...input,
      events: input.events.map(event => ({ ...event, facts: facts([field]) })),
    })
  }
  const [first] = await at.append('user 1 new')
  await update('age')
  await update('age')
  const place = first! - 1n
  // Nobody wants what is beyond.
  expect(shown((await readLatest(at, webhook, place, 1)).send)).toEqual(['1 new'])
  expect(await superseded(at)).toEqual([])
  await update('name')
  const one = await readLatest(at, webhook, place, 1)
  expect(shown(one.send)).toEqual([])
  expect(await superseded(at)).toEqual(['1 new by 4'])
  expect(shown((await readLatest(at, webhook, one.readUpTo, 10)).send)).toEqual(['1 new'])
})

test("a row waiting for its retry is superseded by events beyond the stream's position", async () => {
  await using at = await openTestOutbox()
  const webhook = await latest(at)
  await at.append('user 1 new')
  const [tried] = await claimLatest(at, webhook)
  await settle(at, settlementOf(tried!, retry(0)))
  // The stream has not come so far.
  const [newer] = await at.append('user 1 update')
  const holderId = await holderOf(at)
  const deliveries = [{ ...tried!, attempts: 1 }]
  const read = { holderId, webhookId: webhook, deliveries, readUpTo: () => tried!.eventId }
  expect(await latestOf(at.outbox, read)).toMatchObject({ send: [], superseded: [{ supersededBy: newer }] })
  expect(await at.count('deliveries')).toBe(0)
  expect(shown((await readLatest(at, webhook, tried!.eventId, 10)).send)).toEqual(['1 new'])
})

test('the log shows an update that was sent as new as new', async () => {
  await using at = await openTestOutbox()
  const webhook = await latest(at)
  await updateWebhook(at.outbox, webhook, { previous: true })
  await at.append('user 1 new')
  const input = at.nextAppend('user 1 update')
  const facts = { previous: '{"name":"Guan"}', changed: ['name'], omitted: ['bio'] }
  await append(at.outbox.pool, { ...input, events: input.events.map(event => ({ ...event, facts })) })
  const [sent] = await claimLatest(at, webhook)
  // A receiver that has heard of nothing has no use for the values before.
  expect(sent!.body).toBe('{"entity_id":1,"entity_type":"user","action_type":"new","omitted":["bio"]}')
  await settle(at, settlementOf(sent!))
  const [logged] = await attemptsOf(at.outbox, { webhookId: webhook, limit: 1, before: null })
  expect(logged).toMatchObject({
    actionType: 'new',
    eventId: input.events[0]!.id,
    request: { body: sent!.body },
  })
})

test('a failed event is retried unchanged until a newer one comes, also after the mode changed', async () => {
  await using at = await openTestOutbox()
  const webhook = await latest(at)
  await at.append('user 1 new')
  await at.append('user 1 update')
  const [first] = await claimLatest(at, webhook)
  await settle(at, settlementOf(first!, retry(0)))
  const [again] = await claimLatest(at, webhook)
  expect(again).toMatchObject({ eventId: first!.eventId, body: first!.body, attempts: 1 })
  await settle(at, settlementOf(again!, retry(0)))
  const [third] = await claim(at, webhook)
  expect(third).toMatchObject({ eventId: first!.eventId, body: first!.body, attempts: 2 })
  await settle(at, settlementOf(third!, retry(0)))
  await at.append('user 1 update')
  const [newer] = await claimLatest(at, webhook)
  expect(newer).toMatchObject({ actionType: 'new', attempts: 0 })
  expect(newer!.eventId).toBeGreaterThan(first!.eventId)
  expect(await superseded(at)).toEqual(['1 new by 2', '2 update by 3'])
})

test('a delete is sent, and so are later events', async () => {
  await using at = await openTestOutbox()
  const webhook = await latest(at)
  for (const action of ['new', 'update', 'delete', 'new', 'update']) await at.append(`user 1 ${action}`)
  const [gone] = await claimLatest(at, webhook)
  expect(gone).toMatchObject({ actionType: 'delete' })
  await settle(at, settlementOf(gone!))
  expect(await claimLatest(at, webhook)).toMatchObject([{ actionType: 'new' }])
  expect(await superseded(at)).toEqual(['1 new by 3', '2 update by 3', '4 new by 5'])
})

test('an event in flight is not superseded, and a former holder supersedes nothing', async () => {
  await using at = await openTestOutbox()
  const webhook = await latest(at)
  await at.append('user 1 update')
  const [held] = await claimLatest(at, webhook)
  await at.append('user 1 update')
  expect(await claimLatest(at, webhook)).toEqual([])
  expect(await superseded(at)).toEqual([])
  const holderId = await holderOf(at)
  const late = { holderId: holderId + 1, webhookId: webhook, deliveries: [held!], readUpTo: () => 2n ** 62n }
  expect(await latestOf(at.outbox, late)).toEqual({ isFenced: true, send: [], superseded: [], left: [] })
  expect(await superseded(at)).toEqual([])
  await settle(at, settlementOf(held!))
  expect(await at.queue()).toEqual([`${webhook} user 1: update`])
})

test('an entity with more events than one scan is sent only after all were scanned', async () => {
  await using at = await openTestOutbox()
  const webhook = await latest(at)
  await at.append('user 1 new')
  const updates = 4_100
  for (let i = 0; i < updates; i += 1_000)
    await at.append(...Array.from({ length: Math.min(1_000, updates - i) }, () => 'user 1 update'))
  expect(await claimLatest(at, webhook)).toMatchObject([{ actionType: 'new' }])
  expect(await at.queue()).toEqual([`${webhook} user 1: update`])
  expect(await at.count('ended_deliveries')).toBe(updates)
})

test('under random appends, claims and failures, each receiver ends with the latest state and never gets an older one', async () => {
  await using at = await openTestOutbox()
  const webhooks = [await latest(at), await latest(at)]
  const [sent, accepted] = [new Map<string, string>(), new Map<string, bigint>()]
  const deletes = new Set<string>()
  let isAppending = true

  async function work(webhookId: number) {
    for (;;) {
      const wasAppending = isAppending
      const deliveries = await claimLatest(at, webhookId, 1 + randomBelow(4))
      const isEmpty = async () => (await at.count('deliveries', `webhook_id = ${webhookId}`)) === 0
      if (deliveries.length === 0 && !wasAppending && (await isEmpty())) return
      for (const { entityId, eventId, body } of deliveries) {
        const id = `${webhookId} ${eventId}`
        expect(sent.get(id) ?? body).toBe(body)
        sent.set(id, body)
        expect(eventId).toBeGreaterThan(accepted.get(`${webhookId} ${entityId}`) ?? 0n)
      }
      const settlements = deliveries.map(each => settlementOf(each, Math.random() < 0.3 ? retry(0) : {}))
      for (const { shipment, next } of settlements) {
        const [delivery] = shipment.deliveries
        if (next.state !== 'done') continue
        accepted.set(`${webhookId} ${delivery.entityId}`, delivery.eventId)
        if (delivery.actionType === 'delete') deletes.add(`${webhookId} ${delivery.eventId}`)
      }
      if (settlements.length > 0) expect((await settle(at, ...settlements)).isFenced).toBe(false)
    }
  }

  const workers = [...webhooks, ...webhooks].map(work)
  for (let round = 0; round < 150; round++)
    await at.append(
      ...new Set(
        Array.from({ length: 3 }, () => {
          const action = ['new', 'update', 'update', 'delete'][randomBelow(4)]
          return `user ${randomBelow(4)} ${action}`
        }),
      ),
    )
  isAppending = false
  await Promise.all(workers)

  const { rows } = await at.outbox.pool.query(
    `select entity_id, max(id) as newest, array_agg(id) filter (where action_type = 'delete') as deletes
     from walhook.events group by entity_id`,
  )
  for (const webhookId of webhooks)
    for (const { entity_id, newest, deletes: all } of rows) {
      expect(accepted.get(`${webhookId} ${entity_id}`)).toBe(newest)
      for (const id of all ?? []) expect(deletes).toContain(`${webhookId} ${id}`)
    }
  expect(await at.queue()).toEqual([])
  const finished = await at.count('attempts', `outcome = 'delivered'`)
  expect(finished + (await at.count('ended_deliveries'))).toBe(2 * (await at.count('events')))
})
