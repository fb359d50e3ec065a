import { expect, test } from 'vitest'
import { append } from '../../src/outbox/append.ts'
import { listAttempts } from '../../src/outbox/attempts.ts'
import { claim } from '../../src/outbox/claim.ts'
import { settle } from '../../src/outbox/settle.ts'
import { maxLookedAt, supersede } from '../../src/outbox/supersede.ts'
import { updateWebhook } from '../../src/outbox/webhooks.ts'
import { openTestOutbox, settlementOf, type TestOutbox } from '../support/open-outbox.ts'

const everyUser = ['user.new', 'user.update', 'user.delete']
const latest = (at: TestOutbox, options = {}) => at.webhook(everyUser, true, { mode: 'latest', ...options })
const claimLatest = (at: TestOutbox, webhookId: number, leaseMs = 60_000) =>
  at.claim(webhookId, 100, leaseMs, 'latest')
const retry = { next: { state: 'retry' as const, waitMs: 0, costsAttempt: true } }

/** What was superseded, as `1 new by 3`, each event by its place among all. */
async function superseded(at: TestOutbox): Promise<string[]> {
  const { rows } = await at.outbox.pool.query(`
    with e as (select id, action_type, row_number() over (order by id) as place from walhook.events)
    select e.place || ' ' || e.action_type || ' by ' || by.place as line
    from walhook.ended_deliveries d join e on e.id = d.event_id join e by on by.id = d.superseded_by
    where d.state = 'superseded' order by e.place`)
  return rows.map(({ line }) => line)
}

test('of what waits in a lane only the newest is sent, a new entity stays new, and what was left out is recorded', async () => {
  await using at = await openTestOutbox()
  const [webhook, every] = [await latest(at), await at.webhook(everyUser)]
  await at.append('user 1 new', 'user 2 update')
  await at.append('user 1 update', 'user 2 update')
  await at.append('user 1 update')
  const lanes = await claimLatest(at, webhook)
  expect(lanes.map(({ entityId, actionType, body }) => [entityId, actionType, body]).sort()).toEqual([
    ['1', 'new', '{"entity_id":1,"entity_type":"user","action_type":"new"}'],
    ['2', 'update', '{"entity_id":2,"entity_type":"user","action_type":"update"}'],
  ])
  expect(await superseded(at)).toEqual(['1 new by 5', '2 update by 4', '3 update by 5'])
  await settle(
    at.outbox,
    lanes.map(lane => settlementOf(lane)),
  )
  expect(await at.queue()).toEqual([
    `${every} user 1: new, update, update`,
    `${every} user 2: update, update`,
  ])
  expect(await at.claim(every)).toMatchObject([{ actionType: 'new' }, { actionType: 'update' }])
})

test('the log shows an update that was sent as new as it was sent', async () => {
  await using at = await openTestOutbox()
  const webhook = await latest(at)
  await updateWebhook(at.outbox, webhook, { previous: true })
  await at.append('user 1 new')
  const input = at.nextAppend('user 1 update')
  const facts = { previous: '{"name":"Guan"}', changed: ['name'], omitted: ['bio'] }
  await append(at.outbox.pool, { ...input, events: input.events.map(event => ({ ...event, facts })) })
  const [lane] = await claimLatest(at, webhook)
  // A receiver that has heard of nothing has no use for the values before.
  expect(lane!.body).toBe('{"entity_id":1,"entity_type":"user","action_type":"new","omitted":["bio"]}')
  await settle(at.outbox, [settlementOf(lane!)])
  const [logged] = await listAttempts(at.outbox, { webhookId: webhook, limit: 1, before: null })
  expect(logged).toMatchObject({
    actionType: 'new',
    eventId: input.events[0]!.id,
    request: { body: lane!.body },
  })
})

test('what failed is sent again as it was, also by a webhook that wants every event by then, until something newer comes', async () => {
  await using at = await openTestOutbox()
  const webhook = await latest(at)
  await at.append('user 1 new')
  await at.append('user 1 update')
  const [first] = await claimLatest(at, webhook)
  await settle(at.outbox, [settlementOf(first!, retry)])
  const [again] = await claimLatest(at, webhook)
  expect(again).toMatchObject({ eventId: first!.eventId, body: first!.body, attempts: 1 })
  await settle(at.outbox, [settlementOf(again!, retry)])
  const [third] = await at.claim(webhook)
  expect(third).toMatchObject({ eventId: first!.eventId, body: first!.body, attempts: 2 })
  await settle(at.outbox, [settlementOf(third!, retry)])
  await at.append('user 1 update')
  const [newer] = await claimLatest(at, webhook)
  expect(newer).toMatchObject({ actionType: 'new', attempts: 0 })
  expect(newer!.eventId).toBeGreaterThan(first!.eventId)
  expect(await superseded(at)).toEqual(['1 new by 2', '2 update by 3'])
})

