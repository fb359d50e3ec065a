import { expect, test } from 'vitest'
import { setAside } from '../../src/outbox/aside/aside.ts'
import { blockedEntities, webhooksWithAside } from '../../src/outbox/aside/blocked.ts'
import { pickDue } from '../../src/outbox/aside/pick-due.ts'
import { giveBack } from '../../src/outbox/aside/taken.ts'
import { transaction } from '../../src/outbox/database/database.ts'
import { lockAllHolders } from '../../src/outbox/database/fence.ts'
import { releaseShares } from '../../src/outbox/holders/holders.ts'
import { deleteWebhook } from '../../src/outbox/records/webhooks.ts'
import { takeOver } from '../../src/outbox/settle/takeover.ts'
import { asideOf, joined, rowsOf, settleAs, streamed } from '../support/holding.ts'
import { openTestOutbox, type TestOutbox } from '../support/open-outbox.ts'
import { everyUser, holdUp, randomBelow, untilWaiting } from '../support/outbox-traffic.ts'
import { allShares, retry, settlementOf } from '../support/sending.ts'

const pick = async (at: TestOutbox, holderId: number, webhookId: number, limit = 100) =>
  await pickDue(at.outbox, { holderId, webhookId, shares: allShares, limit })

test('a row is blocked if an older event of its entity is pending, and otherwise due at once', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  const me = await joined(at)
  const ids = await at.append(
    'user 1 new',
    'user 2 new',
    'user 2 update',
    'user 1 update',
    'user 3 new',
    'user 3 update',
  )
  const [one, two, twosNext, onesNext, three, threesNext] = await streamed(at, webhook, ids)
  await settleAs(at, me, [], [asideOf(one!, { dueInMs: 60_000 })])
  await settleAs(
    at,
    me,
    [],
    [two!, twosNext!, onesNext!].map(each => asideOf(each)),
  )
  // Under way, and something behind it.
  await settleAs(at, me, [], [asideOf(three!, { takenBy: me }), asideOf(threesNext!)])
  expect(await rowsOf(at)).toEqual([
    '1 new: later',
    '2 new: due',
    '2 update: behind',
    '1 update: behind',
    `3 new: due, taken by ${me}`,
    '3 update: behind',
  ])
})

test('a manual row stays unchanged, and a deleted webhook gets none', async () => {
  await using at = await openTestOutbox()
  const [webhook, gone] = [await at.webhook(everyUser), await at.webhook(everyUser)]
  const me = await joined(at)
  const ids = await at.append('user 1 new', 'user 1 update')
  const [first, next] = await streamed(at, webhook, ids)
  await settleAs(at, me, [], [asideOf(first!, { dueInMs: 60_000 })])
  await at.outbox.pool.query('update walhook.deliveries set is_manual = true')
  await settleAs(at, me, [], [asideOf(first!, { dueInMs: 0 }), asideOf(next!)])
  expect(await rowsOf(at)).toEqual(['1 new: later', '1 update: behind'])
  expect(await at.count('deliveries', 'is_manual')).toBe(1)
  const ofGone = (await streamed(at, gone, ids)).map(each => asideOf(each))
  await transaction(at.outbox.pool, client => deleteWebhook(client, gone))
  await settleAs(at, me, [], ofGone)
  expect(await at.count('deliveries', `webhook_id = ${gone}`)).toBe(0)
})

test('the end of a row waits for a row that is being set aside behind it, and makes that due', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  const me = await joined(at)
  const [first, next] = await streamed(at, webhook, await at.append('user 1 new', 'user 1 update'))
  await settleAs(at, me, [], [asideOf(first!, { takenBy: me })])
  const client = await at.outbox.pool.connect()
  await client.query('begin')
  await setAside(client, [asideOf(next!)])
  const settled = settleAs(at, me, [settlementOf(first!)])
  await untilWaiting(at, 1, 'the settlement to wait')
  await client.query('commit')
  client.release()
  await settled
  expect(await rowsOf(at)).toEqual(['1 update: due'])
})

test('a row that is being set aside waits for the end of the older one, and is then due', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  const me = await joined(at)
  const [first, next] = await streamed(at, webhook, await at.append('user 1 new', 'user 1 update'))
  await settleAs(at, me, [], [asideOf(first!, { takenBy: me })])
  const letGo = await holdUp(at, 'delete from walhook.deliveries')
  const settled = settleAs(at, me, [], [asideOf(next!)])
  await untilWaiting(at, 1, 'the row to wait')
  await letGo()
  await settled
  expect(await rowsOf(at)).toEqual(['1 update: due'])
})

