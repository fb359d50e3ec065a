import { expect, inject, test } from 'vitest'
import { checkLines } from '../../src/capture/check/check.ts'
import { preflight, preflightAndTry } from '../../src/capture/source/preflight.ts'
import { openSource } from '../../src/capture/source/source.ts'
import type { CheckLine } from '../../src/domain/capture/check-line.ts'
import { defaultMapping, type EntityMapping, type RelatedList } from '../../src/domain/mapping/mapping.ts'
import { openOutbox } from '../../src/outbox/database/database.ts'
import { checkOutbox, outboxLines } from '../../src/outbox/database/inspect.ts'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { openLimitedRole } from '../support/limited-role.ts'
import { runWalhook } from '../support/walhook-process.ts'

const companies = 'create table companies (id integer primary key);'
const names = { slotName: 'tried', publicationName: 'walhook' }

async function open(sql: string, mapping: readonly EntityMapping[] = defaultMapping) {
  const database = await createTestDatabase()
  const psql = await connect(database.url)
  await psql.query(companies + sql)
  return {
    database,
    psql,
    async lines(): Promise<CheckLine[]> {
      await using source = openSource({ url: database.url, onError() {} })
      const { facts, catalogue } = await preflight(source, { ...names, mapping })
      return checkLines(facts, catalogue, { ...names, mapping, nowMs: Date.now() })
    },
    async [Symbol.asyncDispose]() {
      await psql.end()
      await database.drop()
    },
  }
}

const codeOf = (error: { code: string }) => error.code
const withoutIdentity = '55000'

test('a table whose future partitions would break UPDATEs is refused before it is published, and a warning afterwards', async () => {
  await using at = await open(`
    create table users (id integer not null, day date not null) partition by range (day);
    create table users_1 partition of users for values from ('2026-01-01') to ('2026-02-01');
    alter table users replica identity full; alter table users_1 replica identity full`)
  const future = (lines: CheckLine[]) => lines.filter(({ code }) => code === 'future_partitions')
  expect(future(await at.lines())).toEqual([
    expect.objectContaining({ level: 'error', mend: expect.stringContaining('add primary key ("day", …)') }),
  ])
  await at.psql.query(
    'create publication walhook for table users, companies with (publish_via_partition_root = true)',
  )
  expect(future(await at.lines())).toEqual([expect.objectContaining({ level: 'warning' })])
  const next = `create table users_2 partition of users for values from ('2026-02-01') to ('2026-03-01'); insert into users values (1, '2026-02-03')`
  await at.psql.query(next)
  expect(await at.psql.query('update users set id = 2').catch(codeOf)).toBe(withoutIdentity)
  await at.psql.query('drop table users_2; alter table users add primary key (day, id)')
  expect(future(await at.lines())).toEqual([])
  await at.psql.query(next)
  await at.psql.query('update users set id = 2')
})

test('a publication of a whole schema would break statements on later tables; its fix works', async ({
  skip,
}) => {
  await using at = await open('create table users (id integer primary key)')
  const made = await at.psql.query('create publication walhook for tables in schema public').catch(codeOf)
  if (made === '42601') skip('publications of schemas came with PostgreSQL 15')
  await at.psql.query('create table notes (id integer); insert into notes values (1)')
  expect(await at.psql.query('update notes set id = 2').catch(codeOf)).toBe(withoutIdentity)
  const problems = (await at.lines()).filter(({ code }) => /^publication_(schema|harms)$/.test(code))
  expect(problems.map(({ code }) => code)).toEqual(['publication_schema', 'publication_harms'])
  await at.psql.query(/Run: (.*)$/.exec(problems[1]!.mend!)![1]!)
  await at.psql.query('update notes set id = 2')
  expect((await at.lines()).filter(({ level }) => level === 'error')).toEqual([])
})

const related = (table: string, owner: string): RelatedList => ({
  field: 'list',
  table: { schema: 'public', name: table },
  owner,
  columns: ['id'],
  plain: true,
})

