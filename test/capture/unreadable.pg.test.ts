import { expect, test } from 'vitest'
import { defaultMapping } from '../../src/domain/mapping/mapping.ts'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { startCapture } from '../support/run-capture.ts'

const tables = `
  create table users (id integer primary key, name text, story text);
  create table notes (id integer primary key, user_id integer, word text);
  alter table users alter story set storage external;
  alter table notes replica identity full;`
const notes = {
  field: 'notes',
  table: { schema: 'public', name: 'notes' },
  owner: 'user_id',
  columns: ['word'],
  plain: true,
}
const mapping = [{ ...defaultMapping[0]!, related: [notes] }]
/** `Zoë` as a program writes it that knows no UTF-8. */
const latin1 = `convert_from('\\x5a6feb', 'SQL_ASCII')`

async function facts(url: string) {
  await using psql = await connect(url)
  const { rows } = await psql.query(
    `select action_type || ' ' || entity_id || ' ' || coalesce((body::json->'result')::text, '') as event, omitted
     from walhook.events order by id`,
  )
  return rows.map(({ event, omitted }) => [event, omitted])
}

test('in a SQL_ASCII database, values that are not UTF-8 are omitted by name, wherever they were read', async () => {
  await using source = await createTestDatabase({ encoding: 'SQL_ASCII' })
  await using outbox = await createTestDatabase({ hasOutbox: true })
  await using psql = await connect(source.url)
  await psql.query(tables)
  await using capture = await startCapture(source, mapping, outbox.url)
  await psql.query(
    `insert into users values (1, 'Zoë', repeat('é', 3000)), (2, ${latin1}, ${latin1} || repeat('x', 3000))`,
  )
  await psql.query('update users set name = id::text')
  await capture.caughtUp()
  await psql.query(`insert into notes values (1, 1, 'ë'), (2, 2, ${latin1})`)
  await capture.caughtUp()
  const story = '"story":"é…"'
  const shown = (await facts(outbox.url)).map(([event, omitted]) => [event.replace(/é+/, 'é…'), omitted])
  expect(shown).toEqual([
    [`new 1 {"id":1,"name":"Zoë",${story},"notes":[]}`, null],
    [`new 2 {"id":2,"notes":[]}`, ['name', 'story']],
    [`update 1 {"id":1,"name":"1",${story},"notes":[]}`, null],
    [`update 2 {"id":2,"name":"2","notes":[]}`, ['story']],
    [`update 1 {"id":1,"name":"1",${story},"notes":["ë"]}`, null],
    [`update 2 {"id":2,"name":"2"}`, ['story', 'notes']],
  ])
})

test('in an encoding with undefined bytes, values with such a byte are omitted by name, and other texts are unchanged', async () => {
  await using source = await createTestDatabase({ encoding: 'WIN1252' })
  await using outbox = await createTestDatabase({ hasOutbox: true })
  await using psql = await connect(source.url)
  await psql.query(tables)
  await psql.query('alter table users add "größe" text')
  await using capture = await startCapture(source, mapping, outbox.url)
  // 0x81 is no character there, and a client of another encoding can neither write nor read it.
  await psql.query(
    `insert into users values (1, 'Zoë € Ž', repeat('é', 3000), 'groß'), (2, chr(129), 'ÿ' || chr(129), 'klein')`,
  )
  await psql.query(`update users set name = 'š'`)
  await capture.caughtUp()
  await psql.query(`insert into notes values (1, 1, '€'), (2, 2, chr(157))`)
  await capture.caughtUp()
  const shown = (await facts(outbox.url)).map(([event, omitted]) => [event.replace(/é+/, 'é…'), omitted])
  expect(shown).toEqual([
    ['new 1 {"id":1,"name":"Zoë € Ž","story":"é…","größe":"groß","notes":[]}', null],
    ['new 2 {"id":2,"größe":"klein","notes":[]}', ['name', 'story']],
    ['update 1 {"id":1,"name":"š","story":"é…","größe":"groß","notes":[]}', null],
    ['update 2 {"id":2,"name":"š","größe":"klein","notes":[]}', ['story']],
    ['update 1 {"id":1,"name":"š","story":"é…","größe":"groß","notes":["€"]}', null],
  ])
  // Of a related row nothing but the table says what the user is, and that can't be read.
  await using stored = await connect(outbox.url)
  expect((await stored.query('select entity_id, reason from walhook.parked_changes')).rows).toMatchObject([
    { entity_id: '2', reason: expect.stringContaining('WIN1252') },
  ])
})

test('a subtransaction rolled back while walhook is stopped leaves no trace', async () => {
  await using source = await createTestDatabase()
  await using psql = await connect(source.url)
  await psql.query(
    `${tables} create table companies (id integer primary key); create table other (id integer)`,
  )
  {
    await using capture = await startCapture(source)
    await capture.caughtUp()
  }
  await psql.query(`begin; insert into other values (1); savepoint s; insert into other values (2); rollback`)
  await psql.query(`begin; insert into users values (7); savepoint s; insert into users values (8); rollback`)
  await psql.query(`insert into users values (1, 'a')`)
  await using capture = await startCapture(source)
  await capture.caughtUp()
  expect((await capture.events()).map(event => event.slice(0, 10))).toEqual(['user 1 new'])
})

// https://github.com/estuary/connectors/pull/5228: where a transaction that is rolled back has outgrown the decoder's memory,
// PostgreSQL 18 tells of its subtransactions that they were aborted, although it has told nothing of them.
test('walhook skips the aborted subtransactions that PostgreSQL 18 sends', async () => {
  await using source = await createTestDatabase()
  await using psql = await connect(source.url)
  await psql.query(`
    alter database ${source.name} set logical_decoding_work_mem = '64kB';
    ${tables} create table companies (id integer primary key); create table other (id integer, name text)`)
  {
    await using capture = await startCapture(source)
    await capture.caughtUp()
  }
  await using witness = await connect(source.url)
  await witness.query(`select pg_create_logical_replication_slot($1, 'pgoutput')`, [`${source.name}_w`])
  for (const table of ['other', 'users'])
    await psql.query(`
      begin;
      insert into ${table} values (-1); savepoint s; insert into ${table} values (-2); release s;
      insert into ${table} select n, repeat('x', 1000) from generate_series(1000, 1800) n;
      rollback`)
  await psql.query(`insert into users values (1, 'a')`)
  const { rows } = await witness.query(
    `select count(*) filter (where chr(get_byte(data, 0)) = 'A')::int as aborts,
            current_setting('server_version_num')::int >= 180000 as is_18
     from pg_logical_slot_get_binary_changes($1, null, null, 'proto_version', '1', 'publication_names', 'walhook')`,
    [`${source.name}_w`],
  )
  expect(rows[0].aborts).toBe(rows[0].is_18 ? 2 : 0)
  await using capture = await startCapture(source)
  await capture.caughtUp()
  expect((await capture.events()).map(event => event.slice(0, 10))).toEqual(['user 1 new'])
})