test("only the oldest due row of each entity is taken, in the holder's shares", async () => {
  await using at = await openTestOutbox()
  const [webhook, other] = [await at.webhook(everyUser), await at.webhook(everyUser)]
  const me = await joined(at)
  const lines = Array.from({ length: 30 }, (_, i) => `user ${i + 1} new`)
  const deliveries = await streamed(at, webhook, await at.append(...lines, 'user 1 update'))
  const one = deliveries[0]!
  await settleAs(
    at,
    me,
    [],
    deliveries.map(each => asideOf(each, { dueInMs: -1 })),
  )
  const first = await pick(at, me, webhook, 10)
  expect(first.deliveries.length).toBe(10)
  expect(first.nextDueInMs).toBeLessThan(0)
  const rest = await pick(at, me, webhook)
  expect(first.deliveries.length + rest.deliveries.length).toBe(30)
  // Behind the first of its entity, although it was due.
  expect(await at.count('deliveries', `due_at = 'infinity' and taken_by is null`)).toBe(1)
  expect(rest.nextDueInMs).toBe(null)
  expect((await pick(at, me, webhook)).deliveries).toEqual([])
  expect((await pick(at, me, other)).deliveries).toEqual([])

  await giveBack(at.outbox, { holderId: me, deliveries: [...first.deliveries, ...rest.deliveries] })
  await releaseShares(at.outbox, { holderId: me, shares: [one.share] })
  const served = (await pick(at, me, webhook)).deliveries
  expect(new Set(served.map(({ share }) => share))).toEqual(
    new Set(deliveries.map(({ share }) => share).filter(share => share !== one.share)),
  )
  await takeOver(at.outbox, { deadId: me, beat: 0n })
  expect((await pick(at, me, webhook)).deliveries).toEqual([])
})

test('a row is not taken while another one of its entity is in flight, older or newer', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  const [me, before] = [await joined(at), await joined(at, 0)]
  const [older, newer] = await streamed(at, webhook, await at.append('user 1 new', 'user 1 update'))
  // Asked for by hand while the newer one was sent by its stream; that became a row when its share was given away.
  await settleAs(at, me, [], [asideOf(older!, { dueInMs: 0 })])
  await settleAs(at, before, [], [asideOf(newer!, { takenBy: before })])
  expect((await pick(at, me, webhook)).deliveries).toEqual([])
  expect(await rowsOf(at)).toEqual(['1 new: behind', '1 update: due, taken by 2'])
  await settleAs(at, before, [settlementOf(newer!)])
  expect((await pick(at, me, webhook)).deliveries.map(({ eventId }) => eventId)).toEqual([older!.eventId])
})

test('manual actions and the taking of rows wait for each other', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  const me = await joined(at)
  await settleAs(
    at,
    me,
    [],
    (await streamed(at, webhook, await at.append('user 1 new'))).map(each => asideOf(each)),
  )
  let letGo = () => {}
  const held = new Promise<void>(resolve => {
    letGo = resolve
  })
  let isLocked = () => {}
  const locked = new Promise<void>(resolve => {
    isLocked = resolve
  })
  const byHand = transaction(at.outbox.pool, async client => {
    await lockAllHolders(client)
    isLocked()
    await held
    await client.query('delete from walhook.deliveries')
  })
  await locked
  const picked = pick(at, me, webhook)
  const joining = joined(at)
  await untilWaiting(at, 2, 'a holder, and one that joins, to wait for the hand')
  letGo()
  await byHand
  expect((await picked).deliveries).toEqual([])
  await joining
})

