import { expect, test } from 'vitest'
import { shareOf } from '../../src/domain/delivery/share.ts'
import { transaction } from '../../src/outbox/database/database.ts'
import { append } from '../../src/outbox/log/append.ts'
import { readLog, readLogFor, toLogEvent } from '../../src/outbox/log/log.ts'
import { openTestOutbox } from '../support/open-outbox.ts'
import { headOfLog } from '../support/read-outbox.ts'

const allShares = Array.from({ length: 12 }, (_, i) => i)
const much = { limit: 1_000, maxBytes: 1e9 }
const muchFor = { tenant: null, shares: allShares, scan: 1_000, limit: 1_000, maxBytes: 1e9 }

test('the log is read from a position, in pages limited by events and bytes', async () => {
  await using at = await openTestOutbox()
  expect(await readLog(at.outbox, { after: 0n, ...much })).toEqual({ events: [], readUpTo: 0n })
  expect(await headOfLog(at.outbox)).toBe(0n)
  const ids = await at.append('user 1 new', 'user 2 update', 'company 3 delete')
  const { events, readUpTo } = await readLog(at.outbox, { after: 0n, ...much })
  expect(
    events.map(({ id, entityType, entityId, actionType }) => [id, entityType, entityId, actionType]),
  ).toEqual([
    [ids[0], 'user', '1', 'new'],
    [ids[1], 'user', '2', 'update'],
    [ids[2], 'company', '3', 'delete'],
  ])
  expect(readUpTo).toBe(ids[2])
  expect(await headOfLog(at.outbox)).toBe(ids[2])
  const page = async (bounds: { limit?: number; maxBytes?: number }) =>
    (await readLog(at.outbox, { after: ids[0]!, ...much, ...bounds })).events.map(({ id }) => id)
  expect(await page({})).toEqual([ids[1], ids[2]])
  expect(await page({ limit: 1 })).toEqual([ids[1]])
  // One event at least, however large.
  expect(await page({ maxBytes: 1 })).toEqual([ids[1]])
  expect(await readLog(at.outbox, { after: ids[2]!, ...much })).toEqual({ events: [], readUpTo: ids[2] })
})

test('an event kept in memory equals the stored one', async () => {
  await using at = await openTestOutbox()
  const [webhook, input] = [await at.webhook(['user.new']), at.nextAppend('user 1 new', 'user é😀 update')]
  input.events[1] = {
    ...input.events[1]!,
    facts: { previous: '{"a":1}', changed: ['a', 'b"c'], omitted: ['d'] },
  }
  const { webhooksVersion } = await append(at.outbox.pool, { ...input, onlyWebhookId: webhook })
  const { events } = await readLog(at.outbox, { after: 0n, ...much })
  expect(events).toEqual(input.events.map(event => toLogEvent(event, webhooksVersion, webhook)))
})

test('reading for one webhook returns its wanted events of the given shares, and passes all others', async () => {
  await using at = await openTestOutbox()
  const id = await at.webhook(['user.new'])
  const other = await at.webhook(['user.new'])
  const ids = await at.append(...Array.from({ length: 30 }, (_, i) => `user ${i} new`), 'company 1 new')
  await append(at.outbox.pool, { ...at.nextAppend('user 98 new'), onlyWebhookId: other })
  await append(at.outbox.pool, { ...at.nextAppend('user 99 new'), onlyWebhookId: id })
  const head = await headOfLog(at.outbox)
  const read = (more: object) => readLogFor(at.outbox, { webhookId: id, after: 0n, ...muchFor, ...more })

  const everything = await read({})
  expect(everything.readUpTo).toBe(head)
  expect(everything.events.map(({ entityId }) => entityId)).toEqual([...Array(30).keys(), 99].map(String))

  const few = await read({ limit: 3 })
  expect(few.events).toEqual(everything.events.slice(0, 3))
  expect(few.readUpTo).toBe(few.events[2]!.id)

  const shares = [shareOf('user', '3'), shareOf('user', '99')]
  const some = await read({ shares })
  expect(some.readUpTo).toBe(head)
  expect(some.events).toEqual(everything.events.filter(({ share }) => shares.includes(share)))
  expect(some.events.length).toBeLessThan(everything.events.length)

  // Nothing of the page is wanted: the place moves on all the same.
  expect(await read({ after: ids[29]!, scan: 1 })).toEqual({ events: [], readUpTo: ids[30] })
  expect((await read({ scan: 5 })).readUpTo).toBe(ids[4])
  const byBytes = await read({ maxBytes: 1 })
  expect([byBytes.events.length, byBytes.readUpTo]).toEqual([1, ids[0]])
  expect(await read({ after: head })).toEqual({ events: [], readUpTo: head })
})

