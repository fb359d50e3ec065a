import { expect, test } from 'vitest'
import { conditionLine, lastLine } from '../../src/capture/check/check-tables.ts'
import { entityShapes } from '../../src/capture/event-types/entity-shapes.ts'
import { readCatalogue } from '../../src/capture/source/read-catalogue.ts'
import { openSource } from '../../src/capture/source/source.ts'
import { checkMapping } from '../../src/capture/verdict/mapping-verdict.ts'
import type { EntityMapping } from '../../src/domain/mapping/mapping.ts'
import { readMappingFile } from '../../src/domain/mapping/mapping-file.ts'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { startCapture } from '../support/run-capture.ts'

function mappingOf(words: object): readonly EntityMapping[] {
  const read = readMappingFile({ entities: { user: { table: 'users', ...words } } })
  if (!read.ok) throw new Error(JSON.stringify(read.problems))
  return read.mapping
}

const table = `create table users (id integer primary key, name text, bio text, realm text default 'x', deleted_at timestamptz);
  alter table users alter bio set storage external;`
const full = 'alter table users replica identity full;'

async function open(schema: string, words: object) {
  const database = await createTestDatabase({ hasOutbox: true })
  const psql = await connect(database.url)
  await psql.query(schema)
  const capture = await startCapture(database, mappingOf(words))
  return {
    ...{ database, psql },
    async step(sql: string) {
      const before = (await capture.events()).length
      await psql.query(sql)
      await capture.caughtUp()
      return (await capture.events()).slice(before)
    },
    async omitted() {
      const { rows } = await psql.query('select omitted from walhook.events order by id desc limit 1')
      return rows[0].omitted
    },
    async [Symbol.asyncDispose]() {
      await capture[Symbol.asyncDispose]()
      await psql.end()
      await database.drop()
    },
  }
}

const long = 'b'.repeat(20_000)
const few = { include: ['id', 'name'] }

test('a delete has the values before its transaction, for deleted, soft-deleted and no longer matching rows', async () => {
  await using at = await open(`${table} ${full}`, {
    last: true,
    fields: { ...few, rename: { name: 'full_name' }, fixed: { source: 'crm' } },
    where: { realm: 'x' },
    deleted_when: { deleted_at: 'not null' },
  })
  const last = (id: number, name: string) =>
    `user ${id} delete {"id":${id},"full_name":"${name}","source":"crm"}`
  await at.step(`insert into users select i, 'n' || i from generate_series(1, 9) i`)
  for (const [sql, told] of [
    ['delete from users where id = 1', [last(1, 'n1')]],
    [`update users set name = 'other', deleted_at = now() where id = 2`, [last(2, 'n2')]],
    [`delete from users where id = 2`, []],
    [`update users set name = 'other', realm = 'y' where id = 3`, [last(3, 'n3')]],
    [
      `begin; update users set name = 'never seen' where id = 4; delete from users where id = 4; commit`,
      [last(4, 'n4')],
    ],
    [
      `update users set id = 50 where id = 5`,
      [last(5, 'n5'), 'user 50 new {"id":50,"full_name":"n5","source":"crm"}'],
    ],
    [`begin; insert into users values (10, 'n10'); delete from users where id = 10; commit`, []],
    [
      `begin; delete from users where id = 6; insert into users values (6, 'again'); delete from users where id = 6; commit`,
      [last(6, 'n6')],
    ],
    [
      `begin; delete from users where id = 7; insert into users values (7, 'again'); commit`,
      ['user 7 update {"id":7,"full_name":"again","source":"crm"}'],
    ],
    // Its row before had other columns than the relation that is told last.
    [
      `begin; update users set name = 'm8' where id = 8; alter table users add city text; delete from users where id = 8; commit`,
      ['user 8 delete'],
    ],
    [`delete from users where id = 9`, [last(9, 'n9')]],
  ] as const)
    expect([sql, await at.step(sql)]).toEqual([sql, told])
})

