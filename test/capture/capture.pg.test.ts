import { expect, test } from 'vitest'
import { defaultMapping, type EntityMapping } from '../../src/domain/mapping/mapping.ts'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { startCapture } from '../support/run-capture.ts'
import { until } from '../support/wait.ts'

const plain = `
  create table users (id integer primary key, name text);
  create table companies (id integer primary key, name text);`

async function open(tables = plain) {
  const database = await createTestDatabase({ hasOutbox: true })
  const psql = await connect(database.url)
  await psql.query(tables)
  return {
    database,
    psql,
    async [Symbol.asyncDispose]() {
      await psql.end()
      await database.drop()
    },
  }
}

test('interleaved transactions arrive in commit order', async () => {
  await using at = await open()
  await using capture = await startCapture(at.database)
  await using other = await connect(at.database.url)
  await at.psql.query(`begin; insert into users values (1, 'opened first')`)
  await other.query(`begin; insert into users values (2, 'opened second'); commit`)
  await at.psql.query(`insert into users values (3, 'same as 1'); commit`)
  await capture.caughtUp()
  expect(await capture.events()).toEqual([
    'user 2 new {"id":2,"name":"opened second"}',
    'user 1 new {"id":1,"name":"opened first"}',
    'user 3 new {"id":3,"name":"same as 1"}',
  ])
})

test('a transaction gives one event per entity, and a rolled back one gives none', async () => {
  await using at = await open()
  await using capture = await startCapture(at.database)
  await at.psql.query(`
    begin;
    insert into users values (1, 'a'), (2, 'a'), (3, 'a');
    update users set name = 'b' where id = 1;
    delete from users where id = 2;
    savepoint s;
    update users set name = 'undone' where id = 3;
    insert into companies values (1, 'undone');
    rollback to s;
    commit`)
  await at.psql.query(`begin; insert into companies values (9, 'undone'); rollback`)
  await at.psql.query(
    `begin; update users set name = 'c' where id = 1; delete from users where id = 1; commit`,
  )
  await capture.caughtUp()
  expect(await capture.events()).toEqual([
    'user 1 new {"id":1,"name":"b"}',
    'user 3 new {"id":3,"name":"a"}',
    'user 1 delete',
  ])
})

test('a changed primary key deletes the old entity, then creates the new one', async () => {
  await using at = await open(`${plain} alter table companies replica identity full;`)
  await using capture = await startCapture(at.database)
  await at.psql.query(`insert into users values (1, 'a'); insert into companies values (1, 'a')`)
  await at.psql.query('update users set id = 2')
  await at.psql.query('update companies set id = 2')
  await capture.caughtUp()
  expect((await capture.events()).slice(2)).toEqual([
    'user 1 delete',
    'user 2 new {"id":2,"name":"a"}',
    'company 1 delete',
    'company 2 new {"id":2,"name":"a"}',
  ])
})

test('an unchanged TOAST value is read back, or taken from the old row', async () => {
  await using at = await open(`
    create table users (id integer primary key, story text, name text);
    create table companies (id integer primary key, story text, name text);
    alter table users alter story set storage external;
    alter table companies alter story set storage external;
    alter table companies replica identity full;`)
  await using capture = await startCapture(at.database)
  const story = 'x'.repeat(20_000)
  for (const table of ['users', 'companies']) {
    await at.psql.query(`insert into ${table} values (1, $1, 'a')`, [story])
    await at.psql.query(`update ${table} set name = 'b'`)
    await at.psql.query(`begin; insert into ${table} values (2, '${story}', 'a')`)
    await at.psql.query(`update ${table} set name = 'b' where id = 2; commit`)
  }
  await capture.caughtUp()
  const row = (id: number, name: string) => `{"id":${id},"story":"${story}","name":"${name}"}`
  const expected = (type: string) => [
    `${type} 1 new ${row(1, 'a')}`,
    `${type} 1 update ${row(1, 'b')}`,
    `${type} 2 new ${row(2, 'b')}`,
  ]
  expect(await capture.events()).toEqual([...expected('user'), ...expected('company')])
})

