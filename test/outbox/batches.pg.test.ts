import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { messageOf } from '../../src/delivery/message.ts'
import { decideNextOfShipment } from '../../src/domain/shipment.ts'
import type { Batching, Mode } from '../../src/domain/webhook.ts'
import { listAttempts } from '../../src/outbox/attempts.ts'
import { claim } from '../../src/outbox/claim.ts'
import { settle } from '../../src/outbox/settle.ts'
import type { Shipment } from '../../src/outbox/shipment.ts'
import { openTestOutbox, settlementOf } from '../support/open-outbox.ts'

const everyUser = ['user.new', 'user.update', 'user.delete']
type At = Awaited<ReturnType<typeof openTestOutbox>>

const open = async (at: At, batch: Batching, mode: Mode = 'every') =>
  await at.webhook(everyUser, true, { batch, mode })

async function take(
  at: At,
  webhookId: number,
  batch: Batching | null,
  { limit = 10, leaseMs = 60_000, mode = 'every' as Mode } = {},
) {
  return await claim(at.outbox, { webhookId, mode, batch, limit, lease: randomUUID(), leaseMs })
}

/** `1 new, 2 update`: what a request carries, in the order of its body. */
const shown = ({ deliveries }: Shipment) =>
  deliveries.map(({ entityId, actionType }) => `${entityId} ${actionType}`).join(', ')

/** The settlement of a shipment that was answered with a status. */
function answered(shipment: Shipment, status: number) {
  const outcome = status < 300 ? ('delivered' as const) : ('refused' as const)
  const message = messageOf(shipment)
  const next = decideNextOfShipment({
    outcome,
    status,
    size: shipment.deliveries.length,
    number: message.number,
    retryAfterMs: null,
    scheduleMs: Array(20).fill(0),
    random: 0.5,
  })
  const usual = settlementOf(shipment.deliveries[0], { next })
  const { body, ...identity } = message
  const attempt = {
    ...usual.attempt,
    ...identity,
    request: { ...usual.attempt.request, body },
    outcome,
    errorClass: outcome === 'delivered' ? null : ('http_error' as const),
    errorMessage: outcome === 'delivered' ? null : 'refused',
    response: { status, headers: {}, body: '', truncated: false },
  }
  return { ...usual, shipment, attempt }
}

test('events wait for company until the batch is full or one has waited long enough; nothing is leased meanwhile', async () => {
  await using at = await openTestOutbox()
  const batch = { maxEvents: 3, maxWaitMs: 60_000 }
  const webhookId = await open(at, batch)
  await at.append('user 1 new', 'user 2 new')
  const early = await take(at, webhookId, batch)
  expect(early.shipments).toEqual([])
  expect(early.lookAgainInMs).toBeGreaterThan(50_000)
  expect(await at.count('lanes', 'lease is not null')).toBe(0)
  await at.append('user 1 update', 'user 3 new')
  const full = await take(at, webhookId, batch)
  expect(full.shipments.map(shown)).toEqual(['1 new, 2 new, 1 update'])
  expect(full.lookAgainInMs).toBeGreaterThan(50_000)
  // The one that is left waits on, free for anybody.
  expect(await at.count('lanes', 'lease is null')).toBe(1)
  const patient = { maxEvents: 3, maxWaitMs: 0 }
  expect((await take(at, webhookId, patient)).shipments.map(shown)).toEqual(['3 new'])
})

test('a lane is in one batch at a time, in its order, and what does not fit waits in the lane', async () => {
  await using at = await openTestOutbox()
  const batch = { maxEvents: 2, maxWaitMs: 0 }
  const webhookId = await open(at, batch)
  await at.append('user 1 new', 'user 1 update', 'user 1 update', 'user 2 new')
  const { shipments } = await take(at, webhookId, batch)
  expect(shipments.map(shown)).toEqual(['1 new, 1 update', '2 new'])
  expect((await take(at, webhookId, batch)).shipments).toEqual([])
  await settle(
    at.outbox,
    shipments.map(shipment => answered(shipment, 204)),
  )
  expect(await at.queue()).toEqual([`${webhookId} user 1: update`])
  const last = await take(at, webhookId, batch)
  await settle(
    at.outbox,
    last.shipments.map(shipment => answered(shipment, 204)),
  )
  expect(await at.queue()).toEqual([])
})