test.each<[string, string, string, Partial<CheckLine>]>([
  [
    'references the key',
    'create table orders (id integer primary key, owner integer references users)',
    'owner',
    { level: 'ok', found: expect.stringContaining('references the key') },
  ],
  [
    'has no foreign key',
    'create table orders (id integer primary key, owner bigint)',
    'owner',
    { level: 'ok', found: expect.stringContaining('nothing more is known') },
  ],
  [
    'references another column',
    'create table orders (id integer primary key, owner uuid references users (uuid))',
    'owner',
    { level: 'error', found: expect.stringContaining('no value can be in both') },
  ],
  [
    'references another column of the same type',
    'create table orders (id integer primary key, user_id integer references users, owner integer references users (number))',
    'owner',
    { level: 'error', mend: expect.stringMatching(/did you mean user_id\?.*number/) },
  ],
  [
    'references another table',
    'create table orders (id integer primary key, owner integer references companies)',
    'owner',
    {
      level: 'warning',
      found: expect.stringContaining('"companies" (id), not the key "public"."users" (id)'),
    },
  ],
  [
    'references what the key references',
    'alter table users add foreign key (id) references companies; create table orders (id integer primary key, owner integer references companies)',
    'owner',
    { level: 'ok' },
  ],
  [
    'is a part of a key of two',
    'create table orders (id integer primary key, t integer, owner integer, foreign key (t, owner) references users (number, id))',
    'owner',
    { level: 'ok', found: expect.stringContaining('references the key') },
  ],
])('an owner column that %s', async (_what, sql, owner, expected) => {
  const [user, company] = defaultMapping
  const mapping = [{ ...user!, related: [related('orders', owner)] }, company!]
  await using at = await open(
    `create table users (id integer primary key, uuid uuid unique, number integer unique, unique (number, id)); ${sql}; alter table orders replica identity full`,
    mapping,
  )
  const found = (await at.lines()).filter(({ code }) => code === 'relation')
  expect(found).toEqual([expect.objectContaining(expected)])
})

test('a field that contradicts a foreign key is refused before its table is published, and a warning afterwards', async () => {
  const [user, company] = defaultMapping
  await using at = await open(
    `create table users (id integer primary key, number integer unique);
     create table orders (id integer primary key, owner integer references users (number)); alter table orders replica identity full`,
    [{ ...user!, related: [related('orders', 'owner')] }, company!],
  )
  const level = async () => (await at.lines()).find(({ code }) => code === 'relation')?.level
  expect(await level()).toBe('error')
  await at.psql.query('create publication walhook for table users, companies, orders')
  expect(await level()).toBe('warning')
  await at.psql.query(
    'alter table orders drop constraint orders_owner_fkey, alter owner type uuid using null',
  )
  expect(await level()).toBe('error')
})

test('check does not wait for an open ALTER TABLE, and names its process', async () => {
  await using at = await open(
    'create table users (id integer primary key, day date) partition by range (id); create table users_1 partition of users for values from (0) to (9); create publication walhook for table users, companies with (publish_via_partition_root = true)',
  )
  await using holder = await connect(at.database.url)
  const { rows } = await holder.query('select pg_backend_pid() as pid')
  await holder.query('begin; alter table users add column note text')
  const { stdout } = await runWalhook(at.database, ['check', '--json'])
  const line = (JSON.parse(stdout) as CheckLine[]).find(({ code }) => code === 'locks')
  expect(line).toMatchObject({
    level: 'warning',
    found: expect.stringContaining('alter table users add column note text'),
    mend: expect.stringContaining(`select pg_terminate_backend(${rows[0].pid});`),
  })
})

test('check gives up on a locked catalogue, and names the lock holder', async () => {
  await using at = await open('create table users (id integer primary key)')
  await using source = openSource({ url: at.database.url, onError() {} })
  // All of its connections: Postgres may have to read the locked catalogue for a new one.
  await Promise.all(
    Array.from({ length: source.pool.options.max }, () => source.pool.query('select pg_sleep(0.1)')),
  )
  await using holder = await connect(at.database.url)
  await holder.query('begin; lock table pg_publication_rel in access exclusive mode')
  await expect(preflight(source, { ...names, mapping: defaultMapping })).rejects.toThrow(
    /locked: pg_publication_rel by process \d+ .*pg_terminate_backend/,
  )
})

test("a role that cannot read the cluster's id in SQL reads it by replication connection", async () => {
  await using at = await openLimitedRole(
    `${companies} create table users (id integer primary key)`,
    'users, companies',
  )
  await at.admin.query('revoke execute on function pg_control_system() from public')
  await using source = openSource({ url: at.database.url, onError() {} })
  const { problems, facts } = await preflight(source, { ...names, mapping: defaultMapping })
  const { rows } = await at.admin.query('select system_identifier::text as id from pg_control_system()')
  expect(problems).toEqual([])
  expect(facts).toMatchObject({ mayReadControl: false, systemIdentifier: rows[0].id })
})