test('an unchanged TOAST value is sent, and unknown values are named', async () => {
  await using at = await open(
    `${table} ${full} create table notes (id serial primary key, user_id integer, body text);
    alter table notes replica identity full;
    alter table users add code text generated always as ('c' || id) stored`,
    {
      last: true,
      fields: { omit: ['realm', 'deleted_at'] },
      deleted_when: { deleted_at: 'not null' },
      related: { notes: { table: 'notes', owner: 'user_id', value: 'body' } },
    },
  )
  await at.step(
    `insert into users values (1, 'a', '${long}'), (2, 'b', '${long}'); insert into notes (user_id, body) values (1, 'x')`,
  )
  const told = (id: number, name: string) => `user ${id} delete {"id":${id},"name":"${name}","bio":"${long}"`
  await at.step(`update users set name = 'c'`)
  expect((await at.step('delete from users where id = 1'))[0]?.startsWith(told(1, 'c'))).toBe(true)
  expect(await at.omitted()).toContain('notes')
  const [soft] = await at.step(`update users set deleted_at = now() where id = 2`)
  expect(soft?.startsWith(told(2, 'c'))).toBe(true)
})

test('without the complete row before, or by TRUNCATE, a delete has only its id', async () => {
  await using at = await open(table, { last: true, on_truncate: 'delete' })
  await at.step(`insert into users (id, name) values (1, 'a'), (2, 'b')`)
  expect(await at.step('delete from users where id = 1')).toEqual(['user 1 delete'])
  expect(await at.step(full)).toEqual([])
  expect(await at.step('truncate users')).toEqual(['user 2 delete'])
})

test('last with a list of columns sends only those', async () => {
  await using at = await open(`${table} ${full}`, {
    last: ['name'],
    fields: { rename: { name: 'n' }, fixed: { a: 1 } },
  })
  await at.step(`insert into users (id, name) values (1, 'a')`)
  expect(await at.step('delete from users')).toEqual(['user 1 delete {"n":"a"}'])
  expect(await at.omitted()).toEqual(['id', 'bio', 'realm', 'deleted_at', 'a'])
})

test('with partitions, only complete rows have last values', async () => {
  await using at = await open(
    `create table users (id integer, name text, realm text, primary key (id, realm)) partition by list (realm);
     create table users_x partition of users for values in ('x'); create table users_y partition of users for values in ('y');
     ${full} alter table users_x replica identity full; alter table users_y replica identity full`,
    { last: true, fields: few },
  )
  await at.step(`insert into users values (1, 'a', 'x'), (2, 'b', 'y')`)
  expect(await at.step(`update users set name = 'c', realm = 'y' where id = 1`)).toEqual([
    'user 1 update {"id":1,"name":"c"}',
  ])
  expect(await at.step('delete from users where id = 1')).toEqual(['user 1 delete {"id":1,"name":"c"}'])
  await at.psql.query('alter table users_y replica identity default')
  expect(await at.step('delete from users where id = 2')).toEqual(['user 2 delete'])
})

test('check names tables whose replica identity lacks last values, and the form knows the available fields', async () => {
  await using database = await createTestDatabase()
  await using psql = await connect(database.url)
  await psql.query(table)
  await using source = openSource({ url: database.url, onError() {} })
  const mapping = mappingOf({ last: ['name', 'nme'], fields: { rename: { name: 'n' } } })
  const [user] = mapping
  const facts = { role: 'me', serverVersion: 180_000, publication: null }
  const catalogue = await readCatalogue(source, mapping)
  expect(checkMapping(catalogue, mapping, facts).map(({ what, mend }) => `${what}: ${mend}`)).toEqual([
    'entity user: column nme: correct the mapping: did you mean name?',
  ])
  const labelled = mappingOf({ label: ['n', 'name', 'bioo'], fields: { rename: { name: 'n' } } })
  expect(checkMapping(catalogue, labelled, facts).map(({ code, what, mend }) => [code, what, mend])).toEqual([
    ['label', 'entity user: label name', 'correct the mapping'],
    ['label', 'entity user: label bioo', 'correct the mapping: did you mean bio?'],
  ])
  expect(lastLine(catalogue, user!)).toEqual({
    level: 'warning',
    code: 'last_values',
    what: 'entity user, last',
    found: expect.stringContaining('only the replica identity of a deleted row'),
    mend: 'run: alter table "public"."users" replica identity full;',
  })
  expect(entityShapes(catalogue, mapping)[0]!.last).toBe(null)
  await psql.query(full)
  const now = await readCatalogue(source, mapping)
  expect([lastLine(now, user!)?.level, conditionLine(now, user!)]).toEqual(['ok', null])
  expect(entityShapes(now, mapping)[0]!.last).toEqual(['n'])
})