test('a refused batch is tried again whole under the same id, then in halves under ids of their own, until the bad one is alone', async () => {
  await using at = await openTestOutbox()
  const batch = { maxEvents: 8, maxWaitMs: 0 }
  const webhookId = await open(at, batch)
  await at.append(...Array.from({ length: 8 }, (_, i) => `user ${i + 1} new`))
  const requests: string[] = []
  const ids = new Map<string, string>()
  for (let i = 0; i < 30 && !(await isOnly('5')); i++) {
    const { shipments } = await take(at, webhookId, batch)
    for (const shipment of shipments) {
      const { messageId } = messageOf(shipment)
      expect(ids.get(messageId) ?? shown(shipment)).toBe(shown(shipment))
      ids.set(messageId, shown(shipment))
      requests.push(shown(shipment).replaceAll(' new', ''))
    }
    const isBad = (shipment: Shipment) => shipment.deliveries.some(({ entityId }) => entityId === '5')
    await settle(
      at.outbox,
      shipments.map(each => answered(each, isBad(each) ? 422 : 200)),
    )
  }
  // Requests of one round come in no particular order.
  expect(requests.toSorted()).toEqual(
    [
      ...['1, 2, 3, 4, 5, 6, 7, 8', '1, 2, 3, 4, 5, 6, 7, 8'],
      ...['1, 2, 3, 4', '5, 6, 7, 8', '5, 6, 7, 8'],
      ...['5, 6', '7, 8', '5, 6'],
      ...['5', '6'],
    ].toSorted(),
  )
  expect(await at.queue()).toEqual([`${webhookId} user 5: new`])

  async function isOnly(id: string) {
    return (await at.count('deliveries')) === 1 && (await at.count('deliveries', `entity_id = '${id}'`)) === 1
  }
})

test('the log shows the body as it was sent, and finds the request by each of its events', async () => {
  await using at = await openTestOutbox()
  const batch = { maxEvents: 2, maxWaitMs: 0 }
  const webhookId = await open(at, batch)
  await at.append('user 1 new', 'user 2 new')
  const { shipments } = await take(at, webhookId, batch)
  const { body, messageId, eventIds } = messageOf(shipments[0]!)
  expect(JSON.parse(body)).toMatchObject([{ entity_id: 1 }, { entity_id: 2 }])
  await settle(
    at.outbox,
    shipments.map(shipment => answered(shipment, 204)),
  )
  const log = await listAttempts(at.outbox, { webhookId, limit: 10, before: null })
  expect(log).toMatchObject([{ messageId, eventId: null, eventIds, entityType: null, request: { body } }])
})

test('a batch that was in flight when its process died is sent again as it was, by one of two who look', async () => {
  await using at = await openTestOutbox()
  const batch = { maxEvents: 4, maxWaitMs: 0 }
  const webhookId = await open(at, batch)
  await at.append('user 1 new', 'user 2 new', 'user 3 new')
  const { shipments } = await take(at, webhookId, batch, { leaseMs: 1 })
  const sent = messageOf(shipments[0]!)
  await at.append('user 4 new', 'user 1 update')
  await at.outbox.pool.query('select pg_sleep(0.01)')
  const both = await Promise.all([1, 2].map(() => take(at, webhookId, batch)))
  let again = both.flatMap(each => each.shipments)
  for (let i = 0; i < 5 && !again.some(each => messageOf(each).messageId === sent.messageId); i++) {
    await at.outbox.pool.query(`update walhook.lanes set due_at = now() where lease is null`)
    again = [...again, ...(await take(at, webhookId, batch)).shipments]
  }
  const ids = again.map(each => messageOf(each).messageId)
  expect(ids.filter(id => id === sent.messageId)).toHaveLength(1)
  expect(messageOf(again[ids.indexOf(sent.messageId)]!).body).toBe(sent.body)
  // The older of an entity is never in a later request than the newer one that is in flight with it.
  expect(again.flatMap(each => each.deliveries).filter(({ entityId }) => entityId === '1')).toHaveLength(1)
})