test('an unchanged TOAST value survives a change of the primary key', async () => {
  await using at = await open(`
    create table users (id integer primary key, story text);
    create table companies (id integer primary key);
    alter table users alter story set storage external`)
  await using capture = await startCapture(at.database)
  const story = 'x'.repeat(20_000)
  await at.psql.query(`insert into users values (1, $1)`, [story])
  await at.psql.query('update users set id = 2')
  await capture.caughtUp()
  expect((await capture.events()).slice(1)).toEqual([
    'user 1 delete',
    `user 2 new {"id":2,"story":"${story}"}`,
  ])
})

test('an unchanged TOAST value of a row that is deleted meanwhile is omitted, unless the WAL has the old row', async () => {
  await using at = await open(`
    create table users (id integer primary key, story text, name text);
    create table companies (id integer primary key, story text, name text);
    alter table users alter story set storage external;
    alter table companies alter story set storage external;
    alter table companies replica identity full;`)
  const story = 'x'.repeat(20_000)
  {
    await using capture = await startCapture(at.database)
    for (const table of ['users', 'companies'])
      await at.psql.query(`insert into ${table} values (1, $1, 'a')`, [story])
    await capture.caughtUp()
  }
  for (const table of ['users', 'companies']) {
    await at.psql.query(`update ${table} set name = 'b'`)
    await at.psql.query(`delete from ${table}`)
  }
  await using capture = await startCapture(at.database)
  await capture.caughtUp()
  expect((await capture.events()).slice(2)).toEqual([
    'user 1 update {"id":1,"name":"b"}',
    'user 1 delete',
    `company 1 update {"id":1,"story":"${story}","name":"b"}`,
    'company 1 delete',
  ])
  const { rows } = await at.psql.query(
    `select entity_type, omitted, previous from walhook.events where action_type = 'update' order by id`,
  )
  expect(rows).toEqual([
    { entity_type: 'user', omitted: ['story'], previous: null },
    { entity_type: 'company', omitted: null, previous: '{"name":"a"}' },
  ])
})

test('an inserted, deleted or moved join row updates each of its owners once per transaction', async () => {
  await using at = await open(`
    create table users (id integer primary key, name text);
    create table companies (id integer primary key, name text);
    create table user_companies (user_id integer, company_id integer, primary key (user_id, company_id));
    insert into users values (1, 'a'), (2, 'b');
    insert into companies values (5, 'c'), (6, 'd');`)
  await using capture = await startCapture(at.database, [
    {
      entityType: 'user',
      table: { schema: 'public', name: 'users' },
      key: 'id',
      fields: { include: ['id'], omit: [], rename: {} },
      related: [
        {
          field: 'companies',
          table: { schema: 'public', name: 'user_companies' },
          owner: 'user_id',
          columns: ['company_id'],
          plain: true,
        },
      ],
      sendsUnchanged: false,
    },
  ])
  const step = async (sql: string) => {
    const before = (await capture.events()).length
    await at.psql.query(sql)
    await capture.caughtUp()
    return (await capture.events()).slice(before)
  }
  expect(await step('insert into user_companies values (1, 6), (1, 5)')).toEqual([
    'user 1 update {"id":1,"companies":[5,6]}',
  ])
  expect(await step('update user_companies set user_id = 2 where company_id = 6')).toEqual([
    'user 1 update {"id":1,"companies":[5]}',
    'user 2 update {"id":2,"companies":[6]}',
  ])
  expect(await step('delete from user_companies where user_id = 1')).toEqual([
    'user 1 update {"id":1,"companies":[]}',
  ])
  expect(
    await step('begin; delete from user_companies where user_id = 2; delete from users where id = 2; commit'),
  ).toEqual(['user 2 delete'])
  expect(
    await step('begin; insert into users values (3); insert into user_companies values (3, 5); commit'),
  ).toEqual(['user 3 new {"id":3,"companies":[5]}'])
})

test('a TRUNCATE is logged for each table, and sends nothing', async () => {
  await using at = await open()
  await using capture = await startCapture(at.database)
  await at.psql.query(`insert into users values (1, 'a')`)
  await at.psql.query('truncate users, companies')
  await at.psql.query(`insert into users values (1, 'b')`)
  await capture.caughtUp()
  expect(capture.truncated).toEqual(['"public"."users"', '"public"."companies"'])
  expect(await capture.events()).toEqual(['user 1 new {"id":1,"name":"a"}', 'user 1 new {"id":1,"name":"b"}'])
})

