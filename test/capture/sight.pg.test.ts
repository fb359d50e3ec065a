import { expect, test } from 'vitest'
import { preflight } from '../../src/capture/source/preflight.ts'
import { openSource } from '../../src/capture/source/source.ts'
import { defaultMapping, type EntityMapping } from '../../src/domain/mapping/mapping.ts'
import { openOutbox, transaction } from '../../src/outbox/database/database.ts'
import { listOpenGaps, openGap } from '../../src/outbox/source/gaps.ts'
import { beginResyncs, openResyncs } from '../../src/outbox/source/resyncs.ts'
import { connect } from '../support/connect.ts'
import { openLimitedRole } from '../support/limited-role.ts'
import { startCapture } from '../support/run-capture.ts'
import { until } from '../support/wait.ts'
import { startWalhook } from '../support/walhook-process.ts'

const [user, company] = defaultMapping
const withOrders: readonly EntityMapping[] = [
  {
    ...user!,
    related: [
      {
        field: 'orders',
        table: { schema: 'public', name: 'orders' },
        owner: 'user_id',
        columns: ['id'],
        plain: true,
      },
    ],
  },
  company!,
]
const tables = `
  create table users (id integer primary key, name text);
  create table companies (id integer primary key);
  create table orders (id integer primary key, user_id integer references users);
  alter table orders replica identity full;
  insert into users values (1, 'a'), (2, 'b'); insert into orders values (10, 1), (20, 2)`
const open = () => openLimitedRole(tables, 'users, companies, orders')

async function problemsOf(at: { database: { url: string }; slotName: string }) {
  await using source = openSource({ url: at.database.url, onError() {} })
  const names = { slotName: at.slotName, publicationName: 'walhook' }
  return (await preflight(source, { ...names, mapping: withOrders })).problems
}

test.each<[string, string]>([
  ['a table', 'alter table users enable row level security'],
  ['a related table', 'alter table orders enable row level security'],
  [
    'a policy that lets everything through, which only Postgres knows',
    'alter table users enable row level security; create policy all_of_them on users using (true)',
  ],
  [
    'a policy by a setting of the session',
    `alter table users enable row level security; create policy own on users using (name = current_setting('app.tenant'))`,
  ],
])('row level security on %s is refused, and each named fix works', async (_what, sql) => {
  await using at = await open()
  expect(await problemsOf(at)).toEqual([])
  await at.admin.query(sql)
  const [problem] = await problemsOf(at)
  expect(problem).toMatchObject({
    code: 'row_security',
    found: expect.stringContaining('row level security'),
  })
  for (const [mend, undo] of [
    [/run as a superuser: (alter role .*? bypassrls;)/, `alter role ${at.role} nobypassrls`],
    [/all rights of the owner: (.*)$/, `revoke ${await ownerOf(at)} from ${at.role}`],
  ] as const) {
    await at.admin.query(mend.exec(problem!.mend)![1]!)
    expect(await problemsOf(at)).toEqual([])
    await at.admin.query(undo)
    expect(await problemsOf(at)).toHaveLength(1)
  }
})

async function ownerOf({ admin }: Awaited<ReturnType<typeof open>>): Promise<string> {
  const { rows } = await admin.query(`select quote_ident(current_user) as name`)
  return rows[0].name
}

test("policies do not apply to a table's owner, unless they are forced", async () => {
  await using at = await open()
  await at.admin.query(`alter table users owner to ${at.role}; alter table users enable row level security`)
  expect(await problemsOf(at)).toEqual([])
  await at.admin.query('alter table users force row level security')
  const [problem] = await problemsOf(at)
  expect(problem).toMatchObject({ code: 'row_security', found: expect.stringContaining('FORCE') })
  await at.admin.query(/all rights of the owner: (.*)$/.exec(problem!.mend)![1]!)
  expect(await problemsOf(at)).toEqual([])
})

test('policies of partitions do not apply to reads of the table', async () => {
  await using at = await openLimitedRole(
    `create table users (id integer primary key, name text) partition by range (id);
     create table users_1 partition of users for values from (0) to (100);
     alter table users_1 enable row level security; alter table users_1 force row level security;
     create table companies (id integer primary key); create table orders (id integer primary key, user_id integer);
     alter table orders replica identity full; insert into users values (1, 'a')`,
    'users, companies, orders',
  )
  expect(await problemsOf(at)).toEqual([])
  await using psql = await connect(at.database.url)
  await psql.query('set row_security = off')
  expect((await psql.query('select * from users')).rows).toHaveLength(1)
})

