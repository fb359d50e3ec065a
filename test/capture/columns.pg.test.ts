import { beforeEach, expect, test } from 'vitest'
import { sampleLines } from '../../src/capture/check/sample-columns.ts'
import { withKnownColumns } from '../../src/capture/source/columns.ts'
import { readCatalogue } from '../../src/capture/source/read-catalogue.ts'
import { openSource } from '../../src/capture/source/source.ts'
import { defaultMapping } from '../../src/domain/mapping/mapping.ts'
import { readMappingFile } from '../../src/domain/mapping/mapping-file.ts'
import { openOutbox } from '../../src/outbox/database/database.ts'
import { connect } from '../support/connect.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { keptLog } from '../support/kept-log.ts'
import { startCapture } from '../support/run-capture.ts'
import { runWalhook } from '../support/walhook-process.ts'

let database: TestDatabase
beforeEach(async () => {
  database = await createTestDatabase({ hasOutbox: true })
  await using psql = await connect(database.url)
  await psql.query('create table users (id integer primary key, name text, hash text, photo bytea)')
  await psql.query('create table companies (id integer primary key)')
})

async function query(text: string) {
  await using psql = await connect(database.url)
  return (await psql.query(text)).rows
}

const mapping = (content: object) => {
  const read = readMappingFile(content)
  if (!read.ok) throw new Error(JSON.stringify(read))
  return read.mapping
}
const ignoring = mapping({
  new_columns: 'ignore',
  entities: { user: { table: 'users' }, company: { table: 'companies', new_columns: 'send' } },
})

test('start-up logs every sent column, and each withheld one with its reason', async () => {
  const { log, of } = keptLog()
  await using _capture = await startCapture(database, defaultMapping, database.url, log)
  expect(of('capture.columns')).toMatchObject([
    { level: 'info', entity_type: 'user', table: '"public"."users"', sent: ['id', 'name'] },
    { level: 'info', entity_type: 'company', sent: ['id'] },
  ])
  expect(of('capture.columns_withheld')).toMatchObject([
    {
      level: 'warn',
      columns: { hash: 'its name looks like a credential', photo: 'it holds bytes' },
    },
  ])
  expect(of('capture.column_added')).toEqual([])
})

test('a column added by a migration follows the same rules and is logged, while walhook runs and after a stop', async () => {
  const { log, of } = keptLog()
  {
    await using capture = await startCapture(database, defaultMapping, database.url, log)
    await query('alter table users add city text, add pw_hash text')
    await query(`insert into users values (1, 'Ada', 'h', null, 'Hilversum', 'p')`)
    await capture.caughtUp()
    expect(await capture.events()).toEqual(['user 1 new {"id":1,"name":"Ada","city":"Hilversum"}'])
  }
  const added = (column: string, is_sent: boolean) =>
    expect.objectContaining({ level: 'warn', table: '"public"."users"', column, is_sent })
  expect(of('capture.column_added')).toEqual([added('city', true), added('pw_hash', false)])
  await query('alter table users add street text')
  const checked = await runWalhook(database, ['check', '--json'], {
    WALHOOK_SLOT: database.name.slice(0, 63),
  })
  expect(JSON.parse(checked.stdout)).toContainEqual({
    level: 'warning',
    code: 'columns',
    what: 'entity user, columns',
    found: expect.stringMatching(
      /^new, and sent from now on: street; sent: id, name, city, street; withheld: hash/,
    ),
    mend: expect.stringContaining('entities.user.fields.omit'),
  })
  const next = keptLog()
  await using _again = await startCapture(database, defaultMapping, database.url, next.log)
  expect(next.of('capture.column_added')).toEqual([added('street', true)])
})

test('with new_columns: ignore, a later column is sent only once the mapping names it, also after a restart', async () => {
  const { log, of } = keptLog()
  for (const id of [1, 2]) {
    await using capture = await startCapture(database, ignoring, database.url, log)
    if (id === 1) {
      await query('alter table users add city text')
      await query('alter table companies add city text')
    }
    await query(`insert into users (id, name, city) values (${id}, 'Ada', 'Hilversum')`)
    await query(`insert into companies values (${id}, 'Utrecht')`)
    await capture.caughtUp()
    expect(await capture.events()).toContain(`user ${id} new {"id":${id},"name":"Ada"}`)
    expect(await capture.events()).toContain(`company ${id} new {"id":${id},"city":"Utrecht"}`)
  }
  expect(of('capture.column_added')).toContainEqual(
    expect.objectContaining({
      column: 'city',
      is_sent: false,
      because: 'it came later, and the mapping ignores new columns',
    }),
  )
  const [user, ...others] = ignoring
  const naming = { ...user!, fields: { ...user!.fields, rename: { city: 'town' } } }
  await using capture = await startCapture(database, [naming, ...others])
  await query(`update users set name = 'Eve' where id = 1`)
  await capture.caughtUp()
  expect((await capture.events()).at(-1)).toBe('user 1 update {"id":1,"name":"Eve","town":"Hilversum"}')
})

