import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { messageOf } from '../../src/delivery/message.ts'
import { decideNextOfShipment } from '../../src/domain/shipment.ts'
import type { Batching, Mode } from '../../src/domain/webhook.ts'
import { listAttempts } from '../../src/outbox/attempts.ts'
import { freeFollowers } from '../../src/outbox/batch-followers.ts'
import { claim } from '../../src/outbox/claim.ts'
import { transaction } from '../../src/outbox/database.ts'
import { settle } from '../../src/outbox/settle.ts'
import type { Shipment } from '../../src/outbox/shipment.ts'
import { cancelPage, eventIds, openTestOutbox, resend, settlementOf } from '../support/open-outbox.ts'
import { until } from '../support/wait.ts'

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
  expect(await at.count('lanes', 'lease_id is not null')).toBe(0)
  await at.append('user 1 update', 'user 3 new')
  const full = await take(at, webhookId, batch)
  expect(full.shipments.map(shown)).toEqual(['1 new, 2 new, 1 update'])
  expect(full.lookAgainInMs).toBeGreaterThan(50_000)
  // The one that is left waits on, free for anybody.
  expect(await at.count('lanes', 'lease_id is null')).toBe(1)
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
  const about = async (eventId: bigint) =>
    (await listAttempts(at.outbox, { webhookId, limit: 10, before: null, filter: { eventId } })).length
  for (const { eventId } of shipments[0]!.deliveries) expect(await about(eventId)).toBe(1)
  expect(await about(shipments[0]!.deliveries[0].eventId - 1n)).toBe(0)
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
    await at.outbox.pool.query(`update walhook.lanes set due_at = now() where lease_id is null`)
    again = [...again, ...(await take(at, webhookId, batch)).shipments]
  }
  const ids = again.map(each => messageOf(each).messageId)
  expect(ids.filter(id => id === sent.messageId)).toHaveLength(1)
  expect(messageOf(again[ids.indexOf(sent.messageId)]!).body).toBe(sent.body)
  // The older of an entity is never in a later request than the newer one that is in flight with it.
  expect(again.flatMap(each => each.deliveries).filter(({ entityId }) => entityId === '1')).toHaveLength(1)
})