test("only the tenant's own events are scanned, including those that left it for another tenant", async () => {
  await using at = await openTestOutbox()
  const id = await at.webhook(['user.new', 'user.update', 'user.delete'], true, { tenant: 'acme' })
  const others = Array.from({ length: 20 }, (_, n) => `user ${100 + n} new bravo`)
  const lines = [
    ...others,
    'user 1 new acme',
    ...others,
    'user 1 update bravo acme',
    'user 2 update acme bravo',
  ]
  const ids = await at.append(...lines, ...others, 'company 1 new')
  const read = (more: object) =>
    readLogFor(at.outbox, { webhookId: id, after: 0n, ...muchFor, tenant: 'acme', ...more })
  const all = await read({})
  expect(all).toEqual({
    events: (await read({ tenant: null })).events,
    readUpTo: await headOfLog(at.outbox),
  })
  expect(all.events.map(event => event.id)).toEqual([ids[20], ids[41], ids[42]])
  const [first] = all.events
  expect(await read({ scan: 1 })).toEqual({ events: [first], readUpTo: first!.id })
  expect(await read({ scan: 2 })).toMatchObject({ readUpTo: all.events[1]!.id })
  expect(await read({ limit: 1 })).toEqual({ events: [first], readUpTo: first!.id })
  expect(await read({ shares: [] })).toEqual({ events: [], readUpTo: all.readUpTo })
  expect(await read({ after: all.readUpTo + 5n })).toEqual({ events: [], readUpTo: all.readUpTo + 5n })
})

test('cancelled events are skipped: of one entity, or of all', async () => {
  await using at = await openTestOutbox()
  const id = await at.webhook(['user.update'])
  const ids = await at.append(...[1, 2, 1, 2, 1, 2].map(n => `user ${n} update`))
  await at.outbox.pool.query(
    `insert into walhook.skips (webhook_id, entity_type, entity_id, after_id, up_to) values ($1, 'user', '1', $2, $3), ($1, null, null, $3, $4)`,
    [id, ids[0], ids[2], ids[3]],
  )
  const { events } = await readLogFor(at.outbox, { webhookId: id, after: 0n, ...muchFor })
  expect(events.map(event => event.id)).toEqual([ids[0], ids[1], ids[4], ids[5]])
})

test('a reader sees every event below its newest one, during appends too', async () => {
  await using at = await openTestOutbox()
  const seen: bigint[] = []
  let isOver = false
  async function append() {
    for (let i = 0; i < 60; i++) {
      const lines = Array.from({ length: 1 + (i % 7) }, (_, n) => `user ${n} update`)
      if (i % 5 > 0) await at.append(...lines)
      else
        await transaction(at.outbox.pool, async client => {
          const parts = [at.nextAppend(...lines), at.nextAppend(...lines)]
          for (const part of parts) await appendPart(client, part)
        })
    }
    isOver = true
  }
  async function follow() {
    let after = 0n
    while (!isOver || after < (await headOfLog(at.outbox))) {
      const { events, readUpTo } = await readLog(at.outbox, { after, limit: 10, maxBytes: 1e9 })
      seen.push(...events.map(({ id }) => id))
      after = readUpTo
    }
  }
  await Promise.all([append(), follow()])
  const { rows } = await at.outbox.pool.query('select id from walhook.events order by id')
  expect(seen).toEqual(rows.map(({ id }) => id))
  expect(seen.length).toBeGreaterThan(200)
})

const appendPart = append as unknown as (client: unknown, part: unknown) => Promise<unknown>
