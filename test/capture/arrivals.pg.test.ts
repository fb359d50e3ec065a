import { expect, test } from 'vitest'
import { orderTableResyncs, tableGapsOf } from '../../src/capture/backfill/resync-tables.ts'
import type { EntityMapping } from '../../src/domain/mapping/mapping.ts'
import { defaultMapping } from '../../src/domain/mapping/mapping.ts'
import { openOutbox } from '../../src/outbox/database/database.ts'
import { connect } from '../support/connect.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { type RunningCapture, startCapture } from '../support/run-capture.ts'
import { until } from '../support/wait.ts'

const tables = `
  create table users (id integer, day date default '2026-01-01', name text, primary key (id, day)) partition by range (day);
  create table users_rest partition of users default;
  create table companies (id integer primary key);`

async function open(sql = tables, mapping: readonly EntityMapping[] = defaultMapping) {
  const database = await createTestDatabase({ hasOutbox: true })
  const psql = await connect(database.url)
  await psql.query(sql)
  const count = async (what: string) =>
    (await psql.query(`select count(*)::int as n from walhook.${what}`)).rows[0].n as number
  return {
    database,
    psql,
    start: () => startCapture(database, mapping),
    /** Waits until so many partitions have come and been read. */
    arrived: (partitions: number) =>
      until(
        async () => (await count(`resyncs where part_oid is not null and state = 'done'`)) >= partitions,
        {
          what: `${partitions} partitions to be read`,
          timeoutMs: 30_000,
        },
      ),
    gaps: () => count('gaps'),
    async [Symbol.asyncDispose]() {
      await psql.end()
      await database.drop()
    },
  }
}

const named = async (capture: RunningCapture) =>
  (await capture.events()).map(event => event.replace(/\{.*"name":"?([^",}]*).*/, '$1'))

/** A month as it is usually loaded. */
const loaded = `
  create table users_2 (like users including all);
  insert into users_2 values (10, '2026-02-01', 'ten'), (11, '2026-02-02', 'eleven');
  alter table users attach partition users_2 for values from ('2026-02-01') to ('2026-03-01')`

test.each([['while walhook reads'], ['while walhook is stopped']])(
  'the rows of an attached partition are sent, without a gap: %s',
  async when => {
    await using at = await open()
    {
      await using capture = await at.start()
      await at.psql.query(`insert into users values (1, '2026-01-01', 'one')`)
      await capture.caughtUp()
      if (when === 'while walhook reads') {
        await at.psql.query(loaded)
        await at.arrived(1)
      }
    }
    if (when !== 'while walhook reads') {
      await at.psql.query(loaded)
      // Their first events: receivers have not heard of them, and ten has changed by the time it is read.
      await at.psql.query(`update users set name = 'TEN' where id = 10; delete from users where id = 11`)
    }
    await using capture = await at.start()
    await at.arrived(1)
    await capture.caughtUp()
    const events = await named(capture)
    expect(events).toEqual(
      when === 'while walhook reads'
        ? ['user 1 new one', 'user 10 new ten', 'user 11 new eleven']
        : ['user 1 new one', 'user 10 update TEN', 'user 11 delete', 'user 10 new TEN'],
    )
    expect(await at.gaps()).toBe(0)
    expect(capture.state()).toMatchObject({ state: 'streaming' })
  },
)

test('rows of a partition that was created empty come only from the stream', async () => {
  await using at = await open()
  {
    await using capture = await at.start()
    await capture.caughtUp()
  }
  await at.psql.query(
    `create table users_2 partition of users for values from ('2026-02-01') to ('2026-03-01');
     insert into users values (10, '2026-02-01', 'ten'), (11, '2026-02-02', 'eleven');
     update users set name = 'TEN' where id = 10`,
  )
  await using capture = await at.start()
  await at.arrived(1)
  await capture.caughtUp()
  // One event per entity and transaction.
  expect(await named(capture)).toEqual(['user 10 new TEN', 'user 11 new eleven'])
  expect(await at.gaps()).toBe(0)
})