test('an event that is asked for by hand goes before the batch that its lane is in', async () => {
  await using at = await openTestOutbox()
  const batch = { maxEvents: 2, maxWaitMs: 0 }
  const webhookId = await open(at, batch)
  await at.append('user 1 new')
  const first = await take(at, webhookId, batch)
  await settle(
    at.outbox,
    first.shipments.map(shipment => answered(shipment, 204)),
  )
  await at.append('user 1 update', 'user 2 new')
  const second = await take(at, webhookId, batch)
  await settle(
    at.outbox,
    second.shipments.map(shipment => answered(shipment, 500)),
  )
  await at.outbox.pool.query(
    `insert into walhook.deliveries (webhook_id, entity_type, entity_id, event_id, is_manual)
     select $1, entity_type, entity_id, id, true from walhook.events order by id limit 1`,
    [webhookId],
  )
  const seen: string[] = []
  for (let i = 0; i < 6; i++) {
    await at.outbox.pool.query(`update walhook.lanes set due_at = now() where lease is null`)
    const { shipments } = await take(at, webhookId, batch)
    seen.push(...shipments.map(shown))
    await settle(
      at.outbox,
      shipments.map(shipment => answered(shipment, 204)),
    )
  }
  expect(seen).toEqual(['1 new', '1 update, 2 new'])
})

test.each<Mode>(['every', 'latest'])(
  'with mode %s, under appends, refusals, deaths and two who send, each receiver gets everything in order',
  async mode => {
    await using at = await openTestOutbox()
    const batch = { maxEvents: 5, maxWaitMs: 0 }
    const webhookId = await open(at, batch, mode)
    const accepted = new Map<string, bigint>()
    const last = new Map<string, bigint>()
    const bodies = new Map<string, string>()
    let isAppending = true

    async function send() {
      for (;;) {
        const wasAppending = isAppending
        // Now and then a lease ends before its settlement, as that of a process that died.
        const dies = Math.random() < 0.1
        const { shipments } = await take(at, webhookId, batch, { limit: 3, mode, leaseMs: dies ? 1 : 60_000 })
        if (shipments.length === 0 && !wasAppending && (await at.count('lanes')) === 0) return
        await at.outbox.pool.query(
          `update walhook.lanes set due_at = now() where lease is null and due_at > now()`,
        )
        if (dies) continue
        const settlements = shipments.map(shipment => {
          const { messageId, body } = messageOf(shipment)
          expect(bodies.get(messageId) ?? body).toBe(body)
          bodies.set(messageId, body)
          const isRefused = Math.random() < 0.3
          if (!isRefused)
            for (const { entityId, eventId } of shipment.deliveries) {
              expect(eventId).toBeGreaterThanOrEqual(accepted.get(entityId) ?? 0n)
              accepted.set(entityId, eventId)
            }
          return answered(shipment, isRefused ? 422 : 204)
        })
        if (settlements.length > 0)
          expect(await settle(at.outbox, settlements)).toHaveLength(settlements.length)
      }
    }
    async function append() {
      for (let i = 0; i < 40; i++) {
        const lines = Array.from({ length: 1 + Math.floor(Math.random() * 8) }, () => {
          const entityId = 1 + Math.floor(Math.random() * 12)
          return `user ${entityId} update`
        })
        await at.append(...lines)
      }
      isAppending = false
      const { rows } = await at.outbox.pool.query(
        'select entity_id, max(id) as id from walhook.events group by entity_id',
      )
      for (const row of rows) last.set(row.entity_id, row.id)
    }
    await Promise.all([append(), send(), send()])
    expect([...accepted].sort()).toEqual([...last].sort())
    expect(await at.queue()).toEqual([])
    expect(await at.count('ended_deliveries', `state = 'dead'`)).toBe(0)
  },
)
