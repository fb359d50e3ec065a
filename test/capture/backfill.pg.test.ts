import { expect, test } from 'vitest'
import { defaultMapping, type EntityMapping } from '../../src/domain/mapping/mapping.ts'
import { endBackfill, findBackfill, paceBackfill } from '../../src/outbox/source/backfills.ts'
import { isDone, openBackfills } from '../support/backfill.ts'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { startCapture } from '../support/run-capture.ts'
import { until } from '../support/wait.ts'

/** The page's query waits for whoever has `holdReading`, when it has its snapshot already. */
const slowUsers = `
  create function is_free(integer) returns boolean language plpgsql as
    'begin perform pg_advisory_xact_lock_shared(42); return true; end';
  create domain slow_id as integer check (is_free(value));
  create table users (id slow_id primary key, name text);
  create table companies (id integer primary key, name text);`
const plain = `
  create table users (id integer primary key, name text);
  create table companies (id integer primary key, name text);`

async function open(sql: string, mapping: readonly EntityMapping[] = defaultMapping) {
  const database = await createTestDatabase({ hasOutbox: true })
  const psql = await connect(database.url)
  await psql.query(sql)
  const capture = await startCapture(database, mapping)
  const backfills = await openBackfills(database)
  return {
    database,
    psql,
    capture,
    backfills,
    /** Starts a backfill and keeps its second page, all rows behind the first, between its snapshot and its rows. */
    async holdReading() {
      const waiting = async () => {
        const asked = `select from pg_locks where locktype = 'advisory' and not granted and database =
          (select oid from pg_database where datname = current_database())`
        return (await psql.query(asked)).rowCount
      }
      const areWaiting = (count: number, what: string) =>
        until(async () => (await waiting()) === count, { what })
      let holder = await connect(database.url)
      await holder.query('select pg_advisory_lock(42)')
      const id = await backfills.start({ rowsPerSecond: 1 })
      await areWaiting(1, 'the first page to be read')
      for (let isRead = false; !isRead; ) {
        // Granted as soon as the page is read: no second one comes before it, however long the test takes.
        const next = await connect(database.url)
        const held = next.query('select pg_advisory_lock(42)')
        await areWaiting(2, 'the next holder to stand in line')
        await holder.end()
        await held
        holder = next
        // A page that saw too little is read again: it waits once more, and so does the next holder behind it.
        isRead = await until(
          async () => {
            const isWaiting = (await waiting()) === 1
            const { rowsDone } = (await findBackfill(backfills.outbox, id))!
            return rowsDone === 1 ? { isRead: true } : isWaiting && { isRead: false }
          },
          { what: 'the first page to be stored or read again' },
        ).then(page => page.isRead)
      }
      await paceBackfill(backfills.outbox.pool, id, 100_000)
      await areWaiting(1, 'the second page to be read')
      return {
        id,
        /** Changes the rows, and lets the page go. */
        async change(sql: string) {
          await holder.query(sql)
          await holder.end()
        },
      }
    },
    async [Symbol.asyncDispose]() {
      await backfills[Symbol.asyncDispose]()
      await capture[Symbol.asyncDispose]()
      await psql.end()
      await database.drop()
    },
  }
}

test('every row is sent as new, in pages, to the chosen webhook only', async () => {
  await using at = await open(
    `${plain} insert into users select i, 'name ' || i from generate_series(1, 2500) i; analyze users`,
  )
  const [one, other] = [await at.backfills.webhook('user.new'), await at.backfills.webhook('user.new')]
  const id = await at.backfills.start({ webhookId: one })
  const done = await at.backfills.is(id, isDone)
  expect(done).toMatchObject({ rowsDone: 2500, rowsEstimate: 2500, afterKey: '2500', untilKey: '2500' })
  expect(await at.capture.events()).toEqual(
    Array.from({ length: 2500 }, (_, i) => `user ${i + 1} new {"id":${i + 1},"name":"name ${i + 1}"}`),
  )
  const made = await at.backfills.deliveries()
  expect(made.length).toBe(2500)
  expect(made.filter(line => line.startsWith(`${other} `))).toEqual([])
  const { rows } = await at.psql.query(
    'select count(distinct (commit_lsn, index_in_transaction))::int as n from walhook.events',
  )
  expect(rows).toEqual([{ n: 2500 }])
})

