import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { connect } from '../support/connect.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { startOwnServer } from '../support/own-server.ts'
import { refusal } from '../support/refusal.ts'
import { runWalhook } from '../support/walhook-process.ts'

const tables = 'create table users (id integer primary key); create table companies (id integer primary key);'

async function open(sql: string) {
  const database = await createTestDatabase()
  await using psql = await connect(database.url)
  await psql.query(sql)
  return database
}

test('with an empty environment, every missing variable is named', async () => {
  expect(await refusal(null)).toEqual([
    'DATABASE_URL: not set. Fix: set it to the database to capture: postgres://user:password@host:5432/database',
    'WALHOOK_SECRET_KEY: not set. Fix: create one with "openssl rand -base64 32", keep it, and set it at every start',
  ])
})

test('all wrong variables are reported at once, and no secret is repeated', async () => {
  const lines = await refusal(null, {
    DATABASE_URL: 'mysql://root:hunter2@localhost/app',
    OUTBOX_DATABASE_URL: 'hunter2',
    WALHOOK_SECRET_KEY: 'hunter2',
    WALHOOK_ADMIN_TOKEN: 'hunter2',
    WALHOOK_SLOT: 'My Slot',
    WALHOOK_PUBLICATION: 'MyPub',
    WALHOOK_ROLES: 'capture,cooking',
    WALHOOK_ALLOW_TARGETS: '10.0.0.0/40',
    WALHOOK_CONFIG: '/nowhere/walhook.yaml',
    PORT: '80800',
    LOG_LEVEL: 'loud',
  })
  expect(lines.map(line => line.slice(0, line.indexOf(':')))).toEqual([
    'DATABASE_URL',
    'OUTBOX_DATABASE_URL',
    'WALHOOK_SECRET_KEY',
    'WALHOOK_ADMIN_TOKEN',
    'WALHOOK_ROLES',
    'WALHOOK_ALLOW_TARGETS',
    'PORT',
    'LOG_LEVEL',
    'WALHOOK_SLOT',
    'WALHOOK_PUBLICATION',
    'WALHOOK_CONFIG',
  ])
  expect(lines.join('\n')).not.toContain('hunter2')
})

test('each mistake of a mapping file is reported with its path', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'walhook-mapping-'))
  const file = join(folder, 'walhook.yaml')
  await writeFile(
    file,
    'entities:\n  user:\n    tabel: users\n  company:\n    table: companies\n    key: 5\n',
  )
  const database = await open(tables)
  const lines = await refusal(database, { WALHOOK_CONFIG: file })
  expect(lines.join('\n')).toContain('entities.user')
  expect(lines.join('\n')).toContain('tabel')
  expect(lines.join('\n')).toContain('entities.company.key')
  await rm(folder, { recursive: true })
})

test.each([
  ['no server at the address', 'postgres://walhook:hunter2@127.0.0.1:1/app', 'ECONNREFUSED'],
  ['no such host', 'postgres://walhook:hunter2@host.invalid/app', 'host.invalid'],
])('an unreachable database is reported once: %s', async (_what, url, found) => {
  const lines = await refusal(null, {
    DATABASE_URL: url,
    WALHOOK_SECRET_KEY: Buffer.alloc(32).toString('base64'),
  })
  expect(lines).toHaveLength(1)
  expect(lines[0]).toMatch(/^DATABASE_URL: no connection: /)
  expect(lines[0]).toContain(found)
  expect(lines[0]).not.toContain('hunter2')
})

test('a database that does not exist, and an outbox that cannot be reached, are each named', async () => {
  const database = await open(tables)
  const missing = new URL(database.url)
  missing.pathname = '/no_such_database'
  expect(await refusal(database, { DATABASE_URL: missing.href, OUTBOX_DATABASE_URL: database.url })).toEqual([
    expect.stringMatching(/^DATABASE_URL: no connection: database "no_such_database" does not exist/),
  ])
  expect(await refusal(database, { OUTBOX_DATABASE_URL: missing.href })).toEqual([
    expect.stringMatching(/^OUTBOX_DATABASE_URL: no connection: database "no_such_database" does not exist/),
  ])
})

const left = async (database: TestDatabase) => {
  await using psql = await connect(database.url)
  const { rows } = await psql.query(`
    select (select count(*)::int from pg_publication) as publications,
           (select count(*)::int from pg_replication_slots where database = current_database()) as slots,
           to_regnamespace('walhook') as schema`)
  return rows[0]
}