test('columns that are added, dropped or change type between two changes are followed', async () => {
  await using at = await open()
  await using capture = await startCapture(at.database)
  await at.psql.query(`insert into users values (1, 'a')`)
  await at.psql.query(`create type mood as enum ('glad', 'sad'); create domain age as integer`)
  await at.psql.query(`alter table users add mood mood default 'glad', add n numeric(4,2)[], add age age`)
  await at.psql.query(`insert into users values (2, 'b', 'sad', '{1.10,NULL}', 33)`)
  await at.psql.query(`alter table users drop name, alter id type bigint`)
  await at.psql.query(`update users set mood = 'glad' where id = 2`)
  await at.psql.query(`begin; alter table users rename mood to feeling; insert into users values (3); commit`)
  await capture.caughtUp()
  expect(await capture.events()).toEqual([
    'user 1 new {"id":1,"name":"a"}',
    'user 2 new {"id":2,"name":"b","mood":"sad","n":[1.10,null],"age":33}',
    'user 2 update {"id":2,"mood":"glad","n":[1.10,null],"age":33}',
    'user 3 new {"id":3,"feeling":"glad","n":null,"age":null}',
  ])
})

test('names in mixed case, and two tables of one name in two schemas, are distinguished', async () => {
  await using at = await open(`
    create schema "Shop";
    create table "Shop"."Users" ("Id" uuid primary key, "Full Name" text);
    create table public."Users" ("Id" integer primary key);
    create table users (id integer primary key);`)
  await using capture = await startCapture(at.database, [
    {
      entityType: 'customer',
      table: { schema: 'Shop', name: 'Users' },
      key: 'Id',
      fields: { include: null, omit: [], rename: { 'Full Name': 'name' } },
      related: [],
      sendsUnchanged: false,
    },
  ])
  const id = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'
  await at.psql.query(`insert into users values (1); insert into public."Users" values (1)`)
  await at.psql.query(`insert into "Shop"."Users" values ('${id}', 'Guan the Man')`)
  await capture.caughtUp()
  expect(await capture.events()).toEqual([`customer "${id}" new {"Id":"${id}","name":"Guan the Man"}`])
})

test('a partitioned table is one entity type', async () => {
  await using at = await open(`
    create table users (id integer primary key, name text) partition by range (id);
    create table users_1 partition of users for values from (0) to (10);
    create table users_2 partition of users for values from (10) to (20);
    create table companies (id integer primary key);`)
  await using capture = await startCapture(at.database)
  await at.psql.query(`insert into users values (1, 'a'), (11, 'a')`)
  await at.psql.query(`create table users_3 partition of users for values from (20) to (30)`)
  await at.psql.query(`insert into users values (21, 'a')`)
  await capture.caughtUp()
  expect(await capture.events()).toEqual([
    'user 1 new {"id":1,"name":"a"}',
    'user 11 new {"id":11,"name":"a"}',
    'user 21 new {"id":21,"name":"a"}',
  ])
})

test('a transaction larger than memory is processed in chunks and becomes visible as a whole', async () => {
  await using at = await open()
  await using capture = await startCapture(at.database)
  await using reader = await connect(at.database.url)
  const rows = 60_000
  const committed = at.psql.query(
    `insert into users select i, repeat('x', 300) from generate_series(1, ${rows}) i`,
  )
  const seen = new Set<number>()
  await committed
  await until(
    async () => {
      const found = await reader.query('select count(*)::int as n from walhook.events')
      seen.add(found.rows[0].n)
      return found.rows[0].n === rows
    },
    { what: 'all events', timeoutMs: 60_000, intervalMs: 1 },
  )
  expect([...seen].filter(n => n !== 0)).toEqual([rows])
  await capture.caughtUp()
  const { rows: order } = await reader.query(`
    select count(*) filter (where index_in_transaction <> place)::int as misplaced, count(distinct commit_lsn)::int as lsns
    from (select *, row_number() over (order by id) - 1 as place from walhook.events) e`)
  expect(order[0]).toEqual({ misplaced: 0, lsns: 1 })
})

