import { expect, test } from 'vitest'
import { type EventState, eventStates } from '../../src/domain/event/event-state.ts'
import { type TimeId, timeOf } from '../../src/domain/value/time-id.ts'
import { listEvents } from '../../src/outbox/listing/events.ts'
import { type EventFilter, maxLookedAt } from '../../src/outbox/listing/scan.ts'
import { openTestOutbox, type TestOutbox } from '../support/open-outbox.ts'
import { countRows } from '../support/row-counter.ts'
import { cancel, pull, retry, settleAll } from '../support/sending.ts'

type Asked = { tenant?: string | null; seenBy?: string | null; limit?: number; before?: TimeId | null }

const list = async (at: Pick<TestOutbox, 'outbox'>, filter: EventFilter = {}, asked: Asked = {}) =>
  await listEvents(at.outbox, { filter, tenant: null, seenBy: null, limit: 10, before: null, ...asked })

/** All that a filter finds, page after page, as `user 7 new`; and in how many pages. */
async function all(at: Pick<TestOutbox, 'outbox'>, filter: EventFilter, asked: Asked = {}) {
  const found: string[] = []
  let pages = 0
  for (let before: TimeId | null = null; ; pages++) {
    const { items, next } = await list(at, filter, { ...asked, before })
    found.push(...items.map(event => `${event.entityType} ${event.entityId} ${event.actionType}`))
    if (next === null) return { found, pages: pages + 1 }
    expect(before === null || next < before).toBe(true)
    before = next
  }
}

test('events are found by type, entity, action and time, once each over all pages', async () => {
  await using at = await openTestOutbox()
  const ids = await at.append('user 1 new', 'user 2 new', 'company 1 new', 'user 1 update', 'user 2 delete')
  const found = async (filter: EventFilter) => (await all(at, filter, { limit: 2 })).found
  expect(await found({})).toEqual([
    'user 2 delete',
    'user 1 update',
    'company 1 new',
    'user 2 new',
    'user 1 new',
  ])
  expect(await found({ entityType: 'company' })).toEqual(['company 1 new'])
  expect(await found({ entityType: 'user', entityId: '1' })).toEqual(['user 1 update', 'user 1 new'])
  expect(await found({ actions: ['new'], entityType: 'user' })).toEqual(['user 2 new', 'user 1 new'])
  expect(await found({ actions: ['update', 'delete'] })).toEqual(['user 2 delete', 'user 1 update'])

  // By the time in their ids, to the millisecond: what was stored at `from` is in, at `to` is not.
  await at.outbox.pool.query('delete from walhook.events where id <> $1', [ids[0]])
  const storedMs = timeOf(ids[0]!)
  const between = (from: number, to: number) => found({ from: new Date(from), to: new Date(to) })
  expect(await between(storedMs, storedMs + 1)).toEqual(['user 1 new'])
  expect(await between(storedMs - 1, storedMs)).toEqual([])
  expect(await between(storedMs + 1, storedMs + 2)).toEqual([])
})

/** An event for each state, oldest first in this order, at one webhook; the last one is not sent at all. */
async function oneOfEach(at: TestOutbox): Promise<Record<EventState, string>> {
  const id = await at.webhook(['user.new'])
  const everything = { entity: null, eventId: null, webhookId: id }
  await at.append('user 1 new')
  await settleAll(at, id)
  await at.append('user 2 new')
  await settleAll(at, id, { next: { state: 'dead' } })
  await at.append('user 3 new')
  await pull(at, id)
  const [cancelled] = await at.append('user 4 new')
  await cancel(at, { ...everything, upTo: cancelled! })
  const [superseded] = await at.append('user 5 new')
  await at.append('user 6 new')
  await settleAll(at, id, retry(600_000))
  await at.outbox.pool.query(
    `with gone as (delete from walhook.deliveries where event_id = $1 returning *)
     insert into walhook.ended_deliveries (webhook_id, event_id, entity_type, entity_id, state, superseded_by, attempts)
     select webhook_id, event_id, entity_type, entity_id, 'superseded', event_id + 1, 0 from gone`,
    [superseded],
  )
  await at.append('user 7 new')
  await at.append('user 8 delete')
  return {
    delivered: 'user 1 new',
    dead: 'user 2 new',
    cancelled: 'user 4 new',
    superseded: 'user 5 new',
    retrying: 'user 6 new',
    pending: 'user 7 new',
    not_sent: 'user 8 delete',
  }
}

test('events are found by the state in which a webhook has them', async () => {
  await using at = await openTestOutbox()
  const of = await oneOfEach(at)
  for (const state of eventStates)
    expect({ state, ...(await all(at, { state })) }).toMatchObject({
      state,
      found: expect.arrayContaining([of[state]]),
    })
  expect((await all(at, { state: 'dead' })).found).toEqual([of.dead])
  expect((await all(at, { state: 'not_sent' })).found).toEqual([of.not_sent])
  expect((await all(at, { state: 'retrying', actions: ['update'] })).found).toEqual([])
  expect((await list(at, { state: 'pending' })).items[0]!.counts).toMatchObject({ pending: 1, delivered: 0 })
})