/** So much that the stream has come no further when a page is read. */
const manyOthers = `do $$ begin for i in 1..20000 loop insert into companies values (i); commit; end loop; end $$`

test('unread WAL from before a partition was attached does not count as newer than its rows', async () => {
  await using at = await open()
  {
    await using capture = await at.start()
    await at.psql.query(`
      create table users_2 partition of users for values from ('2026-02-01') to ('2026-03-01');
      insert into users values (10, '2026-02-01', 'ten')`)
    await at.arrived(1)
    await capture.caughtUp()
  }
  await at.psql.query(manyOthers)
  await at.psql.query(`update users set name = 'unread' where id = 10`)
  await at.psql.query(`
    begin; create table copy (like users including all); insert into copy select id, day, 'silent' from users_2;
    alter table users detach partition users_2; drop table users_2; alter table copy rename to users_2;
    alter table users attach partition users_2 for values from ('2026-02-01') to ('2026-03-01'); commit`)
  await using capture = await at.start()
  await at.arrived(2)
  await capture.caughtUp()
  const events = (await named(capture)).filter(event => event.startsWith('user'))
  expect(events).toEqual(['user 10 new ten', 'user 10 update unread', 'user 10 update silent'])
})

test('unread WAL from before a loss does not count as newer than the rows of the resync', async () => {
  await using at = await open()
  {
    await using capture = await at.start()
    await at.psql.query(`insert into users values (10, '2026-01-01', 'ten')`)
    await capture.caughtUp()
  }
  await at.psql.query(manyOthers)
  await at.psql.query(`update users set name = 'unread' where id = 10`)
  await at.psql.query(`
    alter publication walhook set (publish = 'insert'); update users set name = 'silent' where id = 10;
    alter publication walhook set (publish = 'insert, update, delete, truncate')`)
  await using capture = await at.start()
  await using outbox = openOutbox({ url: at.database.url, maxConnections: 1, onError() {} })
  const slotName = at.database.name.slice(0, 63)
  const gaps = () => tableGapsOf(outbox, slotName, 'user')
  await until(async () => (await gaps()).some(({ toLsn }) => toLsn !== null), { what: 'the gap to be found' })
  await orderTableResyncs(outbox, await gaps(), { slotName, mapping: defaultMapping })
  await until(async () => (await gaps()).length === 0, { what: 'the gap to end', timeoutMs: 60_000 })
  await capture.caughtUp()
  expect((await named(capture)).filter(event => event.startsWith('user')).at(-1)).toBe(
    'user 10 update silent',
  )
})

test('a known entity that returns with a partition, in another state, is an update', async () => {
  await using at = await open()
  await using capture = await at.start()
  await at.psql.query(`
    create table users_1 partition of users for values from ('2026-01-01') to ('2026-02-01');
    insert into users select n, '2026-01-01', 'n' || n from generate_series(1, 3) n`)
  await at.arrived(1)
  await capture.caughtUp()
  await at.psql.query(`
    begin; create table copy (like users including all); insert into copy select * from users_1;
    update copy set name = 'CHANGED' where id = 2; insert into copy values (4, '2026-01-04', 'four');
    alter table users detach partition users_1;
    alter table users attach partition copy for values from ('2026-01-01') to ('2026-02-01'); commit`)
  await at.arrived(2)
  await capture.caughtUp()
  expect((await named(capture)).slice(3)).toEqual(['user 2 update CHANGED', 'user 4 new four'])
})

