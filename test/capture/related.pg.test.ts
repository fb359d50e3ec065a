import { expect, test } from 'vitest'
import type { EntityMapping, RelatedList } from '../../src/domain/mapping/mapping.ts'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { startCapture } from '../support/run-capture.ts'

const fieldsTable = { schema: 'public', name: 'user_fields' }
const custom = (part: Partial<RelatedList>): RelatedList => ({
  field: 'custom_fields',
  table: fieldsTable,
  owner: 'user_id',
  columns: ['value'],
  plain: true,
  ...part,
})
const user = (...related: RelatedList[]): EntityMapping => ({
  entityType: 'user',
  table: { schema: 'public', name: 'users' },
  key: 'id',
  fields: { include: ['id'], omit: [], rename: {} },
  related,
  sendsUnchanged: false,
})

async function open(mapping: EntityMapping, key = 'id integer primary key') {
  const database = await createTestDatabase()
  const psql = await connect(database.url)
  await psql.query(`
    create table users (id integer primary key);
    create table user_fields (${key}, user_id integer, name text, value text, at timestamptz);
    alter table user_fields replica identity full;
    insert into users values (1)`)
  const capture = await startCapture(database, [mapping])
  return {
    async step(sql: string) {
      const before = (await capture.events()).length
      await psql.query(sql)
      await capture.caughtUp()
      return (await capture.events()).slice(before)
    },
    async [Symbol.asyncDispose]() {
      await capture[Symbol.asyncDispose]()
      await psql.end()
      await database.drop()
    },
  }
}

test('custom fields as an object: of two rows with one name the last by primary key counts, none without a name', async () => {
  await using at = await open(user(custom({ key: 'name' })))
  expect(
    await at.step(
      `insert into user_fields values (3, 1, 'colour', 'red'), (1, 1, 'shirt size', 'L'), (2, 1, 'colour', 'blue'), (4, 1, null, 'x'), (5, 1, '2"', null)`,
    ),
  ).toEqual(['user 1 update {"id":1,"custom_fields":{"shirt size":"L","colour":"red","2\\"":null}}'])
  expect(await at.step('delete from user_fields')).toEqual(['user 1 update {"id":1,"custom_fields":{}}'])
  expect(await at.step('insert into users values (2)')).toEqual(['user 2 new {"id":2,"custom_fields":{}}'])
})

test('a list of objects shows its columns under other names and in other formats', async () => {
  const list = custom({
    columns: ['name', 'at'],
    plain: false,
    rename: { name: 'label' },
    format: { at: 'unix_seconds' },
  })
  await using at = await open(user(list))
  expect(await at.step(`insert into user_fields values (1, 1, 'a', 'b', '1970-01-01 00:00:07+00')`)).toEqual([
    'user 1 update {"id":1,"custom_fields":[{"label":"a","at":7}]}',
  ])
})

test('a related row that shows the same as before is no event of its owner; another order of the rows is', async () => {
  await using at = await open(user(custom({ key: 'name' })))
  await at.step(`insert into user_fields values (1, 1, 'colour', 'red'), (2, 1, 'colour', 'blue')`)
  expect(await at.step(`update user_fields set at = now()`)).toEqual([])
  expect(await at.step(`update user_fields set id = 3 where id = 1`)).toEqual([
    'user 1 update {"id":1,"custom_fields":{"colour":"red"}}',
  ])
})

test('rows without a primary key have an order all the same', async () => {
  await using at = await open(user(custom({ key: 'name' }), custom({ field: 'values' })), 'id integer')
  const shown = 'user 1 update {"id":1,"custom_fields":{"colour":"red"},"values":["blue","red"]}'
  expect(
    await at.step(`insert into user_fields values (1, 1, 'colour', 'red'), (2, 1, 'colour', 'blue')`),
  ).toEqual([shown])
  expect(
    await at.step(
      `begin; delete from user_fields where value = 'red'; insert into user_fields values (1, 1, 'colour', 'red'); commit`,
    ),
  ).toEqual([shown])
})

test('several values of one name as a list, by the order of a column; an UPDATE of that column alone is told', async () => {
  const list = custom({ key: 'name', repeats: true, order: [{ column: 'at', descends: true }] })
  await using at = await open({
    ...user(list),
    fields: { include: ['id'], omit: [], rename: {}, fixed: { source: '"crm"', tags: '[1,null]' } },
  })
  const lists = (json: string) =>
    `user 1 update {"id":1,"source":"crm","tags":[1,null],"custom_fields":${json}}`
  expect(
    await at.step(`insert into user_fields values
      (1, 1, 'phone', 'a', '2026-01-01'), (2, 1, 'phone', 'b', '2026-03-01'), (3, 1, 'phone', 'c', null),
      (4, 1, 'city', 'x', '2026-02-01'), (5, 1, 'phone', null, '2026-02-01')`),
  ).toEqual([lists('{"phone":["b",null,"a","c"],"city":["x"]}')])
  expect(await at.step(`update user_fields set at = '2026-04-01' where id = 1`)).toEqual([
    lists('{"phone":["a","b",null,"c"],"city":["x"]}'),
  ])
  expect(await at.step('delete from user_fields')).toEqual([lists('{}')])
})

test('a list of values in the order of columns, then of the primary key', async () => {
  const order = [
    { column: 'name', descends: false },
    { column: 'at', descends: true },
  ]
  await using at = await open(user(custom({ order })))
  expect(
    await at.step(`insert into user_fields values
      (9, 1, 'a', '1', '2026-01-01'), (8, 1, 'a', '2', '2026-01-01'), (7, 1, 'a', '3', '2026-02-01'), (1, 1, 'b', '4', null)`),
  ).toEqual(['user 1 update {"id":1,"custom_fields":["3","2","1","4"]}'])
})