test('with a version 2 file, a later column is sent only with include: all', async () => {
  const second = mapping({
    version: 2,
    entities: { user: { table: 'users' }, company: { table: 'companies', fields: { include: 'all' } } },
  })
  for (const id of [1, 2]) {
    await using capture = await startCapture(database, second)
    if (id === 1) await query('alter table users add city text; alter table companies add city text')
    await query(`insert into users (id, name, city) values (${id}, 'Ada', 'Hilversum')`)
    await query(`insert into companies values (${id}, 'Utrecht')`)
    await capture.caughtUp()
    expect(await capture.events()).toContain(`user ${id} new {"id":${id},"name":"Ada"}`)
    expect(await capture.events()).toContain(`company ${id} new {"id":${id},"city":"Utrecht"}`)
  }
})

test('for a table created after capture began, new_columns: ignore sends the named columns, also after a restart', async () => {
  const orders = mapping({
    version: 2,
    entities: {
      user: { table: 'users' },
      order: { table: 'orders', key: 'number', fields: { rename: { total: 'sum' } } },
      bill: { table: 'bills', fields: { include: 'all' } },
    },
  })
  const slotName = database.name.slice(0, 63)
  {
    await using _first = await startCapture(database)
  }
  await using source = openSource({ url: database.url, onError() {} })
  await using outbox = openOutbox({ url: database.url, maxConnections: 1, onError() {} })
  // As a process does that starts before the tables are there.
  await withKnownColumns(source, outbox, { slotName, mapping: orders })
  await query(`create table bills (id integer primary key, total integer);
    create table orders (number integer primary key, total integer, note text);
    alter publication walhook add table orders, bills`)
  const { log, of } = keptLog()
  for (const total of [1, 2]) {
    await using capture = await startCapture(database, orders, database.url, log)
    await query(`insert into orders values (${total}, ${total}, 'secret')`)
    await query(`insert into bills values (${total}, ${total})`)
    await capture.caughtUp()
    expect((await capture.events()).slice(-2)).toEqual([
      `order ${total} new {"number":${total},"sum":${total}}`,
      `bill ${total} new {"id":${total},"total":${total}}`,
    ])
  }
  expect(of('capture.columns_withheld')).toContainEqual(
    expect.objectContaining({
      entity_type: 'order',
      columns: { note: 'it came later, and the mapping ignores new columns' },
    }),
  )
})

test('a sample of values gives warnings about likely secrets, without showing one', async () => {
  await query(`
    alter table users add legacy text, add settings jsonb, add search tsvector;
    insert into users values (1, 'Ada', null, null, '$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW',
      '{"theme": "dark", "smtp": {"password": "hunter2"}}');
    create table usermeta (id serial primary key, user_id integer, meta_key text, meta_value text);
    alter table usermeta replica identity full;
    insert into usermeta (user_id, meta_key, meta_value) values (1, 'session_tokens', 'abc'), (1, 'nickname', 'ada')`)
  await using source = openSource({ url: database.url, onError() {} })
  const related = { field: 'meta', table: { schema: 'public', name: 'usermeta' }, owner: 'user_id' }
  const meta = { ...related, columns: ['meta_value'], plain: true, key: 'meta_key' }
  const wanted = [{ ...defaultMapping[0]!, related: [meta] }]
  const lines = await sampleLines(source, await readCatalogue(source, wanted), wanted)
  expect(lines.map(({ level, what, found }) => `${level} ${what}: ${found}`)).toEqual([
    'warning entity user, values of "public"."users".legacy: sent, although it seems to contain bcrypt hashes',
    'warning entity user, values of "public"."users".settings: sent, although it seems to contain credentials, by their names: smtp.password',
    expect.stringMatching(/^ok entity user, names in meta: withheld: session_tokens\. To choose them/),
  ])
  expect(JSON.stringify(lines)).not.toMatch(/hunter2|R9h/)
  await using capture = await startCapture(database, wanted)
  await query(`update users set name = 'Eve'`)
  await capture.caughtUp()
  expect((await capture.events())[0]).toContain('"meta":{"nickname":"ada"}}')
})
