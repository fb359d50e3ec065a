import { expect, test } from 'vitest'
import { append } from '../../src/outbox/append.ts'
import { listAttempts } from '../../src/outbox/attempts.ts'
import { transaction } from '../../src/outbox/database.ts'
import { release } from '../../src/outbox/lanes.ts'
import { settle } from '../../src/outbox/settle.ts'
import { findWebhook } from '../../src/outbox/webhooks.ts'
import { openTestOutbox, settlementOf } from '../support/open-outbox.ts'
import { everyUser, holdUpLog, randomBelow, untilWaiting } from '../support/outbox-traffic.ts'
import { until } from '../support/wait.ts'

const retry = (waitMs: number, costsAttempt = true) => ({
  next: { state: 'retry' as const, waitMs, costsAttempt },
})

test('a delivered event leaves the queue, the next one of its lane is due at once, and an empty lane ends', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  await at.append('user 1 new', 'user 2 new')
  await at.append('user 1 update')
  await settle(
    at.outbox,
    (await at.claim(webhook)).map(lane => settlementOf(lane)),
  )
  expect(await at.queue()).toEqual([`${webhook} user 1: update`])
  const next = await at.claim(webhook)
  expect(next).toMatchObject([{ entityId: '1', actionType: 'update', attempts: 0 }])
  await settle(
    at.outbox,
    next.map(lane => settlementOf(lane)),
  )
  expect(await at.queue()).toEqual([])
  expect(await at.count('attempts', `outcome = 'delivered'`)).toBe(3)
})

test('a failed one keeps its place and its count, and its lane waits', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  await at.append('user 1 new', 'user 2 new')
  await at.append('user 1 update')
  const lanes = await at.claim(webhook)
  await settle(
    at.outbox,
    lanes.map(lane => settlementOf(lane, retry(lane.entityId === '1' ? 60_000 : 0))),
  )
  expect(await at.queue()).toEqual([`${webhook} user 1: new, update`, `${webhook} user 2: new`])
  expect(await at.claim(webhook)).toMatchObject([{ entityId: '2', actionType: 'new', attempts: 1 }])
  expect(
    await at.count('lanes', `due_at > now() + interval '50 s' and lease_id is null and entity_id = '1'`),
  ).toBe(1)
  const log = await listAttempts(at.outbox, { webhookId: webhook, limit: 10, before: null })
  const waits = log.map(({ nextAttemptAt }) => nextAttemptAt!.getTime() - Date.now())
  expect(Math.max(...waits)).toBeGreaterThan(50_000)
})

test('what our own shutdown cut off costs no attempt', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  await at.append('user 1 new')
  const [lane] = await at.claim(webhook)
  const settlement = settlementOf(lane!, retry(0, false))
  await settle(at.outbox, [
    {
      ...settlement,
      attempt: { ...settlement.attempt, outcome: 'cancelled', errorClass: null, errorMessage: null },
    },
  ])
  expect(await at.claim(webhook)).toMatchObject([{ attempts: 0 }])
})

test('a dead one is kept aside and the lane goes on', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  await at.append('user 1 new')
  await at.append('user 1 update')
  const [lane] = await at.claim(webhook)
  await settle(at.outbox, [settlementOf(lane!, { next: { state: 'dead' } })])
  expect(await at.queue()).toEqual([`${webhook} user 1: update`])
  const { rows } = await at.outbox.pool.query('select * from walhook.ended_deliveries')
  expect(rows).toMatchObject([{ webhook_id: webhook, event_id: lane!.eventId, attempts: 1 }])
  expect(await at.claim(webhook)).toMatchObject([{ actionType: 'update' }])
})

test('410 disables the webhook, with its reason, and what waits stays', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  await at.append('user 1 new', 'user 2 new')
  const [lane] = await at.claim(webhook, 1)
  await settle(at.outbox, [settlementOf(lane!, { ...retry(1), disable: 'It answered 410 Gone.' })])
  expect(await findWebhook(at.outbox, webhook)).toMatchObject({
    isActive: true,
    disabledAt: expect.any(Date),
    disabledReason: 'It answered 410 Gone.',
  })
  expect(await at.queue()).toHaveLength(2)
  expect(await at.busy()).toEqual([])
})

