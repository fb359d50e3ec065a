import { expect, test } from 'vitest'
import { messageOf } from '../../src/delivery/sending/message.ts'
import { shareCount } from '../../src/domain/delivery/share.ts'
import { decideNextOfShipment } from '../../src/domain/delivery/shipment.ts'
import type { Batching, Mode } from '../../src/domain/webhook/webhook.ts'
import { claimBatches } from '../../src/outbox/aside/batches.ts'
import { dissolveBatches } from '../../src/outbox/aside/dissolve-batches.ts'
import { pickDue } from '../../src/outbox/aside/pick-due.ts'
import type { Shipment } from '../../src/outbox/aside/shipment.ts'
import { transaction } from '../../src/outbox/database/database.ts'
import { claimShares, join } from '../../src/outbox/holders/holders.ts'
import { takeOver } from '../../src/outbox/settle/takeover.ts'
import { eventIds, openTestOutbox, waiters } from '../support/open-outbox.ts'
import { holdUp, untilWaiting } from '../support/outbox-traffic.ts'
import { attemptsOf } from '../support/read-outbox.ts'
import { cancel, holderOf, pull, resend, settle, settlementOf } from '../support/sending.ts'
import { until } from '../support/wait.ts'

const everyUser = ['user.new', 'user.update', 'user.delete']
const shares = Array.from({ length: shareCount }, (_, share) => share)
type At = Awaited<ReturnType<typeof openTestOutbox>>

const open = async (at: At, batch: Batching, mode: Mode = 'every') =>
  await at.webhook(everyUser, true, { batch, mode })

const takes = new WeakMap<At, Promise<unknown>>()

/** What a process that holds all shares claims, one call after the other, once its stream has set everything aside. */
function take(at: At, ...input: Parameters<typeof takeNow> extends [At, ...infer Rest] ? Rest : never) {
  const next = (takes.get(at) ?? Promise.resolve()).then(() => takeNow(at, ...input))
  takes.set(
    at,
    next.catch(() => {}),
  )
  return next
}

async function takeNow(
  at: At,
  webhookId: number,
  batch: Batching,
  { limit = 10, mode = 'every' as Mode, maxBytes }: { limit?: number; mode?: Mode; maxBytes?: number } = {},
) {
  await pull(at, webhookId)
  const { rows } = await at.outbox.pool.query(
    'select min(settled_up_to) as place from walhook.streams where webhook_id = $1',
    [webhookId],
  )
  const readUpTo = () => rows[0].place
  const holderId = await holderOf(at)
  const claimed = await claimBatches(at.outbox, {
    ...{ holderId, webhookId, shares, batch, limit, mode, readUpTo },
    ...(maxBytes !== undefined && { maxBytes }),
  })
  expect(claimed.isFenced).toBe(false)
  return claimed
}