test('a missing replication right is found by trying, and the fix names the group of Amazon RDS if it exists', async () => {
  await using at = await openLimitedRole(
    `${companies} create table users (id integer primary key)`,
    'users, companies',
  )
  await at.admin.query(`alter role ${at.role} noreplication`)
  await using source = openSource({ url: at.database.url, onError() {} })
  const inspect = async () => (await preflightAndTry(source, { ...names, mapping: defaultMapping })).problems
  expect(await inspect()).toEqual([
    expect.objectContaining({
      code: 'replication_role',
      mend: expect.stringContaining(`alter role "${at.role}" replication;`),
    }),
  ])
  await at.admin.query('create role rds_replication')
  try {
    const [problem] = await inspect()
    expect(problem!.mend).toBe(`run as the master user: grant rds_replication to "${at.role}";`)
    // There, membership is all that it takes; here the trial tells that it is not.
    await at.admin.query(`grant rds_replication to ${at.role}`)
    expect(await inspect()).toEqual([expect.objectContaining({ what: 'replication connection' })])
  } finally {
    await at.admin.query('drop role rds_replication')
  }
})

test('an outbox that cannot store every text, or that the role may not create, is refused with the fix', async () => {
  await using at = await openLimitedRole(
    `${companies} create table users (id integer primary key)`,
    'users, companies',
  )
  const latin = `${at.slotName}_l`.slice(0, 63)
  await at.admin.query(`create database ${latin} encoding 'LATIN1' locale 'C' template template0`)
  try {
    const url = new URL(at.database.url)
    url.pathname = `/${latin}`
    await using outbox = openOutbox({ url: url.href, maxConnections: 1, onError() {} })
    expect(await checkOutbox(outbox)).toEqual([expect.objectContaining({ code: 'outbox_encoding' })])
    const rights = async () => (await outboxLines(outbox)).find(({ code }) => code === 'outbox_rights')
    const refused = await rights()
    expect(refused).toMatchObject({
      level: 'error',
      found: expect.stringContaining("can't create its tables"),
    })
    await at.admin.query(refused!.mend!.replace('run as a superuser: ', ''))
    expect(await rights()).toMatchObject({ level: 'ok' })
    const { rows } = await outbox.pool.query(`select to_regnamespace('walhook') as schema`)
    expect(rows).toEqual([{ schema: null }])
  } finally {
    await at.admin.query(`drop database ${latin} with (force)`)
  }
})

test('check finds revoked rights and row level security on its own tables, with a fix that works', async () => {
  await using at = await openLimitedRole(
    `${companies} create table users (id integer primary key)`,
    'users, companies',
  )
  const own = `${at.slotName}_o`.slice(0, 63)
  await at.admin.query(`create database ${own} encoding 'UTF8' template template0`)
  try {
    const url = new URL(at.database.url)
    url.pathname = `/${own}`
    const asAdmin = new URL(inject('postgres')!.url)
    asAdmin.pathname = `/${own}`
    await using admin = await connect(asAdmin.href)
    await using outbox = openOutbox({ url: url.href, maxConnections: 1, onError() {} })
    await admin.query(`create schema walhook authorization ${at.role}`)
    await outbox.pool.query('create table walhook.events (id integer)')
    const refused = async () =>
      (await outboxLines(outbox)).find(({ code, level }) => code === 'outbox_rights' && level === 'error')
    expect(await refused()).toBeUndefined()
    for (const [change, found] of [
      [`revoke insert on walhook.events from ${at.role}`, 'may not read and write the tables events'],
      [
        'alter table walhook.events enable row level security, force row level security',
        'row level security hides rows of events',
      ],
    ] as const) {
      await admin.query(change)
      const line = await refused()
      expect(line).toMatchObject({ found: expect.stringContaining(found) })
      await admin.query(line!.mend!.replace(/^run as [^:]+: /, ''))
      expect(await refused()).toBeUndefined()
    }
  } finally {
    await at.admin.query(`drop database ${own} with (force)`)
  }
})
