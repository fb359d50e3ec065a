import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, expect, inject, test } from 'vitest'
import { parse } from 'yaml'
import { readMappingFile } from '../../src/domain/mapping/mapping-file.ts'
import { connect } from '../support/connect.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { startTestReceiver } from '../support/test-receiver.ts'
import { until } from '../support/wait.ts'
import { runWalhook, startWalhook } from '../support/walhook-process.ts'

const tables = `
  create schema crm;
  create table users (id integer primary key, email text, password_hash text, photo bytea, note text, legacy text, "odd: #name
    x" text);
  create table crm.companies (id uuid primary key, name text, api_key text);
  create table user_companies (user_id integer references users, company_id uuid references crm.companies, created_at timestamptz,
    primary key (user_id, company_id));
  create table user_fields (id serial primary key, user_id integer not null references users, name text, value text);
  create table notes (id serial primary key, author_id integer references users, body text, secret_token text);
  create table api_tokens (id serial primary key, user_id integer references users, value text);
  create table composite (a integer, b integer, primary key (a, b));
  insert into users (id, legacy) values (1, '$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW')`

/** A login role that owns nothing and may nothing, as a DBA makes one for a new service. */
async function createPlainRole(database: TestDatabase) {
  const role = `plain_${database.name}`.slice(0, 63)
  await using admin = await connect(database.url)
  await admin.query(`create role ${role} login password 'walhook'`)
  const url = new URL(database.url)
  url.username = role
  url.password = 'walhook'
  roles.push({ database, role })
  return { ...database, url: url.href }
}

const roles: { database: TestDatabase; role: string }[] = []
afterEach(async () => {
  for (const { database, role } of roles.splice(0)) {
    await using admin = await connect(database.url)
    await admin.query(`reassign owned by ${role} to current_user; drop owned by ${role}`)
    await admin.end()
    await database.drop()
    await using server = await connect(inject('postgres')!.url)
    await server.query(`drop role if exists ${role}`)
  }
})

async function saved(text: string): Promise<Record<string, string>> {
  const file = join(await mkdtemp(join(tmpdir(), 'walhook-map-')), 'walhook.yaml')
  await writeFile(file, text)
  return { WALHOOK_CONFIG: file }
}

test('walhook map writes a mapping that withholds suspicious columns, each with the reason', async () => {
  const database = await createTestDatabase()
  await using psql = await connect(database.url)
  await psql.query(tables)
  const { code, stdout, stderr } = await runWalhook(database, ['map'], { WALHOOK_CONFIG: '/not/there.yaml' })
  expect([code, stderr]).toEqual([0, ''])
  const file = parse(stdout)
  expect(readMappingFile(file)).toMatchObject({ ok: true })
  expect(file).toEqual({
    version: 2,
    entities: {
      user: {
        table: 'users',
        key: 'id',
        fields: { include: ['id', 'email', 'note', 'odd: #name\n    x'] },
        related: {
          companies: { table: 'user_companies', owner: 'user_id', value: 'company_id' },
          fields: { table: 'user_fields', owner: 'user_id', key: 'name', value: 'value' },
          notes: { table: 'notes', owner: 'author_id', fields: ['id', 'body'] },
        },
      },
      company: {
        table: 'crm.companies',
        key: 'id',
        label: 'name',
        fields: { include: ['id', 'name'] },
        related: { users: { table: 'user_companies', owner: 'company_id', value: 'user_id' } },
      },
    },
  })
  for (const line of [
    '# - password_hash # its name looks like a credential',
    '# - photo # it holds bytes',
    '# - legacy # it seems to contain bcrypt hashes',
    '# - api_key # its name looks like a credential',
    '# - secret_token # its name looks like a credential',
    '# api_tokens: # its name looks like a credential',
  ])
    expect(stdout).toContain(line)
  expect(stdout).not.toContain('$2b$12$')
  const same = await runWalhook(database, ['check', '--map'])
  expect(same.stdout).toBe(stdout)
})