/** What waits for its time is due, as an early retry makes it: it waits for nobody who has a row. */
async function makeAllDue(at: At) {
  for (const [table, and] of [
    ['batches', 'true'],
    ['deliveries', `due_at < 'infinity'`],
  ])
    await at.outbox.pool.query(
      `with waiting as materialized (
         select ctid from walhook.${table} where taken_by is null and ${and} for no key update skip locked
       )
       update walhook.${table} t set due_at = now() from waiting where t.ctid = waiting.ctid`,
    )
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

test('a batch is formed when it is full or its oldest event has waited long enough', async () => {
  await using at = await openTestOutbox()
  const batch = { maxEvents: 3, maxWaitMs: 60_000 }
  const webhookId = await open(at, batch)
  await at.append('user 1 new', 'user 2 new')
  const early = await take(at, webhookId, batch)
  expect(early.shipments).toEqual([])
  expect(early.checkAgainInMs).toBeGreaterThan(50_000)
  expect(await at.count('batches')).toBe(0)
  await at.append('user 1 update', 'user 3 new')
  const full = await take(at, webhookId, batch)
  expect(full.shipments.map(shown)).toEqual(['1 new, 2 new, 1 update'])
  expect(full.checkAgainInMs).toBeGreaterThan(50_000)
  // The one that is left waits on.
  expect(await at.count('deliveries', 'batch_id is null')).toBe(1)
  const impatient = { maxEvents: 3, maxWaitMs: 200 }
  const late = await until(
    async () => {
      const { shipments } = await take(at, webhookId, impatient)
      return shipments.length > 0 && shipments
    },
    { what: 'the one that is left to have waited long enough' },
  )
  expect(late.map(shown)).toEqual(['3 new'])
})

test('an entity is in one batch at a time, in order, and the rest stays pending', async () => {
  await using at = await openTestOutbox()
  const batch = { maxEvents: 2, maxWaitMs: 0 }
  const webhookId = await open(at, batch)
  await at.append('user 1 new', 'user 1 update', 'user 1 update', 'user 2 new')
  const { shipments } = await take(at, webhookId, batch)
  expect(shipments.map(shown)).toEqual(['1 new, 1 update', '2 new'])
  expect((await take(at, webhookId, batch)).shipments).toEqual([])
  await settle(at, ...shipments.map(shipment => answered(shipment, 204)))
  expect(await at.queue()).toEqual([`${webhookId} user 1: update`])
  const last = await take(at, webhookId, batch)
  await settle(at, ...last.shipments.map(shipment => answered(shipment, 204)))
  expect(await at.queue()).toEqual([])
})

test('a refused batch is retried whole under the same id, then in halves with their own ids, until the bad event is isolated', async () => {
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
    await settle(at, ...shipments.map(each => answered(each, isBad(each) ? 422 : 200)))
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

test("the log shows a batch's body as sent, and finds the request by each of its events", async () => {
  await using at = await openTestOutbox()
  const batch = { maxEvents: 2, maxWaitMs: 0 }
  const webhookId = await open(at, batch)
  await at.append('user 1 new', 'user 2 new')
  const { shipments } = await take(at, webhookId, batch)
  const { body, messageId, eventIds } = messageOf(shipments[0]!)
  expect(JSON.parse(body)).toMatchObject([{ entity_id: 1 }, { entity_id: 2 }])
  await settle(at, ...shipments.map(shipment => answered(shipment, 204)))
  const log = await attemptsOf(at.outbox, { webhookId, limit: 10, before: null })
  expect(log).toMatchObject([{ messageId, eventId: null, eventIds, entityType: null, request: { body } }])
  const about = async (eventId: bigint) =>
    (await attemptsOf(at.outbox, { webhookId, limit: 10, before: null, filter: { eventId } })).length
  for (const { eventId } of shipments[0]!.deliveries) expect(await about(eventId)).toBe(1)
  expect(await about(shipments[0]!.deliveries[0].eventId - 1n)).toBe(0)
})

test('after a takeover, a batch in flight is resent unchanged before anything newer', async () => {
  await using at = await openTestOutbox()
  const batch = { maxEvents: 4, maxWaitMs: 0 }
  const webhookId = await open(at, batch)
  await at.append('user 1 new', 'user 2 new', 'user 3 new')
  const { shipments } = await take(at, webhookId, batch)
  const sent = messageOf(shipments[0]!)
  await at.append('user 4 new', 'user 1 update')
  await pull(at, webhookId)
  const dead = await holderOf(at)
  const { rows } = await at.outbox.pool.query('select beat from walhook.holders where id = $1', [dead])
  expect(await takeOver(at.outbox, { deadId: dead, beat: rows[0].beat })).toMatchObject({ setAside: 0 })
  const { holderId } = await join(at.outbox, { aliveMs: 60_000 })
  await claimShares(at.outbox, { holderId, max: shareCount })
  const readUpTo = () => 2n ** 62n
  const input = { holderId, webhookId, shares, batch, limit: 10, mode: 'every', readUpTo } as const
  // Until what the dead one sent is not under way any more.
  expect((await claimBatches(at.outbox, input)).shipments.map(shown)).toEqual(['4 new'])
  await makeAllDue(at)
  const again = await claimBatches(at.outbox, input)
  expect(again.shipments.map(messageOf)).toMatchObject([{ messageId: sent.messageId, body: sent.body }])
  // Who was taken over claims nothing any more.
  await at.outbox.pool.query(`update walhook.batches set taken_by = null, due_at = now()`)
  expect(await claimBatches(at.outbox, { ...input, holderId: dead })).toMatchObject({
    isFenced: true,
    shipments: [],
  })
})

test('an update sent as new in a batch is retried as new by any process', async () => {
  await using at = await openTestOutbox()
  const batch = { maxEvents: 4, maxWaitMs: 0 }
  const webhookId = await open(at, batch, 'latest')
  await at.append('user 1 new', 'user 2 update', 'user 1 update')
  const first = (await take(at, webhookId, batch, { mode: 'latest' })).shipments[0]!
  expect(shown(first)).toBe('2 update, 1 new')
  await at.outbox.pool.query('update walhook.batches set taken_by = null')
  const again = (await take(at, webhookId, batch, { mode: 'latest' })).shipments[0]!
  expect(messageOf(again)).toEqual(messageOf(first))
})

test('a manual event is sent before the batch of its entity', async () => {
  await using at = await openTestOutbox()
  const batch = { maxEvents: 2, maxWaitMs: 0 }
  const webhookId = await open(at, batch)
  await at.append('user 1 new')
  const first = await take(at, webhookId, batch)
  await settle(at, ...first.shipments.map(shipment => answered(shipment, 204)))
  await at.append('user 1 update', 'user 2 new')
  const second = await take(at, webhookId, batch)
  await settle(at, ...second.shipments.map(shipment => answered(shipment, 500)))
  const resent = await resend(at, { webhookId, eventId: (await eventIds(at))[0]! })
  expect(resent).toMatchObject({ state: 'queued', behind: null })
  const seen: string[] = []
  for (let i = 0; i < 6; i++) {
    await makeAllDue(at)
    const { shipments } = await take(at, webhookId, batch)
    seen.push(...shipments.map(shown))
    await settle(at, ...shipments.map(shipment => answered(shipment, 204)))
  }
  expect(seen).toEqual(['1 new', '1 update, 2 new'])
})

test('while a batch is formed, a row made due by an early retry is included, and a cancelled one is not', async () => {
  await using at = await openTestOutbox()
  const batch = { maxEvents: 5, maxWaitMs: 0 }
  const webhookId = await open(at, batch)
  await at.append('user 1 new', 'user 2 new', 'user 3 new')
  await pull(at, webhookId)
  const another = await at.outbox.pool.connect()
  await another.query(`begin; update walhook.deliveries set due_at = now() where entity_id = '1'`)
  await another.query(`delete from walhook.deliveries where entity_id = '2'`)
  const claiming = take(at, webhookId, batch)
  await untilWaiting(at, 1, 'the claim to wait for the row')
  await another.query('commit')
  another.release()
  const { shipments } = await claiming
  expect(shipments.map(shown)).toEqual(['1 new, 3 new'])
  await settle(at, ...shipments.map(each => answered(each, 204)))
  expect(await at.queue()).toEqual([])
  expect(await at.count('batches')).toBe(0)
})

test.each<Mode>(['every', 'latest'])(
  'with mode %s, under appends, refusals, deaths and two senders, each receiver gets everything in order',
  async mode => {
    await using at = await openTestOutbox()
    const batch = { maxEvents: 5, maxWaitMs: 0 }
    const inBatches = await open(at, batch, mode)
    const one = await at.webhook(everyUser)
    /** By webhook and entity. */
    const accepted = new Map<string, bigint>()
    const last = new Map<string, bigint>()
    const bodies = new Map<string, string>()
    let isAppending = true

    async function send() {
      for (;;) {
        const wasAppending = isAppending
        const { shipments } = await take(at, inBatches, batch, { limit: 3, mode })
        const all = [...shipments, ...(await pickOne(at, one))]
        if (all.length === 0 && !wasAppending && (await at.count('deliveries')) === 0) return
        await makeAllDue(at)
        // Now and then a process dies before it settles, and another one takes over.
        if (Math.random() < 0.1) {
          for (const { batchId, deliveries } of all)
            await at.outbox.pool.query(
              batchId === null
                ? `update walhook.deliveries set taken_by = null where event_id = $1 and webhook_id = ${one}`
                : 'update walhook.batches set taken_by = null where id = $1',
              [batchId ?? deliveries[0].eventId],
            )
          continue
        }
        const settlements = all.map(shipment => {
          const { messageId, body } = messageOf(shipment)
          expect(bodies.get(messageId) ?? body).toBe(body)
          bodies.set(messageId, body)
          const isRefused = Math.random() < 0.3
          if (!isRefused)
            for (const { webhookId, entityId, eventId } of shipment.deliveries) {
              const entity = `${webhookId} ${entityId}`
              expect(eventId).toBeGreaterThanOrEqual(accepted.get(entity) ?? 0n)
              accepted.set(entity, eventId)
            }
          return answered(shipment, isRefused ? 422 : 204)
        })
        if (settlements.length > 0) expect((await settle(at, ...settlements)).isFenced).toBe(false)
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
      for (const row of rows) for (const id of [inBatches, one]) last.set(`${id} ${row.entity_id}`, row.id)
    }
    await Promise.all([append(), send(), send()])
    expect([...accepted].sort()).toEqual([...last].sort())
    expect(await at.queue()).toEqual([])
    expect(await at.count('ended_deliveries', `state = 'dead'`)).toBe(0)
  },
)

/** What is due of a webhook without batches, each event a request. */
async function pickOne(at: At, webhookId: number): Promise<Shipment[]> {
  await pull(at, webhookId)
  const picked = await pickDue(at.outbox, { holderId: await holderOf(at), webhookId, shares, limit: 5 })
  return picked.deliveries.map(delivery => ({
    webhookId,
    batchId: null,
    isAside: true,
    deliveries: [delivery] as const,
  }))
}

/** Refuses every batch that is due, twice: so that each is sent in halves from now on. */
async function refuseTwice(at: At, webhookId: number, batch: Batching) {
  for (let i = 0; i < 2; i++) {
    await makeAllDue(at)
    const { shipments } = await take(at, webhookId, batch, { limit: 1_000 })
    await settle(at, ...shipments.map(shipment => answered(shipment, 422)))
  }
}

test('a receiver that returns with many divided batches gets no more requests than its capacity', async () => {
  await using at = await openTestOutbox()
  const batch = { maxEvents: 8, maxWaitMs: 0 }
  const webhookId = await open(at, batch)
  await at.append(...Array.from({ length: 64 }, (_, i) => `user ${i + 1} new`))
  await refuseTwice(at, webhookId, batch)
  await makeAllDue(at)
  const sent: Shipment[] = []
  for (let i = 0; i < 8; i++) {
    const { shipments, checkAgainInMs } = await take(at, webhookId, batch, { limit: 2 })
    expect(shipments.length).toBeLessThanOrEqual(2)
    sent.push(...shipments)
    if (sent.length < 16) expect(checkAgainInMs).toBe(0)
  }
  // What there was no room for was free meanwhile, whole.
  expect(sent.map(({ deliveries }) => deliveries.length)).toEqual(Array(16).fill(4))
})

test('a batch is retried at its time, even if other work of its entities ends earlier', async () => {
  await using at = await openTestOutbox()
  const batch = { maxEvents: 2, maxWaitMs: 0 }
  const webhookId = await open(at, batch)
  await at.append('user 2 new')
  const first = await take(at, webhookId, batch)
  await settle(at, ...first.shipments.map(shipment => answered(shipment, 204)))
  await at.append('user 1 update', 'user 2 update')
  const { shipments } = await take(at, webhookId, batch)
  const failed = answered(shipments[0]!, 503)
  await settle(at, { ...failed, next: { state: 'retry', waitMs: 600_000, costsAttempt: true } })
  await resend(at, { webhookId, eventId: (await eventIds(at))[0]! })
  const byHand = await take(at, webhookId, batch)
  expect(byHand.shipments.map(shown)).toEqual(['2 new'])
  await settle(at, ...byHand.shipments.map(shipment => answered(shipment, 204)))
  expect((await take(at, webhookId, batch)).shipments).toEqual([])
  expect(await at.count('deliveries', `due_at <= now() or taken_by is not null`)).toBe(0)
  await makeAllDue(at)
  expect((await take(at, webhookId, batch)).shipments.map(shown)).toEqual(['1 update, 2 update'])
})

test('a batch with a manual event is sent at once', async () => {
  await using at = await openTestOutbox()
  const batch = { maxEvents: 2, maxWaitMs: 0 }
  const webhookId = await open(at, batch)
  await at.append('user 1 update', 'user 2 update')
  const { shipments } = await take(at, webhookId, batch)
  const failed = answered(shipments[0]!, 503)
  await settle(at, { ...failed, next: { state: 'retry', waitMs: 600_000, costsAttempt: true } })
  await resend(at, { webhookId, eventId: (await eventIds(at))[1]! })
  expect((await take(at, webhookId, batch)).shipments.map(shown)).toEqual(['1 update, 2 update'])
})

test('one claim reads a bounded number of bytes, however large the events are', async () => {
  await using at = await openTestOutbox()
  const batch = { maxEvents: 1_000, maxWaitMs: 0 }
  const webhookId = await open(at, batch)
  await at.append(...Array.from({ length: 100 }, (_, i) => `user ${i + 1} update`))
  await pull(at, webhookId)
  await at.outbox.pool.query(`update walhook.events set body = '"' || repeat('x', 900000) || '"'`)
  const { shipments, checkAgainInMs } = await take(at, webhookId, batch)
  const sent = shipments.flatMap(({ deliveries }) => deliveries)
  expect(sent.length).toBeGreaterThan(0)
  expect(sent.reduce((sum, { body }) => sum + body.length, 0)).toBeLessThan(20_000_000)
  expect(checkAgainInMs).toBe(0)
})

test('after a cancellation, the rest of a batch is a new message', async () => {
  await using at = await openTestOutbox()
  const batch = { maxEvents: 3, maxWaitMs: 0 }
  const webhookId = await open(at, batch)
  await at.append('user 1 new', 'user 2 new', 'user 3 new')
  const first = (await take(at, webhookId, batch)).shipments[0]!
  await settle(at, answered(first, 503))
  const { eventId } = first.deliveries[0]
  const entity = { entityType: 'user', entityId: first.deliveries[0].entityId }
  expect(await cancel(at, { webhookId, entity, eventId, upTo: eventId })).toBe(1)
  await makeAllDue(at)
  const rest = (await take(at, webhookId, batch)).shipments[0]!
  expect(shown(rest)).toBe('2 new, 3 new')
  expect(messageOf(rest).messageId).not.toBe(messageOf(first).messageId)
})

test('after batching is turned off, pending batches are sent as single events, and as batches again once it is on', async () => {
  await using at = await openTestOutbox()
  const batch = { maxEvents: 3, maxWaitMs: 0 }
  const webhookId = await open(at, batch)
  await at.append('user 1 new', 'user 2 new', 'user 3 new')
  const whole = (await take(at, webhookId, batch)).shipments[0]!
  await settle(at, answered(whole, 503))
  await switchOff(at, webhookId)
  await makeAllDue(at)
  const [single, ...others] = await pickOne(at, webhookId)
  expect(messageOf(single!)).toMatchObject({ eventId: single!.deliveries[0].eventId, eventIds: null })
  expect(JSON.parse(messageOf(single!).body)).toHaveProperty('entity_id')
  await settle(at, answered(single!, 204), ...others.map(each => answered(each, 503)))
  await makeAllDue(at)
  const rest = (await take(at, webhookId, batch)).shipments
  expect(rest.flatMap(({ deliveries }) => deliveries)).toHaveLength(2)
  for (const shipment of rest) expect(messageOf(shipment).messageId).not.toBe(messageOf(whole).messageId)
})

test('with both modes, a failed single event is superseded by newer ones; a failed batch is resent unchanged', async () => {
  await using at = await openTestOutbox()
  const batch = { maxEvents: 3, maxWaitMs: 0 }
  const webhookId = await open(at, batch, 'latest')
  const mode = 'latest' as const
  await at.append('user 1 new')
  const alone = (await take(at, webhookId, batch, { mode })).shipments[0]!
  await settle(at, answered(alone, 503))
  await at.append('user 1 update')
  const newer = (await take(at, webhookId, batch, { mode })).shipments[0]!
  expect(shown(newer)).toBe('1 new')
  expect(newer.deliveries[0].eventId).toBeGreaterThan(alone.deliveries[0].eventId)
  expect(await at.count('ended_deliveries', `state = 'superseded'`)).toBe(1)
  await settle(at, answered(newer, 204))

  await at.append('user 1 update', 'user 2 new')
  const company = (await take(at, webhookId, batch, { mode })).shipments[0]!
  await settle(at, answered(company, 503))
  await at.append('user 1 update')
  const again = (await take(at, webhookId, batch, { mode })).shipments[0]!
  expect(messageOf(again)).toMatchObject({
    messageId: messageOf(company).messageId,
    body: messageOf(company).body,
  })
  await settle(at, answered(again, 204))
  expect((await take(at, webhookId, batch, { mode })).shipments.map(shown)).toEqual(['1 update'])
})

/** As an admin does it. */
const switchOff = (at: At, webhookId: number) =>
  transaction(at.outbox.pool, async client => {
    await client.query('update walhook.webhooks set batch_max_events = null, batch_max_wait_ms = null')
    await dissolveBatches(client, [webhookId])
  })

test("settling a batch does not affect another webhook's events of the same entity", async () => {
  await using at = await openTestOutbox()
  const batch = { maxEvents: 10, maxWaitMs: 0 }
  const [inBatches, one] = [await open(at, batch), await at.webhook(everyUser)]
  await at.append('user 1 new')
  await at.append('user 1 update')
  const { shipments } = await take(at, inBatches, batch)
  const [first] = await pickOne(at, one)
  await settle(at, answered(shipments[0]!, 204), settlementOf(first!.deliveries[0]))
  expect(await at.queue()).toEqual([`${one} user 1: update`])
})

test('if batching is turned off while a refused batch waits, its entities are due when the batch was', async () => {
  await using at = await openTestOutbox()
  const batch = { maxEvents: 4, maxWaitMs: 0 }
  const webhookId = await open(at, batch)
  await at.append('user 1 new', 'user 2 new', 'user 3 new', 'user 1 update')
  const [shipment] = (await take(at, webhookId, batch)).shipments
  await settle(at, answered(shipment!, 500))
  await switchOff(at, webhookId)
  expect((await pickOne(at, webhookId)).map(shown).sort()).toEqual(['1 new', '2 new', '3 new'])
  expect(await at.count('batches')).toBe(0)
})

test('if batching is turned off while a batch is in flight, its entities are due when the batch was', async () => {
  await using at = await openTestOutbox()
  const batch = { maxEvents: 3, maxWaitMs: 0 }
  const webhookId = await open(at, batch)
  await at.append('user 1 new', 'user 2 new', 'user 3 new')
  const [shipment] = (await take(at, webhookId, batch)).shipments
  await switchOff(at, webhookId)
  expect(await at.count('batches')).toBe(1)
  await settle(at, answered(shipment!, 500))
  expect((await pickOne(at, webhookId)).map(shown).sort()).toEqual(['1 new', '2 new', '3 new'])
})

test('a claim returns the time of the next due batch, also while other events are in flight', async () => {
  await using at = await openTestOutbox()
  const batch = { maxEvents: 3, maxWaitMs: 0 }
  const webhookId = await open(at, batch)
  await at.append('user 1 new')
  const first = await take(at, webhookId, batch)
  const failed = answered(first.shipments[0]!, 503)
  await settle(at, { ...failed, next: { state: 'retry', waitMs: 30_000, costsAttempt: true } })
  await at.append('user 2 new')
  const second = await take(at, webhookId, batch)
  expect(second.shipments.map(shown)).toEqual(['2 new'])
  for (const { checkAgainInMs } of [second, await take(at, webhookId, batch)]) {
    expect(checkAgainInMs).toBeGreaterThan(0)
    expect(checkAgainInMs).toBeLessThanOrEqual(30_000)
  }
  await at.append('user 3 new')
  const company = await take(at, webhookId, { maxEvents: 3, maxWaitMs: 60_000 })
  expect(company).toMatchObject({ shipments: [], fresh: 1 })
  expect(company.checkAgainInMs).toBeLessThanOrEqual(30_000)
})

test('an event that a claim queues behind a batch is due once that batch is settled', async () => {
  await using at = await openTestOutbox()
  const batch = { maxEvents: 2, maxWaitMs: 0 }
  const webhookId = await open(at, batch)
  await at.append('user 1 new', 'user 2 new')
  const [sent] = (await take(at, webhookId, batch)).shipments
  await at.append('user 1 update', 'user 2 update')
  await pull(at, webhookId)
  // As rows that were set aside one by one: both are due, that of user 2 for longer.
  await at.outbox.pool.query(
    `update walhook.deliveries set due_at = now() - entity_id::int * interval '1 s' where batch_id is null`,
  )
  const letGo = await holdUp(
    at,
    `select from walhook.deliveries where entity_id = '2' and batch_id is null for update`,
  )
  const claiming = take(at, webhookId, batch)
  await untilWaiting(at, 1, 'the claim to wait for the row of user 2')
  let isSettled = false
  const settling = settle(at, answered(sent!, 204)).then(() => {
    isSettled = true
  })
  await until(async () => isSettled || (await waiters(at)) === 2, { what: 'the settlement to end or wait' })
  await letGo()
  await Promise.all([claiming, settling])
  expect(await at.count('deliveries', `due_at < 'infinity'`)).toBe(2)
})

test('of due batches with large bodies as many are taken as fit into memory, and always one', async () => {
  await using at = await openTestOutbox()
  const batch = { maxEvents: 2, maxWaitMs: 0 }
  const webhookId = await open(at, batch)
  await at.append(...Array.from({ length: 6 }, (_, i) => `user ${i} new`))
  await at.outbox.pool.query(`update walhook.events set body = to_json(repeat('x', 1000000))`)
  const { shipments } = await take(at, webhookId, batch)
  expect(shipments.map(shown)).toHaveLength(6)
  for (const shipment of shipments) await settle(at, answered(shipment, 503))
  await makeAllDue(at)
  const next = async (maxBytes: number) => {
    const { shipments, checkAgainInMs } = await take(at, webhookId, batch, { maxBytes })
    return { count: shipments.length, checkAgainInMs }
  }
  expect(await next(2_500_000)).toEqual({ count: 3, checkAgainInMs: 0 })
  expect(await next(1)).toEqual({ count: 1, checkAgainInMs: 0 })
  expect(await next(9_000_000)).toMatchObject({ count: 2 })
})