test('an attempt whose lease has gone to another is logged and changes nothing else', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  await at.append('user 1 new')
  const [late] = await at.claim(webhook, 1, 1)
  const [held] = await until(
    async () => {
      const lanes = await at.claim(webhook)
      return lanes.length > 0 && lanes
    },
    { what: 'the lease to end' },
  )
  expect(
    await settle(at.outbox, [settlementOf(late!, { next: { state: 'dead' }, disable: 'gone' })]),
  ).toEqual([])
  expect(await at.queue()).toEqual([`${webhook} user 1: new`])
  expect(await at.count('ended_deliveries')).toBe(0)
  expect((await findWebhook(at.outbox, webhook))!.disabledAt).toBeNull()
  expect(await at.count('attempts')).toBe(1)
  expect(await settle(at.outbox, [settlementOf(held!)])).toHaveLength(1)
  expect(await at.queue()).toEqual([])
})

test('the log and the queue commit together: where the queue cannot change, nothing is logged', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  await at.append('user 1 new')
  const [lane] = await at.claim(webhook)
  await at.outbox.pool.query(`
    create function walhook.fail() returns trigger language plpgsql as $$ begin raise 'the disk is full'; end $$;
    create trigger broken before delete on walhook.deliveries for each row execute function walhook.fail()`)
  await expect(settle(at.outbox, [settlementOf(lane!)])).rejects.toThrow('the disk is full')
  expect(await at.count('attempts')).toBe(0)
  await at.outbox.pool.query('drop trigger broken on walhook.deliveries')
  await settle(at.outbox, [settlementOf(lane!)])
  expect(await at.count('attempts')).toBe(1)
})

test('a settlement that is about to end a lane waits for an append to it, and keeps it', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  await at.append('user 1 new')
  const [lane] = await at.claim(webhook)
  let settled: Promise<unknown> = Promise.resolve()
  await transaction(at.outbox.pool, async client => {
    await append(client, at.nextAppend('user 1 update'))
    settled = settle(at.outbox, [settlementOf(lane!)])
    await untilWaiting(at, 1, 'the settlement to wait')
  })
  await settled
  expect(await at.queue()).toEqual([`${webhook} user 1: update`])
  expect(await at.claim(webhook)).toMatchObject([{ actionType: 'update' }])
})

test('an append waits for a settlement that is ending the lane, and makes it anew', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  await at.append('user 1 new')
  const [lane] = await at.claim(webhook)
  // After it has locked the lane.
  const letGo = await holdUpLog(at)
  const settled = settle(at.outbox, [settlementOf(lane!)])
  await untilWaiting(at, 1, 'the settlement to wait for the log')
  const appended = at.append('user 1 update')
  await untilWaiting(at, 2, 'the append to wait for the settlement')
  await letGo()
  await Promise.all([settled, appended])
  expect(await at.queue()).toEqual([`${webhook} user 1: update`])
  expect(await at.claim(webhook)).toMatchObject([{ actionType: 'update' }])
})

test('under appends, claims, releases and settlements at random, every event is settled once, in order, and nothing is left', async () => {
  await using at = await openTestOutbox()
  const webhooks = [await at.webhook(everyUser), await at.webhook(everyUser)]
  const rounds = 150
  const sent = new Map<string, string[]>()
  let isAppending = true

  async function work(webhookId: number) {
    for (;;) {
      const wasAppending = isAppending
      const lanes = await at.claim(webhookId, 1 + randomBelow(4))
      if (lanes.length === 0 && !wasAppending && (await at.count('lanes', `webhook_id = ${webhookId}`)) === 0)
        return
      if (Math.random() < 0.3) {
        await release(at.outbox, lanes)
        continue
      }
      const settlements = lanes.map(lane => settlementOf(lane, Math.random() < 0.2 ? retry(0) : {}))
      for (const { shipment, next } of settlements) {
        const [lane] = shipment.deliveries
        const key = `${lane.webhookId} ${lane.entityId}`
        if (next.state === 'done') sent.set(key, [...(sent.get(key) ?? []), String(lane.eventId)])
      }
      if (settlements.length > 0)
        expect(await settle(at.outbox, settlements)).toHaveLength(settlements.length)
    }
  }

  const workers = [...webhooks, ...webhooks].map(work)
  for (let round = 0; round < rounds; round++)
    await at.append(...new Set(Array.from({ length: 3 }, () => `user ${randomBelow(4)} update`)))
  isAppending = false
  await Promise.all(workers)

  expect(await at.queue()).toEqual([])
  const { rows } = await at.outbox.pool.query(
    `select entity_id, array_agg(id::text order by id) as ids from walhook.events group by entity_id`,
  )
  for (const webhookId of webhooks)
    for (const { entity_id, ids } of rows) expect(sent.get(`${webhookId} ${entity_id}`)).toEqual(ids)
})