test('the written mapping and the printed SQL deliver a change unchanged', async () => {
  const database = await createTestDatabase()
  await using psql = await connect(database.url)
  await psql.query(tables)
  const own = await createPlainRole(database)
  const mapped = await runWalhook(own, ['map'])
  expect(mapped.stdout).toContain('# No sample of "public"."users": this role may not read it')
  const env = await saved(mapped.stdout)
  const sql = await runWalhook(own, ['check', '--sql'], env)
  expect([sql.code, sql.stderr]).toEqual([0, ''])
  await psql.query(sql.stdout)
  const checked = await runWalhook(own, ['check', '--json'], env)
  expect(JSON.parse(checked.stdout).filter(({ level }: { level: string }) => level === 'error')).toEqual([])
  await using receiver = await startTestReceiver()
  await using walhook = startWalhook(own, env)
  await walhook.ready()
  await walhook.api('POST', '/api/webhooks', {
    name: 'CRM',
    url: receiver.url,
    triggers: ['user.new', 'user.update'],
  })
  await psql.query(`
    insert into users (id, email, password_hash) values (2, 'ada@example.com', 'x');
    insert into user_fields (user_id, name, value) values (2, 'size', 'L')`)
  const bodies = () => receiver.arrivals.map(({ body }) => JSON.parse(body))
  await until(() => bodies().length > 0, { what: 'the change to be delivered' })
  expect(bodies()[0]).toMatchObject({
    entity_id: 2,
    action_type: 'new',
    result: { email: 'ada@example.com', fields: { size: 'L' } },
  })
  expect(JSON.stringify(bodies())).not.toContain('password_hash')
  const again = await runWalhook(own, ['check', '--sql'], env)
  expect(again.stdout).toContain('-- Nothing is missing.')
})

test('without tables like users or companies, map lists the tables and exits with 3', async () => {
  const database = await createTestDatabase()
  await using psql = await connect(database.url)
  await psql.query('create table orders (id integer primary key)')
  const { code, stdout, stderr } = await runWalhook(database, ['map'])
  expect([code, stdout]).toEqual([
    3,
    expect.stringContaining('# Other tables that could be entities: orders'),
  ])
  expect(stderr).toContain('no table with a primary or unique key')
})

test('check refuses --map together with --sql', async () => {
  const { code, stderr } = await runWalhook(null, ['check', '--map', '--sql'])
  expect([code, stderr]).toEqual([2, expect.stringContaining('--map and --sql exclude each other')])
})

test('the SQL fixes a publication that lacks a table, tables without identity, and a list whose owner is not in its key', async () => {
  const database = await createTestDatabase()
  await using psql = await connect(database.url)
  await psql.query(`
    create table users (id integer primary key, name text);
    create table companies (id integer, name text) partition by range (id);
    create table companies_1 partition of companies for values from (0) to (10);
    create table notes (id serial primary key, user_id integer, body text);
    create publication walhook for table users with (publish = 'insert')`)
  const env = await saved(`
    entities:
      user: { table: users, related: { notes: { table: notes, owner: user_id, value: body } } }
      company: { table: companies }`)
  const { stdout } = await runWalhook(database, ['check', '--sql'], env)
  await psql.query(stdout)
  const checked = await runWalhook(database, ['check', '--json'], env)
  const errors = JSON.parse(checked.stdout).filter(({ level }: { level: string }) => level === 'error')
  expect(errors).toEqual([])
  const again = await runWalhook(database, ['check', '--sql'], env)
  expect(again.stdout).toContain('-- Nothing is missing.')
  expect(again.stdout).toContain('-- alter table "public"."users" replica identity full;')
})

test('the suggested SQL records complete old rows for conditions and last, and check is then satisfied', async () => {
  const database = await createTestDatabase()
  await using psql = await connect(database.url)
  await psql.query(`
    create table users (id integer primary key, name text, is_draft boolean, double integer generated always as (id * 2) stored);
    create table companies (id integer primary key, name text);
    create table orders (id integer primary key, state text);
    create table bills (id integer primary key);
    create publication walhook for table users, companies, orders, bills`)
  const env = await saved(`
    entities:
      user: { table: users, where: { is_draft: false } }
      company: { table: companies, last: [name] }
      order: { table: orders, deleted_when: { state: gone } }
      bill: { table: bills }`)
  const lines = async () =>
    JSON.parse((await runWalhook(database, ['check', '--json'], env)).stdout) as Record<string, string>[]
  const warned = async () =>
    (await lines())
      .filter(({ code = '', level }) => /condition_before|last_values/.test(code) && level !== 'ok')
      .map(({ what }) => what)
  expect(await warned()).toHaveLength(3)
  const { stdout } = await runWalhook(database, ['check', '--sql'], env)
  const statements = stdout.split('\n').filter(line => /^alter table .* replica identity full;$/.test(line))
  expect(statements.map(line => line.split('"')[3])).toEqual(['users', 'companies', 'orders'])
  await psql.query(stdout)
  expect(await warned()).toEqual([])
  expect((await lines()).filter(({ level }) => level === 'error')).toEqual([])
  // What the SQL has changed makes no statement of the application fail.
  await psql.query(
    `insert into users (id, is_draft) values (1, false); update users set name = 'a'; delete from users`,
  )
  expect((await runWalhook(database, ['check', '--sql'], env)).stdout).toContain('-- Nothing is missing.')
})