test('a batch of which somebody else has a lane is not sent around it, and what is left of it follows', async () => {
  await using at = await openTestOutbox()
  const batch = { maxEvents: 2, maxWaitMs: 0 }
  const webhookId = await open(at, batch)
  await at.append('user 1 new', 'user 2 new')
  const { shipments } = await take(at, webhookId, batch)
  await settle(at.outbox, [answered(shipments[0]!, 503)])
  // By whoever knows the webhook as one that wants each event by itself.
  await at.outbox.pool.query(
    `update walhook.lanes set due_at = now() - interval '1 hour' where entity_id = '2'`,
  )
  const [held] = await at.claim(webhookId, 1)
  expect(held).toMatchObject({ entityId: '2' })
  expect((await take(at, webhookId, batch)).shipments).toEqual([])
  await settle(at.outbox, [settlementOf(held!)])
  await at.outbox.pool.query('update walhook.lanes set due_at = now()')
  expect((await take(at, webhookId, batch)).shipments.map(shown)).toEqual(['1 new'])
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
    await at.outbox.pool.query(`update walhook.lanes set due_at = now() where lease_id is null`)
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
  'with mode %s, under appends, refusals, deaths and two who send, beside a webhook without batches, each receiver gets everything in order',
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
        // Now and then a lease ends before its settlement, as that of a process that died.
        const dies = Math.random() < 0.1
        const leaseMs = dies ? 1 : 60_000
        const claims = [
          await take(at, inBatches, batch, { limit: 3, mode, leaseMs }),
          await take(at, one, null, { limit: 5, leaseMs }),
        ]
        const shipments = claims.flatMap(claimed => claimed.shipments)
        if (shipments.length === 0 && !wasAppending && (await at.count('lanes')) === 0) return
        await at.outbox.pool.query(
          `update walhook.lanes set due_at = now() where lease_id is null and due_at > now()`,
        )
        if (dies) continue
        const settlements = shipments.map(shipment => {
          const { messageId, body } = messageOf(shipment)
          expect(bodies.get(messageId) ?? body).toBe(body)
          bodies.set(messageId, body)
          const isRefused = Math.random() < 0.3
          if (!isRefused)
            for (const { webhookId, entityId, eventId } of shipment.deliveries) {
              const lane = `${webhookId} ${entityId}`
              expect(eventId).toBeGreaterThanOrEqual(accepted.get(lane) ?? 0n)
              accepted.set(lane, eventId)
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
      for (const row of rows) for (const id of [inBatches, one]) last.set(`${id} ${row.entity_id}`, row.id)
    }
    await Promise.all([append(), send(), send()])
    expect([...accepted].sort()).toEqual([...last].sort())
    expect(await at.queue()).toEqual([])
    expect(await at.count('ended_deliveries', `state = 'dead'`)).toBe(0)
  },
)

/** Refuses every batch that is due, twice: so that each is sent in halves from now on. */
async function refuseTwice(at: At, webhookId: number, batch: Batching) {
  for (let i = 0; i < 2; i++) {
    await at.outbox.pool.query('update walhook.lanes set due_at = now() where lease_id is null')
    const { shipments } = await take(at, webhookId, batch, { limit: 1_000 })
    await settle(
      at.outbox,
      shipments.map(shipment => answered(shipment, 422)),
    )
  }
}

test('a receiver that comes back with many divided batches waiting gets no more requests at once than there is room for', async () => {
  await using at = await openTestOutbox()
  const batch = { maxEvents: 8, maxWaitMs: 0 }
  const webhookId = await open(at, batch)
  await at.append(...Array.from({ length: 64 }, (_, i) => `user ${i + 1} new`))
  await refuseTwice(at, webhookId, batch)
  await at.outbox.pool.query('update walhook.lanes set due_at = now() where lease_id is null')
  const sent: Shipment[] = []
  for (let i = 0; i < 8; i++) {
    const { shipments, lookAgainInMs } = await take(at, webhookId, batch, { limit: 2 })
    expect(shipments.length).toBeLessThanOrEqual(2)
    sent.push(...shipments)
    if (sent.length < 16) expect(lookAgainInMs).toBe(0)
  }
  // What there was no room for was free meanwhile, whole.
  expect(sent.map(({ deliveries }) => deliveries.length)).toEqual(Array(16).fill(4))
})

test('a batch that waits for its retry is not sent earlier because something else is due in one of its lanes', async () => {
  await using at = await openTestOutbox()
  const batch = { maxEvents: 2, maxWaitMs: 0 }
  const webhookId = await open(at, batch)
  await at.append('user 1 update', 'user 2 update')
  const { shipments } = await take(at, webhookId, batch)
  const failed = answered(shipments[0]!, 503)
  await settle(at.outbox, [{ ...failed, next: { state: 'retry', waitMs: 600_000, costsAttempt: true } }])
  // As after a cancellation, or a delivery that was asked for by hand and has arrived.
  await at.outbox.pool.query(`update walhook.lanes set due_at = now() where entity_id = '2'`)
  expect((await take(at, webhookId, batch)).shipments).toEqual([])
  expect(await at.count('lanes', 'due_at <= now() or lease_id is not null')).toBe(0)
  await at.outbox.pool.query(`update walhook.lanes set due_at = now() where entity_id = '1'`)
  expect((await take(at, webhookId, batch)).shipments.map(shown)).toEqual(['1 update, 2 update'])
})

test('a batch of which an event was asked for by hand goes at once, whichever lane it is in', async () => {
  await using at = await openTestOutbox()
  const batch = { maxEvents: 2, maxWaitMs: 0 }
  const webhookId = await open(at, batch)
  await at.append('user 1 update', 'user 2 update')
  const { shipments } = await take(at, webhookId, batch)
  const failed = answered(shipments[0]!, 503)
  await settle(at.outbox, [{ ...failed, next: { state: 'retry', waitMs: 600_000, costsAttempt: true } }])
  await resend(at, { webhookId, eventId: (await eventIds(at))[1]! })
  expect((await take(at, webhookId, batch)).shipments.map(shown)).toEqual(['1 update, 2 update'])
})

test('whoever has lost a lane before its batch is formed sends nothing of it', async () => {
  await using at = await openTestOutbox()
  const batch = { maxEvents: 2, maxWaitMs: 0 }
  const webhookId = await open(at, batch)
  await at.append('user 1 update', 'user 2 update')
  // Between the lease and the batch, a lane goes to another process.
  const stolen = afterQuery(at, 'heads', () =>
    at.outbox.pool.query(`update walhook.lanes set lease_id = gen_random_uuid() where entity_id = '2'`),
  )
  const input = { webhookId, mode: 'every', batch, limit: 10, lease: randomUUID(), leaseMs: 60_000 } as const
  const { shipments } = await claim(stolen, input)
  expect(shipments.flatMap(({ deliveries }) => deliveries).map(({ entityId }) => entityId)).not.toContain('2')
  expect(await at.count('deliveries', `entity_id = '2' and batch_id is not null`)).toBe(0)
  // What was left of it is free for anybody.
  const rest = await take(at, webhookId, batch)
  expect([...shipments, ...rest.shipments].map(shown)).toEqual(['1 update'])
})

test('one claim reads a bounded number of bytes, however large the events are', async () => {
  await using at = await openTestOutbox()
  const batch = { maxEvents: 1_000, maxWaitMs: 0 }
  const webhookId = await open(at, batch)
  await at.append(...Array.from({ length: 100 }, (_, i) => `user ${i + 1} update`))
  await at.outbox.pool.query(`update walhook.events set body = '"' || repeat('x', 900000) || '"'`)
  let readBytes = 0
  const counting = eachAnswer(at, rows => {
    for (const row of rows) readBytes += String(row.body ?? '').length
  })
  const input = { webhookId, mode: 'every', batch, limit: 10, lease: randomUUID(), leaseMs: 60_000 } as const
  const { shipments, lookAgainInMs } = await claim(counting, input)
  expect(shipments.length).toBeGreaterThan(0)
  expect(lookAgainInMs).toBe(0)
  expect(readBytes).toBeLessThan(20_000_000)
})

test('a lane that an append locks for a moment does not put its batch off', async () => {
  await using at = await openTestOutbox()
  const batch = { maxEvents: 2, maxWaitMs: 0 }
  const webhookId = await open(at, batch)
  await at.append('user 1 update', 'user 2 update')
  const { shipments } = await take(at, webhookId, batch)
  await settle(at.outbox, [answered(shipments[0]!, 503)])
  const appending = await at.outbox.pool.connect()
  await appending.query('begin')
  await appending.query(`select from walhook.lanes where entity_id = '2' for update`)
  let commits: Promise<unknown> | null = null
  const input = { webhookId, mode: 'every', batch, limit: 10, lease: randomUUID(), leaseMs: 60_000 } as const
  const during = afterQuery(at, 'lease_lanes_of_batch', async () => {
    commits ??= appending.query('commit')
    await commits
  })
  const again = await claim(during, input)
  appending.release()
  expect(again.shipments.map(shown)).toEqual(['1 update, 2 update'])
})

test('what is left of a batch after a cancellation is another message', async () => {
  await using at = await openTestOutbox()
  const batch = { maxEvents: 3, maxWaitMs: 0 }
  const webhookId = await open(at, batch)
  await at.append('user 1 new', 'user 2 new', 'user 3 new')
  const first = (await take(at, webhookId, batch)).shipments[0]!
  await settle(at.outbox, [answered(first, 503)])
  const { eventId } = first.deliveries[0]
  const entity = { entityType: 'user', entityId: first.deliveries[0].entityId }
  await cancelPage(at, { webhookId, entity, eventId, upTo: eventId }, { after: null, limit: 10 })
  await at.outbox.pool.query('update walhook.lanes set due_at = now() where lease_id is null')
  const rest = (await take(at, webhookId, batch)).shipments[0]!
  expect(shown(rest)).toBe('2 new, 3 new')
  expect(messageOf(rest).messageId).not.toBe(messageOf(first).messageId)
})

test('a webhook switched to single events while a batch waits sends each by itself, and back again the rest as a batch', async () => {
  await using at = await openTestOutbox()
  const batch = { maxEvents: 3, maxWaitMs: 0 }
  const webhookId = await open(at, batch)
  await at.append('user 1 new', 'user 2 new', 'user 3 new')
  const whole = (await take(at, webhookId, batch)).shipments[0]!
  await settle(at.outbox, [answered(whole, 503)])
  await at.outbox.pool.query('update walhook.lanes set due_at = now() where lease_id is null')
  const [single] = (await take(at, webhookId, null, { limit: 1 })).shipments
  expect(messageOf(single!)).toMatchObject({ eventId: single!.deliveries[0].eventId, eventIds: null })
  expect(JSON.parse(messageOf(single!).body)).toHaveProperty('entity_id')
  await settle(at.outbox, [answered(single!, 204)])
  await at.outbox.pool.query('update walhook.lanes set due_at = now() where lease_id is null')
  const rest = (await take(at, webhookId, batch)).shipments
  expect(rest.flatMap(({ deliveries }) => deliveries)).toHaveLength(2)
  for (const shipment of rest) expect(messageOf(shipment).messageId).not.toBe(messageOf(whole).messageId)
})

test('both modes together: what failed alone gives way to what is newer, what failed in company is sent again as it was', async () => {
  await using at = await openTestOutbox()
  const batch = { maxEvents: 3, maxWaitMs: 0 }
  const webhookId = await open(at, batch, 'latest')
  const mode = 'latest' as const
  await at.append('user 1 new')
  const alone = (await take(at, webhookId, batch, { mode })).shipments[0]!
  await settle(at.outbox, [answered(alone, 503)])
  await at.append('user 1 update')
  const newer = (await take(at, webhookId, batch, { mode })).shipments[0]!
  expect(shown(newer)).toBe('1 new')
  expect(newer.deliveries[0].eventId).toBeGreaterThan(alone.deliveries[0].eventId)
  expect(await at.count('ended_deliveries', `state = 'superseded'`)).toBe(1)
  await settle(at.outbox, [answered(newer, 204)])

  await at.append('user 1 update', 'user 2 new')
  const company = (await take(at, webhookId, batch, { mode })).shipments[0]!
  await settle(at.outbox, [answered(company, 503)])
  await at.append('user 1 update')
  const again = (await take(at, webhookId, batch, { mode })).shipments[0]!
  expect(messageOf(again)).toMatchObject({
    messageId: messageOf(company).messageId,
    body: messageOf(company).body,
  })
  await settle(at.outbox, [answered(again, 204)])
  expect((await take(at, webhookId, batch, { mode })).shipments.map(shown)).toEqual(['1 update'])
})

/** The outbox, with a look at the rows of every answer. */
function eachAnswer(
  at: At,
  look: (rows: Record<string, unknown>[], name: string | undefined) => void | Promise<void>,
): At['outbox'] {
  const query = async (...args: unknown[]) => {
    const answer = await (at.outbox.pool.query as (...args: unknown[]) => Promise<{ rows: never[] }>)(...args)
    await look(answer.rows, (args[0] as { name?: string }).name)
    return answer
  }
  const pool = new Proxy(at.outbox.pool, {
    get: (target, key) => (key === 'query' ? query : Reflect.get(target, key)),
  })
  return { ...at.outbox, pool }
}

/** The outbox, except that something happens after each statement of a name. */
const afterQuery = (at: At, name: string, happens: () => Promise<unknown>) =>
  eachAnswer(at, async (_, ran) => {
    if (ran === name) await happens()
  })

test('a batch that is settled beside another webhook leaves that one its own events of the same entity', async () => {
  await using at = await openTestOutbox()
  const batch = { maxEvents: 10, maxWaitMs: 0 }
  const [inBatches, one] = [await open(at, batch), await at.webhook(everyUser)]
  await at.append('user 1 new')
  await at.append('user 1 update')
  const { shipments } = await take(at, inBatches, batch)
  const [first] = await at.claim(one)
  await settle(at.outbox, [answered(shipments[0]!, 204), settlementOf(first!)])
  expect(await at.queue()).toEqual([`${one} user 1: update`])
})

test('where batches are switched off while a refused one waits, each of its lanes is due when the batch was', async () => {
  await using at = await openTestOutbox()
  const batch = { maxEvents: 3, maxWaitMs: 0 }
  const webhookId = await open(at, batch)
  await at.append('user 1 new', 'user 2 new', 'user 3 new')
  const [shipment] = (await take(at, webhookId, batch)).shipments
  await settle(at.outbox, [answered(shipment!, 500)])
  expect(await at.count('lanes', 'due_at <= now()')).toBe(1)
  await transaction(at.outbox.pool, client => freeFollowers(client, webhookId))
  const { shipments } = await take(at, webhookId, null)
  expect(shipments.map(shown).sort()).toEqual(['1 new', '2 new', '3 new'])
})

test('the same where the batch was in flight when batches were switched off', async () => {
  await using at = await openTestOutbox()
  const batch = { maxEvents: 3, maxWaitMs: 0 }
  const webhookId = await open(at, batch)
  await at.append('user 1 new', 'user 2 new', 'user 3 new')
  const [shipment] = (await take(at, webhookId, batch)).shipments
  await transaction(at.outbox.pool, async client => {
    await client.query('update walhook.webhooks set batch_max_events = null, batch_max_wait_ms = null')
    await freeFollowers(client, webhookId)
  })
  await settle(at.outbox, [answered(shipment!, 500)])
  const { shipments } = await take(at, webhookId, null)
  expect(shipments.map(shown).sort()).toEqual(['1 new', '2 new', '3 new'])
})