test('row level security enabled during streaming delays events until it is fixed, and none is sent without its list', async () => {
  await using at = await open()
  await using capture = await startCapture(at.database, withOrders)
  await at.admin.query(`update users set name = 'seen' where id = 1`)
  await capture.caughtUp()
  await at.admin.query('alter table orders enable row level security')
  await at.admin.query(`update users set name = 'hidden' where id = 1`)
  await expect(capture.over).rejects.toThrow(/row-level security|row level security/)
  expect((await capture.events()).filter(line => line.includes('hidden'))).toEqual([])
  expect((await problemsOf(at))[0]).toMatchObject({ code: 'row_security' })
  await at.admin.query(`alter role ${at.role} bypassrls`)
  await using again = await startCapture(at.database, withOrders)
  await again.caughtUp()
  expect((await again.events()).at(-1)).toBe('user 1 update {"id":1,"name":"hidden","orders":[10]}')
})

test.each<[string, string, string, RegExp]>([
  [
    'row level security',
    'alter table users enable row level security',
    'alter table users disable row level security',
    /row level security.*bypassrls/,
  ],
  [
    'that of a related table',
    'alter table orders enable row level security',
    'alter table orders disable row level security',
    /row level security.*bypassrls/,
  ],
  [
    'SELECT that is revoked',
    'revoke select on users from {role}',
    'grant select on users to {role}',
    /may not read it/,
  ],
  [
    'SELECT on some columns only',
    'revoke select on users from {role}; grant select (id) on users to {role}',
    'grant select on users to {role}',
    /may not read it/,
  ],
  [
    'a schema that may not be used',
    'revoke usage on schema public from public, {role}',
    'grant usage on schema public to {role}',
    /may not read it/,
  ],
  [
    'a view that has taken the name, and shows nothing',
    `alter table users rename to people; create view users as select * from people where false; grant select on users to {role}`,
    'drop view users; alter table people rename to users',
    /a view/,
  ],
  [
    'another table that has taken the name',
    `alter table users rename to people; create table users (id integer primary key, name text); grant select on users to {role}`,
    'drop table users; alter table people rename to users',
    /publication walhook: without/,
  ],
])('a resync waits on %s, and deletes nothing', async (_what, hide, show, reason) => {
  await using at = await open()
  const sql = (text: string) => text.replaceAll('{role}', at.role)
  await using outbox = openOutbox({ url: at.database.url, maxConnections: 1, onError() {} })
  {
    await using capture = await startCapture(at.database, withOrders)
    await at.admin.query(`update users set name = name`)
    await capture.caughtUp()
    await at.admin.query(sql(hide))
    await openGap(outbox, { slotName: at.slotName, reason: 'slot moved', detail: 'x', fromLsn: 1n })
    await transaction(outbox.pool, client =>
      beginResyncs(client, { slotName: at.slotName, entityTypes: ['user'] }),
    )
    await until(
      async () => {
        const [resync] = await openResyncs(outbox, at.slotName)
        if (!resync) throw new Error('it has ended')
        return resync.reason !== null && reason.test(resync.reason)
      },
      { what: 'the resync to say why it waits' },
    )
    await at.admin.query(sql(show))
    await until(async () => (await listOpenGaps(outbox, at.slotName)).length === 0, {
      what: 'the gap to end',
    })
    const told = (await capture.events()).filter(line => line.startsWith('user'))
    expect(told.filter(line => line.endsWith('delete'))).toEqual([])
    expect(told.slice(-2)).toEqual([
      'user 1 update {"id":1,"name":"a","orders":[10]}',
      'user 2 update {"id":2,"name":"b","orders":[20]}',
    ])
  }
})

test('a view with the name of a related table does not count as an empty list', async () => {
  await using at = await open()
  await using capture = await startCapture(at.database, withOrders)
  await at.admin.query(
    `begin; alter table orders rename to all_orders; create view orders as select * from all_orders where false;
     grant select on orders to ${at.role}; update users set name = 'behind a view' where id = 1; commit`,
  )
  await expect(capture.over).rejects.toThrow(/tableoid|a view|missing/)
  expect((await capture.events()).filter(line => line.includes('"orders":[]'))).toEqual([])
})

test('a first start behind an open ALTER TABLE names its process, and continues afterwards', async () => {
  await using at = await open()
  await at.admin.query(`drop publication walhook; alter role ${at.role} superuser`)
  await at.admin.query('begin; alter table users add column note text')
  await using walhook = startWalhook({ url: at.database.url, name: at.slotName })
  await until(
    () =>
      walhook.log.some(
        ({ msg, reason }) =>
          msg === 'capture.failed' && /locked: .*pg_terminate_backend/.test(String(reason)),
      ),
    { what: 'the log to name who holds the lock' },
  )
  await at.admin.query('commit')
  await walhook.ready()
})
