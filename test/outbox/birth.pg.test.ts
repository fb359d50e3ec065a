import { expect, test } from 'vitest'
import type { StoredEvent } from '../../src/domain/event.ts'
import { append, wakeChannel } from '../../src/outbox/append.ts'
import type { Birth, BirthOffer } from '../../src/outbox/birth.ts'
import { claim } from '../../src/outbox/claim.ts'
import { transaction } from '../../src/outbox/database.ts'
import { settle } from '../../src/outbox/settle.ts'
import { connect } from '../support/connect.ts'
import { openTestOutbox, settlementOf, type TestOutbox, waiters } from '../support/open-outbox.ts'
import { until } from '../support/wait.ts'

const everyUser = ['user.new', 'user.update', 'user.delete']
const lease = '11111111-1111-4111-8111-111111111111'
const leaseMs = 60_000

/** Appends events with an offer of `rooms`, and returns what was born of them, as `1 user 7 new`. */
async function appendOffering(at: TestOutbox, rooms: Record<number, number>, ...lines: string[]) {
  const input = at.nextAppend(...lines)
  const { births } = await append(at.outbox.pool, { ...input, birth: offering(rooms, input.events) })
  return { births, lines: births.flatMap(linesOf) }
}

function offering(rooms: Record<number, number>, first: readonly StoredEvent[], ms = leaseMs) {
  const offer: BirthOffer = {
    lease,
    leaseMs: ms,
    rooms: new Map(Object.entries(rooms).map(([id, room]) => [Number(id), room])),
    take() {},
  }
  return { offer, first }
}

const linesOf = ({ webhook, shipments }: Birth) =>
  shipments.map(({ deliveries: [{ entityType, entityId, actionType }] }) =>
    [webhook.id, entityType, entityId, actionType].join(' '),
  )

test('a new lane is leased to who appends it, with the webhook and the body that a claim would give', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  const other = await at.webhook(['user.new'])
  const { births, lines } = await appendOffering(
    at,
    { [webhook]: 9, [other]: 9 },
    'user 1 new',
    'user 2 update',
  )
  expect(lines.sort()).toEqual([`${webhook} user 1 new`, `${webhook} user 2 update`, `${other} user 1 new`])
  // Nobody else gets them; but for the lease, they are what a claim gives.
  expect(await at.claim(webhook)).toEqual([])
  const [busy] = await at.busy()
  expect(busy!.dueInMs).toBeGreaterThan(leaseMs / 2)
  await at.outbox.pool.query('update walhook.lanes set leased_until = now() where lease_id is not null')
  const { shipments } = await claim(at.outbox, {
    webhookId: webhook,
    mode: 'every',
    batch: null,
    limit: 9,
    lease,
    leaseMs,
  })
  const born = births.find(birth => birth.webhook.id === webhook)!
  expect(born.shipments).toEqual(
    shipments.toSorted((a, b) => (a.deliveries[0].eventId < b.deliveries[0].eventId ? -1 : 1)),
  )
  expect(born.webhook).toEqual({ ...busy, dueInMs: 0 })
})

test('what is born is settled as what is claimed, and an event behind it in its lane is due then', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  const { births, lines } = await appendOffering(
    at,
    { [webhook]: 9 },
    'user 1 new',
    'user 1 update',
    'user 2 new',
  )
  expect(lines).toEqual([`${webhook} user 1 new`, `${webhook} user 2 new`])
  const settlements = births[0]!.shipments.map(({ deliveries }) => settlementOf(deliveries[0]))
  expect(await settle(at.outbox, settlements)).toHaveLength(2)
  expect(await at.queue()).toEqual([`${webhook} user 1: update`])
  expect(await at.claim(webhook)).toMatchObject([{ entityId: '1', actionType: 'update' }])
})