test('a delete is sent, and so is what comes after it', async () => {
  await using at = await openTestOutbox()
  const webhook = await latest(at)
  for (const action of ['new', 'update', 'delete', 'new', 'update']) await at.append(`user 1 ${action}`)
  const [gone] = await claimLatest(at, webhook)
  expect(gone).toMatchObject({ actionType: 'delete' })
  await settle(at.outbox, [settlementOf(gone!)])
  expect(await claimLatest(at, webhook)).toMatchObject([{ actionType: 'new' }])
  expect(await superseded(at)).toEqual(['1 new by 3', '2 update by 3', '4 new by 5'])
})

test('what is in flight is not superseded, nor what another process holds by now', async () => {
  await using at = await openTestOutbox()
  const webhook = await latest(at)
  await at.append('user 1 update')
  const [held] = await claimLatest(at, webhook)
  await at.append('user 1 update')
  expect(await claimLatest(at, webhook)).toEqual([])
  // A process whose lease has ended, between its claim and this.
  const lanes = [{ entityType: 'user', entityId: '1' }]
  const late = { webhookId: webhook, lease: '00000000-0000-4000-9000-000000000000', lanes }
  expect(await supersede(at.outbox, late)).toEqual({ finished: [], unfinished: [] })
  expect(await superseded(at)).toEqual([])
  await settle(at.outbox, [settlementOf(held!)])
  expect(await at.queue()).toEqual([`${webhook} user 1: update`])
})

test('a lane longer than one claim looks at is sent only when all of it was looked at, in bounded commits', async () => {
  await using at = await openTestOutbox()
  const webhook = await latest(at)
  await at.append('user 1 new')
  const updates = 2 * maxLookedAt + 100
  for (let i = 0; i < updates; i += 1_000)
    await at.append(...Array.from({ length: Math.min(1_000, updates - i) }, () => 'user 1 update'))
  const take = (n: number) =>
    claim(at.outbox, {
      webhookId: webhook,
      mode: 'latest',
      batch: null,
      limit: 10,
      leaseMs: 60_000,
      lease: `00000000-0000-4000-a000-00000000000${n}`,
    })
  expect(await take(1)).toEqual({ shipments: [], lookAgainInMs: 0 })
  expect(await at.count('ended_deliveries')).toBe(maxLookedAt - 1)
  expect(await take(2)).toEqual({ shipments: [], lookAgainInMs: 0 })
  const { shipments, lookAgainInMs } = await take(3)
  expect(lookAgainInMs).toBe(null)
  expect(shipments).toMatchObject([{ deliveries: [{ actionType: 'new' }] }])
  expect(await at.queue()).toEqual([`${webhook} user 1: update`])
  expect(await at.count('ended_deliveries')).toBe(updates)
})

test('under appends, claims and failures at random, each receiver ends with the latest state and never goes back', async () => {
  await using at = await openTestOutbox()
  const webhooks = [await latest(at), await latest(at)]
  const [sent, accepted] = [new Map<string, string>(), new Map<string, bigint>()]
  const deletes = new Set<string>()
  let isAppending = true

  async function work(webhookId: number) {
    for (;;) {
      const wasAppending = isAppending
      const lanes = await at.claim(webhookId, 1 + Math.floor(Math.random() * 4), 60_000, 'latest')
      if (lanes.length === 0 && !wasAppending && (await at.count('lanes', `webhook_id = ${webhookId}`)) === 0)
        return
      for (const { entityId, eventId, body } of lanes) {
        const id = `${webhookId} ${eventId}`
        expect(sent.get(id) ?? body).toBe(body)
        sent.set(id, body)
        expect(eventId).toBeGreaterThan(accepted.get(`${webhookId} ${entityId}`) ?? 0n)
      }
      const settlements = lanes.map(lane => settlementOf(lane, Math.random() < 0.3 ? retry : {}))
      for (const { shipment, next } of settlements) {
        const [lane] = shipment.deliveries
        if (next.state !== 'done') continue
        accepted.set(`${webhookId} ${lane.entityId}`, lane.eventId)
        if (lane.actionType === 'delete') deletes.add(`${webhookId} ${lane.eventId}`)
      }
      if (settlements.length > 0)
        expect(await settle(at.outbox, settlements)).toHaveLength(settlements.length)
    }
  }

  const workers = [...webhooks, ...webhooks].map(work)
  for (let round = 0; round < 150; round++)
    await at.append(
      ...new Set(
        Array.from({ length: 3 }, () => {
          const action = ['new', 'update', 'update', 'delete'][Math.floor(Math.random() * 4)]
          return `user ${Math.floor(Math.random() * 4)} ${action}`
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