test('dead letters, retries and pending rows are found at once, after any number of newer events', async () => {
  await using at = await openTestOutbox()
  const [id, other] = [await at.webhook(['user.new']), await at.webhook(['user.new', 'user.update'])]
  await at.append('user 1 new')
  await settleAll(at, id, { next: { state: 'dead' } })
  await settleAll(at, other, retry(600_000))
  await at.append('user 1 update')
  await pull(at, other)
  const { last } = await at.fill(12_000, { entityType: 'company' })
  await at.outbox.pool.query('update walhook.shares set settled_up_to = $1', [last])
  await at.outbox.pool.query('update walhook.streams set settled_up_to = $1, may_send_up_to = $1', [last])
  for (const [state, found] of [
    ['dead', 'user 1 new'],
    ['retrying', 'user 1 new'],
    ['pending', 'user 1 update'],
  ] as const)
    expect({ state, ...(await all(at, { state })) }).toEqual({ state, found: [found], pages: 1 })
  // Nothing leads to these: they are looked for, page by page.
  expect((await all(at, { state: 'delivered' })).pages).toBe(13)
  const [first] = (await list(at, { state: 'delivered' })).items
  expect(first).toBeUndefined()
  expect((await list(at, { state: 'delivered' })).isPartial).toBe(true)
})

test('the rows that a page scans do not grow with the log, for any filter and any statistics', async () => {
  await using at = await openTestOutbox()
  const { pool } = at.outbox
  for (let i = 0; i < 20; i++) await at.webhook(['user.new'])
  await pool.query('analyze walhook.events, walhook.attempts, walhook.deliveries, walhook.ended_deliveries')
  const { first, last } = await at.fill(60_000)
  await pool.query(`update walhook.events set tenant = 'acme', entity_id = '7' where id % 2 = 0`)
  await pool.query('update walhook.shares set settled_up_to = $1', [last])
  const filters: [EventFilter, Asked][] = [
    [{ entityType: 'company' }, {}],
    [{ actions: ['delete'] }, {}],
    [{ actions: ['delete'] }, { tenant: 'acme', seenBy: 'acme' }],
    [{ entityType: 'company', entityId: '7' }, {}],
    [
      { entityType: 'company', entityId: '7' },
      { tenant: 'bravo', seenBy: 'bravo' },
    ],
    [{ state: 'delivered' }, {}],
    [{ state: 'retrying' }, {}],
    [{ state: 'dead' }, { tenant: 'acme', seenBy: 'acme' }],
    [{ state: 'pending', actions: ['delete'] }, {}],
    [{}, { before: first + 30_000n }],
  ]
  for (const analyze of [false, true]) {
    if (analyze) await pool.query('analyze walhook.events')
    const { outbox, rows } = countRows(at.outbox)
    for (const [filter, asked] of filters) await list({ outbox }, filter, asked)
    expect([...rows].filter(([, count]) => count > 8 * maxLookedAt)).toEqual([])
  }
})

test('a page by state touches rows for its webhooks and its events, not for each pair of them', async () => {
  await using at = await openTestOutbox()
  const { pool } = at.outbox
  const [webhooks, events] = [100, 500]
  for (let i = 0; i < webhooks; i++) await at.webhook(['user.new'])
  const { last } = await at.fill(events)
  await pool.query('update walhook.shares set settled_up_to = $1', [last])
  await pool.query(
    `insert into walhook.deliveries (webhook_id, share, entity_type, entity_id, event_id, due_at)
     select w.id, e.share, e.entity_type, e.entity_id, e.id, now() from walhook.webhooks w join lateral (
       select * from walhook.events order by id offset w.id % 7 limit 1) e on true`,
  )
  const { outbox, rows } = countRows(at.outbox)
  expect((await list({ outbox }, { state: 'superseded' })).isPartial).toBe(false)
  expect([...rows].filter(([, count]) => count > 20 * (webhooks + events))).toEqual([])

  // What one that lags has still to get.
  await pool.query(
    `insert into walhook.streams (webhook_id, share, settled_up_to, may_send_up_to)
     select 2, share, $1::bigint, $1::bigint from walhook.shares`,
    [last - 10n],
  )
  rows.clear()
  const { items } = await list({ outbox }, {}, { limit: 20 })
  expect([items[0]!.counts.pending, items.at(-1)!.counts.pending]).toEqual([1, 0])
  expect([...rows].filter(([, count]) => count > 20 * (webhooks + events))).toEqual([])
})

test('a tenant finds only its own events, with the action it gets and the states of its own webhooks', async () => {
  await using at = await openTestOutbox()
  const ours = await at.webhook(['user.new', 'user.update', 'user.delete'], true, { tenant: 'acme' })
  const theirs = await at.webhook(['user.new', 'user.update', 'user.delete'], true, { tenant: 'bravo' })
  await at.append('user 1 new acme', 'user 1 new bravo', 'user 2 update bravo acme')
  await settleAll(at, ours)
  await settleAll(at, theirs, { next: { state: 'dead' } })
  const asked = { tenant: 'acme', seenBy: 'acme' }
  const found = async (filter: EventFilter, of: Asked = asked) => (await all(at, filter, of)).found
  expect(await found({})).toEqual(['user 2 update', 'user 1 new'])
  expect(await found({ entityType: 'user', entityId: '1' })).toEqual(['user 1 new'])
  expect(await found({ actions: ['delete'] })).toEqual(['user 2 update'])
  expect(await found({ actions: ['update'] })).toEqual([])
  expect(await found({ state: 'dead' })).toEqual([])
  const { items } = await list(at, {}, asked)
  expect(items.map(({ counts }) => [counts.delivered, counts.dead])).toEqual([
    [1, 0],
    [1, 0],
  ])
  // Whoever belongs to no tenant sees the webhooks of both.
  const [moved] = (await list(at, {})).items
  expect(moved!.counts).toMatchObject({ delivered: 1, dead: 1 })
  expect(await found({ state: 'dead' }, {})).toEqual(['user 2 update', 'user 1 new'])
})