test('an entity that changes while its page is read is never sent in its older state', async () => {
  await using at = await open(
    `${slowUsers} insert into users select i, 'old' from generate_series(1, 6) i; insert into users values (50, 'old')`,
  )
  const [everything, onlyNew] = [
    await at.backfills.webhook('user.new', 'user.update', 'user.delete'),
    await at.backfills.webhook('user.new'),
  ]
  const { id, change } = await at.holdReading()
  await change(`
    update users set name = 'newer' where id = 2;
    delete from users where id = 3;
    update users set id = 40 where id = 4;
    delete from users where id = 5; insert into users values (60, 'after the last')`)
  await at.backfills.is(id, isDone)
  const events = await at.capture.events()
  expect(events.slice(0, 7)).toEqual([
    'user 1 new {"id":1,"name":"old"}',
    'user 2 update {"id":2,"name":"newer"}',
    'user 3 delete',
    'user 4 delete',
    'user 40 new {"id":40,"name":"old"}',
    'user 5 delete',
    'user 60 new {"id":60,"name":"after the last"}',
  ])
  expect(events.slice(7)).toEqual([
    'user 2 new {"id":2,"name":"newer"}',
    'user 6 new {"id":6,"name":"old"}',
    'user 50 new {"id":50,"name":"old"}',
  ])
  const made = await at.backfills.deliveries()
  expect(made.filter(line => line.startsWith(`${everything} `))).toHaveLength(10)
  // Each row that is there, once: also the one whose update it has not asked for.
  expect(made.filter(line => line.startsWith(`${onlyNew} `))).toEqual(
    ['1', '40', '60', '2', '6', '50'].map(key => `${onlyNew} user ${key} new`),
  )
})

test('a table that is rewritten while its page is read does not count as empty', async () => {
  await using at = await open(`${plain} insert into users select i, 'x' from generate_series(1, 5) i`)
  await at.backfills.webhook('user.new')
  const id = await at.backfills.start({ rowsPerSecond: 1 })
  await at.backfills.is(id, ({ rowsDone }) => rowsDone === 1, 'the first page')
  await using altering = await connect(at.database.url)
  await altering.query('begin; alter table users add column n numeric default random()')
  await paceBackfill(at.backfills.outbox.pool, id, 100_000)
  const isWaiting = `select from pg_locks where relation = 'users'::regclass and not granted`
  await until(async () => ((await at.psql.query(isWaiting)).rowCount ?? 0) > 0, {
    what: 'the page to wait for the table',
  })
  await altering.query('commit')
  const done = await at.backfills.is(id, isDone)
  expect(done.rowsDone).toBe(5)
  expect(await at.capture.events()).toHaveLength(5)
})

test('a backfill handles partitions, keys of any type, duplicate, missing and oversized keys, and related lists', async () => {
  const entity = (
    entityType: string,
    name: string,
    key: string,
    related: EntityMapping['related'] = [],
  ): EntityMapping => ({
    entityType,
    table: { schema: 'public', name },
    key,
    fields: { include: null, omit: [], rename: {} },
    related,
    sendsUnchanged: false,
  })
  const tags = {
    field: 'tags',
    table: { schema: 'public', name: 'tags' },
    owner: 'user',
    columns: ['tag'],
    plain: true,
  }
  await using at = await open(
    `create table "Users" ("Id" uuid primary key, d date) partition by hash ("Id");
     create table u0 partition of "Users" for values with (modulus 2, remainder 0);
     create table u1 partition of "Users" for values with (modulus 2, remainder 1);
     create table tags ("user" uuid, tag text, primary key ("user", tag));
     create table words (word text, n integer); alter table words replica identity full;
     create table nobody (id timestamptz primary key);
     insert into "Users" select ('00000000-0000-4000-8000-' || lpad(i::text, 12, '0'))::uuid, '2026-01-01'::date + i from generate_series(1, 150) i;
     insert into tags select "Id", t from "Users", unnest(array['a', 'b']) t where d < '2026-01-04';
     insert into words values ('b', 1), ('B', 1), ('a''"\\', 1), (null, 2), ('b', 2), (repeat('x', 2000), 3), ('ä', 1);
     insert into words select 'same', i from generate_series(1, 205) i;`,
    [
      entity('user', 'Users', 'Id', [tags]),
      entity('word', 'words', 'word'),
      entity('moment', 'nobody', 'id'),
    ],
  )
  await at.backfills.webhook('user.update', 'word.update', 'moment.update')
  const ids: number[] = []
  for (const entityType of ['user', 'word', 'moment'])
    ids.push(await at.backfills.start({ entityType, actionType: 'update' }))
  const done = await Promise.all(ids.map(id => at.backfills.is(id, isDone)))
  expect(done.map(({ rowsDone }) => rowsDone).slice(0, 1)).toEqual([150])
  expect(done[2]).toMatchObject({ rowsDone: 0, rowsEstimate: null, afterKey: null })
  const events = await at.capture.events()
  const users = events.filter(line => line.startsWith('user '))
  expect(users.length).toBe(150)
  expect(users[0]).toBe(
    'user "00000000-0000-4000-8000-000000000001" update {"Id":"00000000-0000-4000-8000-000000000001","d":"2026-01-02","tags":["a","b"]}',
  )
  expect(users[149]).toContain('"tags":[]')
  const words = events.filter(line => line.startsWith('word ')).map(line => line.split(' ')[1])
  expect([...new Set(words)].sort()).toEqual(['"B"', '"a\'\\"\\\\"', '"b"', '"same"', '"ä"'].sort())
  const parked = await at.psql.query('select entity_type, reason from walhook.parked_changes')
  expect(parked.rows).toEqual([
    { entity_type: 'word', reason: 'the key word has 2000 bytes, but an entity_id may have at most 1024' },
  ])
})