test('a nested partition of many rows, with changes meanwhile, is sent page by page, each row once', async () => {
  await using at = await open()
  const rows = 2_345
  {
    await using capture = await at.start()
    await capture.caughtUp()
    await at.psql.query(`
      create table half (like users including all) partition by hash (id);
      create table half_0 partition of half for values with (modulus 2, remainder 0);
      create table half_1 partition of half for values with (modulus 2, remainder 1);
      insert into half select n, '2026-02-01', 'n' || n from generate_series(1, ${rows}) n;
      alter table users attach partition half for values from ('2026-02-01') to ('2026-03-01')`)
    await at.psql.query(`update users set name = 'N' || id where id % 10 = 0`)
    await until(async () => (await capture.events()).length > 200, { what: 'the first pages' })
  }
  // Another process goes on where that one was.
  await using capture = await at.start()
  await at.arrived(2)
  await capture.caughtUp()
  const events = await named(capture)
  const news = events.filter(event => event.includes(' new '))
  expect(new Set(news.map(event => event.split(' ')[1])).size).toBe(rows)
  expect(news).toHaveLength(rows)
  const last = new Map(events.map(event => [event.split(' ')[1], event.split(' ')[3]]))
  const expected = Array.from({ length: rows }, (_, i) => [
    `${i + 1}`,
    `${(i + 1) % 10 === 0 ? 'N' : 'n'}${i + 1}`,
  ])
  expect(Object.fromEntries(last)).toEqual(Object.fromEntries(expected))
})

const roles = {
  field: 'roles',
  table: { schema: 'public', name: 'roles' },
  owner: 'user_id',
  columns: ['role'],
  plain: true,
}

test('attaching a partition with rows to a related table updates each owner', async () => {
  await using at = await open(
    `create table users (id integer primary key, name text); create table companies (id integer primary key);
     create table roles (user_id integer, role text, primary key (user_id, role)) partition by list (role);
     create table roles_a partition of roles for values in ('a');
     insert into users values (1, 'one'), (2, 'two'), (3, 'three'); insert into roles values (1, 'a')`,
    [{ ...defaultMapping[0]!, related: [roles] }, defaultMapping[1]!],
  )
  await using capture = await at.start()
  await at.psql.query(`update users set name = upper(name)`)
  await capture.caughtUp()
  await at.psql.query(`
    create table roles_b (like roles including all); insert into roles_b values (1, 'b'), (2, 'b');
    alter table roles attach partition roles_b for values in ('b')`)
  await at.arrived(1)
  await capture.caughtUp()
  expect((await capture.events()).slice(3)).toEqual([
    'user 1 update {"id":1,"name":"ONE","roles":["a","b"]}',
    'user 2 update {"id":2,"name":"TWO","roles":["b"]}',
  ])
})

test("a partition is read through its table, with the table's rights and policies", async () => {
  await using at = await open()
  const role = `${at.database.name}_r`.slice(0, 60)
  await at.psql.query(`create role ${role} login replication password 'r'; grant select on users, companies to ${role};
    create publication walhook for table users, companies with (publish_via_partition_root = true);
    grant create on database ${at.database.name} to ${role}`)
  const url = new URL(at.database.url)
  ;[url.username, url.password] = [role, 'r']
  try {
    await using capture = await startCapture(
      { ...at.database, url: url.href },
      defaultMapping,
      at.database.url,
    )
    await at.psql.query(`${loaded}; alter table users_2 enable row level security`)
    await at.arrived(1)
    await capture.caughtUp()
    expect(await named(capture)).toEqual(['user 10 new ten', 'user 11 new eleven'])
  } finally {
    await at.psql.query(`drop owned by ${role}; drop role ${role}`)
  }
})

test('an unreadable partition is reported, and sent once it can be read', async () => {
  await using at = await open()
  await using capture = await at.start()
  await capture.caughtUp()
  await at.psql.query(loaded)
  await at.psql.query('begin; lock table users_2 in access exclusive mode')
  await until(async () => (await reasonOf(at.database)).includes('lock timeout'), {
    what: 'the reason',
    timeoutMs: 30_000,
  })
  await at.psql.query('rollback')
  await at.arrived(1)
  expect(await named(capture)).toEqual(['user 10 new ten', 'user 11 new eleven'])
})

async function reasonOf({ url }: TestDatabase): Promise<string> {
  await using psql = await connect(url)
  const { rows } = await psql.query('select reason from walhook.resyncs where part_oid is not null')
  return rows[0]?.reason ?? ''
}