test('a lane that is there already is never born, whoever holds it and whatever is in it', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  await at.append('user 1 new', 'user 2 new')
  await at.claim(webhook, 1)
  const { lines } = await appendOffering(at, { [webhook]: 9 }, 'user 1 update', 'user 2 update', 'user 3 new')
  expect(lines).toEqual([`${webhook} user 3 new`])
})

test('no more is born than there is room for, the oldest first, and the rest is due at once', async () => {
  await using at = await openTestOutbox()
  const [small, none] = [await at.webhook(everyUser), await at.webhook(everyUser)]
  const { lines } = await appendOffering(at, { [small]: 2 }, 'user 3 new', 'user 1 new', 'user 2 new')
  expect(lines).toEqual([`${small} user 3 new`, `${small} user 1 new`])
  expect(await at.claim(small)).toMatchObject([{ entityId: '2' }])
  expect(await at.claim(none)).toHaveLength(3)
})

test.each<[string, string]>([
  ['wants only the latest state', `mode = 'latest'`],
  ['wants batches', 'batch_max_events = 10, batch_max_wait_ms = 0'],
  ['wants previous values', 'previous = true'],
  ['has asked for a pause', `held_until = now() + interval '1 hour'`],
])('nothing is born for a webhook that %s: that is left to a claim', async (_, change) => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  await at.outbox.pool.query(`update walhook.webhooks set ${change}`)
  const { lines } = await appendOffering(at, { [webhook]: 9 }, 'user 1 new')
  expect(lines).toEqual([])
  expect(await at.count('lanes', 'lease_id is null and due_at <= now()')).toBe(1)
})

test('a pause that is over holds up nothing', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  await at.outbox.pool.query(`update walhook.webhooks set held_until = now() - interval '1 hour'`)
  expect((await appendOffering(at, { [webhook]: 9 }, 'user 1 new')).lines).toHaveLength(1)
})

test('the lease of what is born ends as any other, where its holder has died', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  const input = at.nextAppend('user 1 new')
  const birth = offering({ [webhook]: 9 }, input.events, 50)
  const { births } = await append(at.outbox.pool, { ...input, birth })
  const [claimed] = await until(
    async () => {
      const lanes = await at.claim(webhook)
      return lanes.length > 0 && lanes
    },
    { what: 'the lease to end' },
  )
  const [late] = births[0]!.shipments[0]!.deliveries
  expect(await settle(at.outbox, [settlementOf(late)])).toEqual([])
  expect(await settle(at.outbox, [settlementOf(claimed!)])).toHaveLength(1)
})

test('a birth waits for the settlement that ends the lane before it', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  await at.append('user 1 new')
  const [held] = await at.claim(webhook)
  const input = at.nextAppend('user 1 update')
  const order: string[] = []
  const appending = await transaction(at.outbox.pool, async client => {
    await client.query('delete from walhook.deliveries where event_id = $1', [held!.eventId])
    await client.query(`delete from walhook.lanes where entity_id = '1'`)
    const appending = append(at.outbox.pool, { ...input, birth: offering({ [webhook]: 9 }, input.events) })
    void appending.then(() => order.push('appended'))
    await until(async () => (await waiters(at)) > 0, { what: 'the append to wait' })
    order.push('settled')
    return { appending }
  })
  const { births } = await appending.appending
  expect(order).toEqual(['settled', 'appended'])
  expect(births.flatMap(linesOf)).toEqual([`${webhook} user 1 update`])
})

test('others are woken only for what is left to them', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  await using listener = await connect(at.database.url)
  let woken = 0
  listener.on('notification', () => woken++)
  await listener.query(`listen ${wakeChannel}`)
  await appendOffering(at, { [webhook]: 9 }, 'user 1 new')
  await listener.query('select')
  expect(woken).toBe(0)
  await appendOffering(at, { [webhook]: 9 }, 'user 2 new', 'user 2 update')
  await until(
    async () => {
      await listener.query('select')
      return woken === 1
    },
    { what: 'a wake-up' },
  )
})