test("a backfill waits, with a reason, while the webhook's backlog is large or it is inactive, and ends when it is deleted", async () => {
  await using at = await open(`${plain} insert into users select i, 'x' from generate_series(1, 5) i`)
  const webhook = await at.backfills.webhook('user.new')
  await at.psql.query(
    `insert into walhook.deliveries (webhook_id, share, entity_type, entity_id, event_id, due_at)
     select ${webhook}, 0, 'user', 'x', i, 'infinity' from generate_series(1, 10001) i`,
  )
  const id = await at.backfills.start({ webhookId: webhook })
  const waitsFor = (reason: string) =>
    at.backfills.is(id, backfill => backfill.reason === reason, `the backfill to wait: ${reason}`)
  await waitsFor(`more than 10000 deliveries are already pending for webhook ${webhook}`)
  await at.psql.query('delete from walhook.deliveries; update walhook.webhooks set is_active = false')
  await waitsFor(`webhook ${webhook} is not active`)
  expect(await at.capture.events()).toEqual([])
  await at.psql.query(`update walhook.webhooks set is_active = true, triggers = '{user.update}'`)
  await waitsFor(`webhook ${webhook} has not the trigger user.new`)
  await at.psql.query('delete from walhook.webhooks')
  const failed = await at.backfills.is(id, ({ state }) => state === 'failed', 'the backfill to fail')
  expect(failed.reason).toBe(`webhook ${webhook} was deleted`)
  expect(await at.capture.events()).toEqual([])
})

test('the pace of a running backfill can be changed, other backfills take turns, and it can be cancelled', async () => {
  await using at = await open(
    `${plain} insert into users select i, 'x' from generate_series(1, 300) i; insert into companies select i from generate_series(1, 5) i`,
  )
  await at.backfills.webhook('user.new', 'company.new')
  const slow = await at.backfills.start({ rowsPerSecond: 1 })
  await at.backfills.is(slow, ({ rowsDone }) => rowsDone > 0, 'the first page')
  const other = await at.backfills.start({ entityType: 'company' })
  await at.backfills.is(other, isDone)
  const before = (await findBackfill(at.backfills.outbox, slow))!
  expect(before.rowsDone).toBeLessThan(100)
  await paceBackfill(at.backfills.outbox.pool, slow, 100_000)
  await at.backfills.is(slow, isDone)

  const again = await at.backfills.start({ rowsPerSecond: 1 })
  await at.backfills.is(again, ({ rowsDone }) => rowsDone > 0, 'the first page')
  await endBackfill(at.backfills.outbox.pool, again, { state: 'cancelled', reason: 'enough' })
  const third = await at.backfills.start()
  await at.backfills.is(third, isDone)
  expect((await findBackfill(at.backfills.outbox, again))!.rowsDone).toBeLessThan(100)
})

test('a backfill cancelled between reading and storing stores nothing of the page', async () => {
  await using at = await open(`${slowUsers} insert into users select i, 'x' from generate_series(1, 5) i`)
  await at.backfills.webhook('user.new', 'company.new')
  const { id, change } = await at.holdReading()
  await endBackfill(at.backfills.outbox.pool, id, { state: 'cancelled', reason: 'enough' })
  await change(`insert into users values (9, 'after')`)
  const next = await at.backfills.start({ entityType: 'company' })
  await at.backfills.is(next, isDone)
  await at.capture.caughtUp()
  expect((await at.capture.events()).map(line => line.split(' ')[1])).toEqual(['1', '9'])
})