test.each([
  ['', ['table "public"."users": missing', 'table "public"."companies": missing']],
  [
    'create table users (id integer); create table companies (id integer primary key);',
    [/^table "public"\."users": no primary key.+alter table "public"\."users" add primary key/],
  ],
  [
    `${tables} alter table users replica identity nothing`,
    [/^table "public"\."users": its replica identity is NOTHING.+replica identity default/],
  ],
  [
    'create table users (user_id integer primary key); create table companies (id integer primary key);',
    [/^entity user: column id: "public"\."users" has user_id/],
  ],
  [
    'create table people (id integer); create view users as select * from people; create table companies (id integer primary key);',
    ['table "public"."users": a view or foreign table'],
  ],
  [
    `${tables} create publication walhook for all tables`,
    [/^publication walhook: FOR ALL TABLES.+drop publication walhook; create publication walhook for table/],
  ],
  [
    `${tables} create publication walhook for table users with (publish = 'insert')`,
    [/does not publish all.+set \(publish/, /without "public"\."companies".+add table "public"\."companies"/],
  ],
  [
    `${tables} create publication walhook for table users (id), companies where (id > 5)`,
    [/"public"\."users": a column list/, /"public"\."companies": a row filter/],
  ],
])('an unsafe source is refused, and nothing is created in it: %j', async (sql, expected) => {
  const database = await open(sql)
  const before = await left(database)
  const lines = await refusal(database)
  for (const part of expected)
    expect(lines).toContainEqual(
      typeof part === 'string' ? expect.stringContaining(part) : expect.stringMatching(part),
    )
  expect(await left(database)).toEqual(before)
})

test('a server without logical replication or a free slot is a problem with its fix', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'walhook-refusal-'))
  for (const [settings, expected] of [
    [
      { wal_level: 'replica' },
      `wal_level: replica. Fix: run: alter system set wal_level = 'logical';  then restart PostgreSQL`,
    ],
    [{ max_replication_slots: '1' }, 'max_replication_slots: 1, all in use'],
  ] as const) {
    const server = await startOwnServer(dataDir, settings)
    try {
      await using psql = await connect(server.url)
      await psql.query('create table if not exists users (id integer primary key)')
      await psql.query('create table if not exists companies (id integer primary key)')
      if ('max_replication_slots' in settings)
        await psql.query(`select pg_create_physical_replication_slot('somebody_else')`)
      const lines = await refusal(null, {
        DATABASE_URL: server.url,
        WALHOOK_SECRET_KEY: Buffer.alloc(32).toString('base64'),
      })
      expect(lines).toEqual([expect.stringContaining(expected)])
    } finally {
      await server.stop()
    }
  }
  await rm(dataDir, { recursive: true, force: true })
})

test('a taken port is named', async () => {
  const database = await open(tables)
  await runWalhook(database, ['migrate'])
  const other = createServer()
  await new Promise<void>(resolve => other.listen(0, '127.0.0.1', resolve))
  const { port } = other.address() as { port: number }
  expect(await refusal(database, { PORT: String(port) })).toEqual([
    `PORT: another program listens on 127.0.0.1, port ${port}. Fix: set PORT to a free port, or to 0 for any free one`,
  ])
  other.close()
  expect(await left(database)).toMatchObject({ publications: 0, slots: 0 })
})

test('a schema of a newer walhook is refused, and nothing is created in the source', async () => {
  const database = await open(tables)
  expect(await runWalhook(database, ['migrate'])).toMatchObject({ code: 0 })
  await using psql = await connect(database.url)
  await psql.query(`insert into walhook.migrations values ('9999_from_the_future', now())`)
  expect(await refusal(database)).toEqual([
    'schema walhook: created by a newer walhook (it has 9999_from_the_future). Fix: start that version, or a newer one',
  ])
  expect(await left(database)).toEqual({ publications: 0, slots: 0, schema: 'walhook' })
})

test.each([
  [['cook'], 2, 'walhook: unknown command "cook"'],
  [['token'], 2, 'walhook: token takes one NAME'],
  [['listen', '--port', '70000'], 2, 'walhook: --port "70000" is not a port'],
  [['listen', '--status', '99'], 2, 'walhook: --status "99" is not from 200 to 599'],
  [['listen', '--colour', 'red'], 2, "walhook: Unknown option '--colour'"],
  [['serve', 'now'], 2, "walhook: Unexpected argument 'now'"],
])('the command line %j exits with %d and a reason', async (args, status, message) => {
  const { code, stderr } = await runWalhook(null, args)
  expect(stderr).toContain(message)
  expect(stderr).not.toMatch(/^\s+at /m)
  expect(code).toBe(status)
})

test.each([
  ['forget --entity user --id 7 --id 8', '--id is given more than once'],
  ['token x --role viewer --role admin', '--role is given more than once'],
  ['backfill --entity user --entity company', '--entity is given more than once'],
  ['check --json --json', '--json is given more than once'],
])('walhook %s is refused as ambiguous', async (line, problem) => {
  const { code, stderr } = await runWalhook(null, line.split(' '))
  expect({ code, first: stderr.split('\n')[0] }).toEqual({ code: 2, first: `walhook: ${problem}` })
})

test('forget reports an unknown entity type, and an entity without stored data', async () => {
  const database = await open(tables)
  expect(await runWalhook(database, ['migrate'])).toMatchObject({ code: 0 })
  const forget = (entity: string) => runWalhook(database, ['forget', '--entity', entity, '--id', '007'])
  const misspelt = await forget('usr')
  expect(misspelt.code).toBe(2)
  expect(misspelt.stderr).toContain(
    'The mapping has no entity "usr". Entities: user, company. Did you mean user?',
  )
  const none = await forget('user')
  expect(none).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('nothing is stored about user "007"'),
  })
})