test('blocked entities and webhooks without rows are found', async () => {
  await using at = await openTestOutbox()
  const [webhook, other, quiet] = [
    await at.webhook(everyUser),
    await at.webhook(everyUser),
    await at.webhook(everyUser),
  ]
  const me = await joined(at)
  const [first, second] = await streamed(at, webhook, await at.append('user 1 new', 'user 2 new'))
  await settleAs(
    at,
    me,
    [],
    [asideOf(first!, { dueInMs: 60_000 }), asideOf({ ...second!, webhookId: other }, { takenBy: me })],
  )
  expect(
    await blockedEntities(at.outbox, {
      webhookIds: [webhook, webhook, other, quiet],
      entityTypes: ['user', 'user', 'user', 'user'],
      entityIds: ['1', '2', '2', '1'],
    }),
  ).toEqual({ blocked: [true, false, true, false], without: [quiet] })
  const withRows = await webhooksWithAside(at.outbox, allShares)
  expect(withRows.map(each => [each.webhookId, each.dueInMs === null])).toEqual([
    [webhook, false],
    [other, true],
  ])
  expect(withRows[0]!.dueInMs).toBeGreaterThan(50_000)
  await at.outbox.pool.query(
    `insert into walhook.batches (webhook_id, id, share, due_at) values ($1, 1, 3, now() + interval '5 s')`,
    [webhook],
  )
  expect((await webhooksWithAside(at.outbox, allShares))[0]!.dueInMs).toBeLessThan(6_000)
})

/** The oldest row of an entity that nobody moves on any more. */
const stuck = `
select count(*)::int as count from (
  select distinct on (webhook_id, entity_type, entity_id) * from walhook.deliveries
  order by webhook_id, entity_type, entity_id, event_id
) oldest where due_at = 'infinity' and taken_by is null and batch_id is null`

test('under random actions, pending events are sent in order, and no row stays forever', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  const me = await joined(at)
  const sent = new Map<string, bigint[]>()
  let isBusy = true
  let settling: Promise<unknown> = Promise.resolve()
  // As in a process: one settlement after the other.
  const settleNext = (...args: Parameters<typeof settleAs>) => {
    const next = settling.then(() => settleAs(...args))
    settling = next.catch(() => {})
    return next
  }
  async function bring() {
    for (let turn = 0; turn < 40; turn++) {
      const lines = Array.from({ length: 1 + randomBelow(4) }, () => `user ${1 + randomBelow(5)} update`)
      const deliveries = await streamed(at, webhook, await at.append(...lines))
      await settleNext(
        at,
        me,
        [],
        deliveries.map(each => asideOf(each)),
      )
    }
    isBusy = false
  }
  async function send() {
    for (;;) {
      const wasBusy = isBusy
      const { deliveries } = await pick(at, me, webhook, 1 + randomBelow(3))
      if (deliveries.length === 0 && !wasBusy && (await at.count('deliveries')) === 0) return
      const given = deliveries.filter(() => randomBelow(6) === 0)
      await giveBack(at.outbox, { holderId: me, deliveries: given })
      const tried = deliveries.filter(each => !given.includes(each))
      const settlements = tried.map(each =>
        settlementOf(each, randomBelow(3) === 0 ? retry(randomBelow(5)) : {}),
      )
      if (settlements.length > 0) await settleNext(at, me, settlements)
      for (const { shipment, next } of settlements) {
        const [{ entityId, eventId }] = shipment.deliveries
        if (next.state === 'done') sent.set(entityId, [...(sent.get(entityId) ?? []), eventId])
      }
      expect((await at.outbox.pool.query(stuck)).rows[0].count).toBe(0)
    }
  }
  await Promise.all([bring(), send(), send()])
  const { rows } = await at.outbox.pool.query(
    'select entity_id, array_agg(id order by id) as ids from walhook.events group by 1',
  )
  expect(Object.fromEntries(sent)).toEqual(Object.fromEntries(rows.map(row => [row.entity_id, row.ids])))
})

test('due rows with large bodies are taken as they fit into memory, and always one', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  const me = await joined(at)
  const ids = await at.append(...Array.from({ length: 6 }, (_, i) => `user ${i} new`))
  const rows = (await streamed(at, webhook, ids)).map(each => asideOf(each, { dueInMs: 0 }))
  for (const row of rows) await settleAs(at, me, [], [row])
  await at.outbox.pool.query(`update walhook.events set body = to_json(repeat('x', 1000000))`)
  const take = async (maxBytes: number) => {
    const given = { holderId: me, webhookId: webhook, shares: allShares, limit: 100, maxBytes }
    const { deliveries, nextDueInMs } = await pickDue(at.outbox, given)
    return {
      ids: deliveries.map(({ eventId }) => eventId),
      isMoreDue: nextDueInMs !== null && nextDueInMs <= 0,
    }
  }
  expect(await take(2_500_000)).toEqual({ ids: ids.slice(0, 3), isMoreDue: true })
  expect(await take(1)).toEqual({ ids: ids.slice(3, 4), isMoreDue: true })
  expect(await take(9_000_000)).toEqual({ ids: ids.slice(4), isMoreDue: false })
})