test('after a stop in the middle of a large transaction, the next start stores it completely', async () => {
  await using at = await open()
  let stopped: Promise<void>
  {
    await using capture = await startCapture(at.database)
    stopped = capture.over
    await at.psql.query(`insert into users values (0, 'confirmed')`)
    await capture.caughtUp()
    await at.psql.query(`insert into users select i, repeat('x', 300) from generate_series(1, 60000) i`)
    const isInChunks = `
      select from pg_locks l join pg_stat_activity a using (pid)
      where l.relation = 'walhook.events'::regclass and l.mode = 'RowExclusiveLock'
        and a.state = 'idle in transaction'`
    await until(async () => (await at.psql.query(isInChunks)).rowCount !== 0, {
      what: 'a chunk to be stored and not committed',
      intervalMs: 1,
    })
  }
  await expect(stopped).resolves.toBeUndefined()
  expect((await at.psql.query('select from walhook.events')).rowCount).toBe(1)
  await using next = await startCapture(at.database)
  await next.caughtUp()
  expect((await at.psql.query('select from walhook.events')).rowCount).toBe(60_001)
})

test('many small transactions share one commit of the outbox', async () => {
  await using at = await open()
  await using capture = await startCapture(at.database)
  await at.psql.query('set synchronous_commit = off')
  await at.psql.query(
    `do $$ begin for i in 1..2000 loop insert into users values (i, 'a'); commit; end loop; end $$`,
  )
  await capture.caughtUp()
  expect((await capture.events()).length).toBe(2000)
  expect(capture.commits()).toBeLessThan(500)
})

test('a change that cannot become an event is parked with its reason; other changes continue', async () => {
  await using at = await open(
    'create table users (id text primary key, name text); create table companies (id integer primary key)',
  )
  await using capture = await startCapture(at.database)
  const long = 'k'.repeat(1_500)
  await at.psql.query(`begin; insert into users values ('a', '1'), ('${long}', '2'), ('b', '3'); commit`)
  await at.psql.query(`delete from users where id = '${long}'`)
  await at.psql.query(`update users set name = '4' where id = 'a'`)
  await capture.caughtUp()
  expect(await capture.events()).toEqual([
    'user "a" new {"id":"a","name":"1"}',
    'user "b" new {"id":"b","name":"3"}',
    'user "a" update {"id":"a","name":"4"}',
  ])
  const { rows } = await at.psql.query(
    `select index_in_transaction as index, entity_type, left(entity_id, 3) as entity_id, action_type, reason
     from walhook.parked_changes order by commit_lsn`,
  )
  const reason = 'the key id has 1500 bytes, but an entity_id may have at most 1024'
  expect(rows).toEqual([
    { index: 1, entity_type: 'user', entity_id: 'kkk', action_type: 'new', reason },
    { index: 0, entity_type: 'user', entity_id: 'kkk', action_type: 'delete', reason },
  ])
})

test('an UPDATE of unsent columns only is not an event, unless the mapping asks for it', async () => {
  await using at = await open(`
    create table users (id integer primary key, name text, password_hash text, story text);
    create table companies (id integer primary key, name text);
    alter table users replica identity full;
    alter table users alter story set storage external`)
  await at.psql.query(
    `insert into users values (1, 'a', 'x', repeat('y', 20000)); insert into companies values (1, 'a')`,
  )
  const change = `
    update users set name = name;
    update users set password_hash = 'z';
    update companies set name = name;
    update users set name = 'b'`
  const userMapping = defaultMapping[0]!
  const events = async (mapping: readonly EntityMapping[]) => {
    await using capture = await startCapture(at.database, mapping)
    const before = (await capture.events()).length
    for (const statement of change.split(';')) await at.psql.query(statement)
    await capture.caughtUp()
    return (await capture.events()).slice(before).map(line => line.slice(0, line.indexOf('"story"')))
  }
  expect(await events(defaultMapping)).toEqual([
    'company 1 update {"id":1,"name":"a"',
    'user 1 update {"id":1,"name":"b",',
  ])
  expect(await events([{ ...userMapping, sendsUnchanged: true }, defaultMapping[1]!])).toHaveLength(4)
})

test("walhook's own tables are not published, so its writes never return as changes", async () => {
  await using at = await open()
  await using capture = await startCapture(at.database)
  await at.psql.query(`insert into users values (1, 'a')`)
  await capture.caughtUp()
  const published = await at.psql.query('select tablename from pg_publication_tables order by 1')
  expect(published.rows.map(({ tablename }) => tablename)).toEqual(['companies', 'users'])
  expect(await capture.events()).toHaveLength(1)
})
