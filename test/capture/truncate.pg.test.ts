import { rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { defaultMapping } from '../../src/domain/mapping/mapping.ts'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { readEvents } from '../support/read-outbox.ts'
import { startCapture } from '../support/run-capture.ts'
import { until } from '../support/wait.ts'
import { startWalhook } from '../support/walhook-process.ts'

const [user, company] = defaultMapping as [(typeof defaultMapping)[0], (typeof defaultMapping)[0]]
const deleting = [{ ...user, deletesOnTruncate: true }, company]

async function open(mapping = deleting) {
  const database = await createTestDatabase({ hasOutbox: true })
  const psql = await connect(database.url)
  await psql.query(`
    create table users (id integer primary key, name text);
    create table companies (id integer primary key, name text);
    insert into users values (0, 'never told of')`)
  const capture = await startCapture(database, mapping)
  return {
    psql,
    capture,
    async step(sql: string) {
      const before = (await capture.events()).length
      await psql.query(sql)
      await capture.caughtUp()
      return (await capture.events()).slice(before)
    },
    async [Symbol.asyncDispose]() {
      await capture[Symbol.asyncDispose]()
      await psql.end()
      await database.drop()
    },
  }
}

test('with on_truncate: delete, a TRUNCATE deletes every entity known by its events, and no other', async () => {
  await using at = await open()
  await at.step(
    `insert into users values (1, 'a'), (2, 'a'), (3, 'a'); insert into companies values (1, 'a')`,
  )
  await at.step('delete from users where id = 2')
  expect((await at.step('truncate users, companies')).sort()).toEqual(['user 1 delete', 'user 3 delete'])
  expect(at.capture.truncated).toEqual(['"public"."users"', '"public"."companies"'])
  expect(await at.step('truncate users')).toEqual([])
  const { rows } = await at.psql.query(`
    select index_in_transaction as index from walhook.events
    where action_type = 'delete' and entity_id <> '2' order by id`)
  expect(rows).toEqual([{ index: 0 }, { index: 1 }])
})

test('a TRUNCATE is folded with what its transaction did before and after it', async () => {
  await using at = await open()
  await at.step(`insert into users values (1, 'a'), (2, 'a'), (3, 'a'), (4, 'a')`)
  expect(
    await at.step(`
      begin;
      update users set name = 'b' where id in (1, 2);
      insert into users values (9, 'never seen');
      truncate users;
      insert into users values (2, 'c'), (3, 'c'), (5, 'c');
      commit`),
  ).toEqual([
    'user 1 delete',
    'user 2 update {"id":2,"name":"c"}',
    // Whether it is known is not asked: receivers take a new of what they have as its state.
    'user 3 new {"id":3,"name":"c"}',
    'user 5 new {"id":5,"name":"c"}',
    'user 4 delete',
  ])
})

test('deletes of a TRUNCATE come before later transactions of the same entity', async () => {
  await using at = await open()
  await at.step(`insert into users values (1, 'a'), (2, 'a')`)
  expect(
    await at.step(`
      begin; truncate users; commit;
      begin; insert into users values (1, 'b'); commit;
      begin; truncate users; commit;
      begin; insert into users values (2, 'c'); commit;`),
  ).toEqual([
    expect.stringMatching(/user [12] delete/),
    expect.stringMatching(/user [12] delete/),
    'user 1 new {"id":1,"name":"b"}',
    'user 1 delete',
    'user 2 new {"id":2,"name":"c"}',
  ])
})

test('without that setting, rows inserted before a TRUNCATE in its transaction are not sent as existing', async () => {
  await using at = await open([...defaultMapping])
  await at.step(`insert into users values (1, 'a'), (2, 'a')`)
  expect(
    await at.step(
      `begin; update users set name = 'b' where id = 1; insert into users values (3, 'a'); truncate users; commit`,
    ),
  ).toEqual(['user 1 delete'])
})

test('a TRUNCATE of a partitioned table covers its partitions', async () => {
  await using database = await createTestDatabase({ hasOutbox: true })
  await using psql = await connect(database.url)
  await psql.query(`
    create table users (id integer primary key) partition by range (id);
    create table users_1 partition of users for values from (0) to (10);
    create table users_2 partition of users for values from (10) to (20);
    create table companies (id integer primary key)`)
  await using capture = await startCapture(database, deleting)
  await psql.query('insert into users values (1), (11)')
  await psql.query('truncate users')
  await capture.caughtUp()
  expect((await capture.events()).sort()).toEqual([
    'user 1 delete',
    'user 1 new {"id":1}',
    'user 11 delete',
    'user 11 new {"id":11}',
  ])
})

test('a TRUNCATE in the middle of a chunked transaction does not affect later rows', async () => {
  await using at = await open()
  await at.step(`insert into users select i, 'a' from generate_series(1, 100) i`)
  const many = (from: number, to: number) =>
    `insert into users select i, repeat('x', 300) from generate_series(${from}, ${to}) i`
  const events = await at.step(
    `begin; ${many(1001, 30_000)}; truncate users; ${many(20_001, 50_000)}; commit`,
  )
  const last = new Map(events.map(line => line.split(' ', 3).slice(1) as [string, string]))
  const alive = [...last].filter(([, action]) => action !== 'delete').map(([id]) => Number(id))
  expect(alive.sort((a, b) => a - b)).toEqual(Array.from({ length: 30_000 }, (_, i) => i + 20_001))
  for (let i = 1; i <= 100; i++) expect(last.get(String(i))).toBe('delete')
})

test('after a kill in the middle, each delete of a TRUNCATE is stored once', async () => {
  await using database = await createTestDatabase({ hasOutbox: true })
  await using psql = await connect(database.url)
  await psql.query('create table users (id integer primary key)')
  const config = join(tmpdir(), `${database.name}.yaml`)
  onTestFinished(() => rm(config))
  await writeFile(config, 'entities: { user: { table: users, on_truncate: delete } }')
  const settings = { WALHOOK_ROLES: 'capture,api', WALHOOK_CONFIG: config }
  const rows = 40_000
  const counted = async () => {
    const { rows } = await psql.query(`
      select count(*)::int as n, count(distinct entity_id)::int as ids from walhook.events where action_type = 'delete'`)
    return rows[0]
  }
  {
    await using walhook = startWalhook(database, settings)
    await walhook.ready()
    await psql.query(`insert into users select generate_series(1, ${rows})`)
    await until(async () => (await readEvents(psql)).length === rows, {
      what: 'every row',
      timeoutMs: 60_000,
    })
    await psql.query('truncate users')
    const isDeleting = `
      select from pg_locks l join pg_stat_activity a using (pid)
      where l.relation = 'walhook.events'::regclass and l.mode = 'RowExclusiveLock' and a.query like 'fetch%'`
    await until(async () => (await psql.query(isDeleting)).rowCount !== 0, {
      what: 'a page of deletes to be stored and not committed',
      intervalMs: 1,
    })
    walhook.kill('SIGKILL')
    await walhook.exited
  }
  expect(await counted()).toEqual({ n: 0, ids: 0 })
  await using _ = startWalhook(database, settings)
  await until(async () => (await counted()).n >= rows, { what: 'every delete', timeoutMs: 60_000 })
  await psql.query('insert into users values (1)')
  await until(async () => (await readEvents(psql)).at(-1) === 'user 1 new', { what: 'the next change' })
  expect(await counted()).toEqual({ n: rows, ids: rows })
}, 120_000)
