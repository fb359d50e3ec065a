import { expect, test } from 'vitest'
import { defaultMapping } from '../../src/domain/mapping/mapping.ts'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { startCapture } from '../support/run-capture.ts'

async function open(tables: string) {
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

/** Rows that are too large with their key in them: Postgres keeps it out of line. */
const withLargeKey = (more: string) => `
  create table users (id text, tenant integer not null default 1, pad text, name text, ${more});
  alter table users alter id set storage external, alter pad set storage plain;
  create table companies (id integer primary key)`
const key = 'k'.repeat(920)
const pad = 'p'.repeat(1_500)
const short = (event: string) => event.replaceAll(key, 'K').replaceAll(pad, 'P')

test.each([
  ['the primary key', 'primary key (id)'],
  ['a part of the primary key', 'primary key (tenant, id)'],
  ['a part of another identity', 'unique (tenant, id)'],
])('an UPDATE beside an out-of-line key, as %s, is an update', async (_what, constraint) => {
  await using at = await open(withLargeKey(constraint))
  if (constraint.startsWith('unique'))
    await at.psql.query(
      'alter table users alter id set not null; alter table users replica identity using index users_tenant_id_key',
    )
  await using capture = await startCapture(at.database)
  await at.psql.query(`insert into users values ($1, 1, $2, 'a')`, [key, pad])
  await at.psql.query(`update users set name = 'b'`)
  await at.psql.query(`begin; update users set name = 'c'; update users set name = 'd'; commit`)
  await at.psql.query(`update users set id = id || 'x'`)
  await at.psql.query('delete from users')
  await capture.caughtUp()
  const row = (name: string, id = 'K') => `{"id":"${id}","tenant":1,"pad":"P","name":"${name}"}`
  expect((await capture.events()).map(short)).toEqual([
    `user "K" new ${row('a')}`,
    `user "K" update ${row('b')}`,
    `user "K" update ${row('d')}`,
    'user "K" delete',
    `user "Kx" new ${row('d', 'Kx')}`,
    'user "Kx" delete',
  ])
})

test('an owner with an out-of-line key is updated by its related rows', async () => {
  await using at = await open(`
    create table users (id text primary key);
    create table notes (user_id text, n integer, pad text, word text, primary key (user_id, n));
    alter table notes alter user_id set storage external, alter pad set storage plain`)
  const notes = {
    field: 'notes',
    table: { schema: 'public', name: 'notes' },
    owner: 'user_id',
    columns: ['word'],
  }
  await using capture = await startCapture(at.database, [
    { ...defaultMapping[0]!, related: [{ ...notes, plain: true }] },
  ])
  await at.psql.query('insert into users values ($1)', [key])
  await at.psql.query(`insert into notes values ($1, 1, $2, 'a')`, [key, pad])
  await at.psql.query(`update notes set word = 'b'`)
  await at.psql.query('delete from notes')
  await capture.caughtUp()
  const events = (await capture.events()).map(short)
  expect(events.map(event => event.split(' ').slice(0, 3).join(' '))).toEqual([
    'user "K" new',
    'user "K" update',
    'user "K" update',
    'user "K" update',
  ])
  expect(events.at(-1)).toMatch(/"notes":\[\]/)
})

const deferrable = `
  create table users (id integer primary key deferrable initially deferred, name text);
  alter table users replica identity full;
  create table companies (id integer primary key)`

test('keys exchanged in one statement lose no update', async () => {
  await using at = await open(deferrable)
  await at.psql.query(`insert into users values (1, 'a'), (2, 'b'), (3, 'c')`)
  await using capture = await startCapture(at.database)
  await at.psql.query('update users set id = 3 - id where id < 3')
  await at.psql.query('update users set id = id + 1')
  await at.psql.query('begin; update users set id = 6 - id; delete from users where id = 4; commit')
  await capture.caughtUp()
  const events = await capture.events()
  expect(events.slice(0, 2).toSorted()).toEqual([
    'user 1 update {"id":1,"name":"b"}',
    'user 2 update {"id":2,"name":"a"}',
  ])
  expect(events.slice(2, 6).toSorted()).toEqual([
    'user 1 delete',
    'user 2 update {"id":2,"name":"b"}',
    'user 3 update {"id":3,"name":"a"}',
    'user 4 new {"id":4,"name":"c"}',
  ])
  expect(events.slice(6).toSorted()).toEqual(['user 2 update {"id":2,"name":"c"}', 'user 4 delete'])
})

test('keys exchanged in a chunked transaction end with the right rows', async () => {
  const rows = 12_000
  await using at = await open(deferrable)
  await at.psql.query(`insert into users select n, 'row ' || n from generate_series(1, ${rows}) n`)
  await using capture = await startCapture(at.database)
  await at.psql.query(`update users set id = ${rows + 1} - id`)
  await capture.caughtUp()
  const last = new Map((await capture.events()).map(event => [Number(event.split(' ')[1]), event]))
  expect(last.size).toBe(rows)
  for (const [id, event] of last)
    expect(event.replace(' new ', ' update ')).toBe(
      `user ${id} update {"id":${id},"name":"row ${rows + 1 - id}"}`,
    )
})
