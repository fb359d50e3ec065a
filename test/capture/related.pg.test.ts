import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { relationLines } from '../../src/capture/check/check-tables.ts'
import { readCatalogue } from '../../src/capture/source/read-catalogue.ts'
import { openSource } from '../../src/capture/source/source.ts'
import { checkMapping } from '../../src/capture/verdict/mapping-verdict.ts'
import type { EntityMapping, RelatedList } from '../../src/domain/mapping/mapping.ts'
import { readMappingFile } from '../../src/domain/mapping/mapping-file.ts'
import { isDone, openBackfills } from '../support/backfill.ts'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { randomFrom } from '../support/random.ts'
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

const open = (mapping: EntityMapping, key = 'id integer primary key') =>
  openWith(
    `create table users (id integer primary key);
     create table user_fields (${key}, user_id integer, name text, value text, at timestamptz);
     alter table user_fields replica identity full;
     insert into users values (1)`,
    [mapping],
  )

async function openWith(schema: string, mapping: readonly EntityMapping[]) {
  const database = await createTestDatabase({ hasOutbox: true })
  const psql = await connect(database.url)
  await psql.query(schema)
  const capture = await startCapture(database, mapping)
  return {
    ...{ database, psql },
    async events() {
      await capture.caughtUp()
      return await capture.events()
    },
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

test('custom fields form an object: of two equal names the last by primary key wins, and rows without a name are skipped', async () => {
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

test('a related row with unchanged shown values is not an event of its owner; another order is', async () => {
  await using at = await open(user(custom({ key: 'name' })))
  await at.step(`insert into user_fields values (1, 1, 'colour', 'red'), (2, 1, 'colour', 'blue')`)
  expect(await at.step(`update user_fields set at = now()`)).toEqual([])
  expect(await at.step(`update user_fields set id = 3 where id = 1`)).toEqual([
    'user 1 update {"id":1,"custom_fields":{"colour":"red"}}',
  ])
})

test('rows without a primary key have a stable order', async () => {
  await using at = await open(user(custom({ key: 'name' }), custom({ field: 'values' })), 'id integer')
  const shown = (values: string) =>
    `user 1 update {"id":1,"custom_fields":{"colour":"red"},"values":[${values}]}`
  expect(
    await at.step(`insert into user_fields values (1, 1, 'colour', 'red'), (2, 1, 'colour', 'blue')`),
  ).toEqual([shown('"blue","red"')])
  expect(
    await at.step(
      `begin; delete from user_fields where value = 'red';
       insert into user_fields values (1, 1, 'colour', 'red'), (3, 1, 'colour', 'green'); commit`,
    ),
  ).toEqual([shown('"blue","green","red"')])
  expect(
    await at.step(`begin; delete from user_fields; insert into user_fields values
      (5, 1, 'colour', 'red'), (6, 1, 'colour', 'green'), (7, 1, 'colour', 'blue'); commit`),
  ).toEqual([])
})

test('several values of one name form a list ordered by a column, and an UPDATE of that column is sent', async () => {
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
  ).toEqual([lists('{"phone":["b","a","c"],"city":["x"]}')])
  expect(await at.step(`update user_fields set at = '2026-04-01' where id = 1`)).toEqual([
    lists('{"phone":["a","b","c"],"city":["x"]}'),
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

/** Payload's way: one table for the relationships of several fields, each row with the column of one of them. */
const relsTable = `create table users (id integer primary key);
  create table companies (id integer primary key);
  create table users_rels (id serial primary key, "order" integer, parent_id integer not null, path text not null,
    companies_id integer, media_id integer);
  insert into users values (1), (2);`

function readMapping(related: object, words: object = {}): readonly EntityMapping[] {
  const user = { table: 'users', fields: { include: ['id'] }, related, ...words }
  const read = readMappingFile({ entities: { user } })
  if (!read.ok) throw new Error(JSON.stringify(read.problems))
  return read.mapping
}

const companies = {
  table: 'users_rels',
  owner: 'parent_id',
  value: 'companies_id',
  order_by: 'order',
  where: { path: 'companies' },
}

test('only matching rows are listed, and only their changes are events of the owner', async () => {
  await using at = await openWith(
    `${relsTable} alter table users_rels replica identity full;`,
    readMapping({ companies }),
  )
  const lists = (id: number, json: string) => `user ${id} update {"id":${id},"companies":${json}}`
  const add = (id: number, values: string) =>
    `insert into users_rels (id, "order", parent_id, path, companies_id, media_id) values (${id}, ${values})`
  const steps: [string, string[]][] = [
    [add(1, `1, 1, 'companies', 5, null`), [lists(1, '[5]')]],
    [add(2, `1, 1, 'avatar', null, 7`), []],
    [add(3, `2, 1, 'companies', 6, null`), [lists(1, '[5,6]')]],
    ['update users_rels set media_id = 8 where id = 2', []],
    ['update users_rels set media_id = 8 where id = 1', []],
    ['update users_rels set companies_id = 9 where id = 2', []],
    [`update users_rels set path = 'companies' where id = 2`, [lists(1, '[5,9,6]')]],
    [`update users_rels set path = 'former' where id = 1`, [lists(1, '[9,6]')]],
    [`update users_rels set companies_id = null where id = 2`, [lists(1, '[6]')]],
    [`delete from users_rels where id in (1, 2)`, []],
    [add(4, `1, 1, 'companies', null, 3`), []],
    ['update users_rels set parent_id = 2 where id = 4', []],
    ['update users_rels set parent_id = 2 where id = 3', [lists(1, '[]'), lists(2, '[6]')]],
    [`update users_rels set parent_id = 1, path = 'former' where id = 3`, [lists(2, '[]')]],
    [`update users_rels set parent_id = 2, path = 'companies' where id = 3`, [lists(2, '[6]')]],
    ['insert into users values (3)', ['user 3 new {"id":3,"companies":[]}']],
    [`begin; ${add(8, `1, 3, 'avatar', null, 1`)}; delete from users_rels where id = 8; commit`, []],
    ['delete from users_rels', [lists(2, '[]')]],
  ]
  for (const [sql, told] of steps) expect([sql, await at.step(sql)]).toEqual([sql, told])
})

test('without the row before, a change of a row that may have matched is an event; inserted rows are known', async () => {
  await using at = await openWith(
    `${relsTable.replace('serial primary key', 'serial')} alter table users_rels add primary key (parent_id, id);`,
    readMapping({ companies }),
  )
  const add = (id: number, path: string) =>
    `insert into users_rels values (${id}, ${id}, 1, '${path}', ${id}, null)`
  const shown = (json: string) => [`user 1 update {"id":1,"companies":${json}}`]
  expect(await at.step(add(1, 'companies'))).toEqual(shown('[1]'))
  expect(await at.step(add(2, 'avatar'))).toEqual([])
  expect(await at.step('update users_rels set companies_id = 9 where id = 2')).toEqual(shown('[1]'))
  expect(await at.step('delete from users_rels where id = 2')).toEqual(shown('[1]'))
})

test('conditions on columns of the identity are known before, without the whole row', async () => {
  await using at = await openWith(
    `create table users (id integer primary key); insert into users values (1);
     create table links (user_id integer, kind text, n integer not null, note text, primary key (user_id, kind, n));`,
    readMapping({ links: { table: 'links', owner: 'user_id', value: 'n', where: { kind: { not: 'x' } } } }),
  )
  expect(await at.step(`insert into links values (1, 'x', 1), (1, 'x', 2)`)).toEqual([])
  expect(await at.step(`update links set note = 'a'`)).toEqual([])
  expect(await at.step(`update links set kind = 'y' where n = 1`)).toEqual([
    'user 1 update {"id":1,"links":[1]}',
  ])
  expect(await at.step(`delete from links where n = 2`)).toEqual([])
  expect(await at.step(`update links set kind = 'x' where n = 1`)).toEqual([
    'user 1 update {"id":1,"links":[]}',
  ])
})

test('where filters related rows of every form by columns of every type', async () => {
  const from = { table: 'fields', owner: 'user_id' }
  const mapping = readMapping({
    notes: {
      ...from,
      fields: ['n', 'body'],
      where: { kind: ['note', 'memo'], at: { '>=': '2026-01-01T00:00:00Z' } },
    },
    custom: { ...from, key: 'name', value: 'body', where: { deleted_at: null, n: { '<': 10 } } },
    tags: { ...from, key: 'name', value: 'body', repeated: 'list', where: { is_tag: true } },
    kept: { ...from, value: 'body', nulls: 'keep', where: { n: { not: [1, 2] } } },
  })
  await using at = await openWith(
    `create type kind as enum ('note', 'memo', 'other'); create table users (id integer primary key);
     insert into users values (1);
     create table fields (id integer primary key, user_id integer, kind kind, n numeric, name text, body text,
       at timestamptz default '2026-05-05', deleted_at timestamptz, is_tag boolean);
     alter table fields replica identity full;`,
    mapping,
  )
  expect(
    await at.step(`insert into fields values
      (1, 1, 'note', 1, 'a', 'A', default, null, true), (2, 1, 'memo', 2.0, 'a', null, default, null, true),
      (3, 1, 'other', 3, 'b', 'B', default, null, false), (4, 1, 'note', 40, 'c', 'C', '2025-12-31', now(), true),
      (5, 1, 'note', 5, 'd', null, '2025-12-31', null, null)`),
  ).toEqual([
    'user 1 update {"id":1,"notes":[{"n":1,"body":"A"},{"n":2.0,"body":null}],"custom":{"a":null,"b":"B","d":null},"tags":{"a":["A"],"c":["C"]},"kept":["B","C",null]}',
  ])
})

test('where works on an unchanged TOAST value', async () => {
  const long = 'x'.repeat(20_000)
  await using at = await openWith(
    `create table users (id integer primary key); insert into users values (1);
     create table links (id integer primary key, user_id integer, n integer, kind text);
     alter table links alter kind set storage external; alter table links replica identity full;`,
    readMapping({ links: { table: 'links', owner: 'user_id', value: 'n', where: { kind: long } } }),
  )
  expect(await at.step(`insert into links values (1, 1, 1, '${long}'), (2, 1, 2, '${long}y')`)).toEqual([
    'user 1 update {"id":1,"links":[1]}',
  ])
  expect(await at.step('update links set n = 3 where id = 2')).toEqual([])
  expect(await at.step('update links set n = 3 where id = 1')).toEqual(['user 1 update {"id":1,"links":[3]}'])
})

test('a backfill, and a new entity, show the rows that match', async () => {
  await using at = await openWith(
    `${relsTable} alter table users_rels replica identity full;
     insert into users_rels (parent_id, path, companies_id, media_id)
     values (1, 'companies', 5, null), (1, 'companies', null, 3), (1, 'avatar', 6, 3), (2, 'avatar', null, 1)`,
    readMapping({ companies }),
  )
  await using backfills = await openBackfills(at.database)
  await backfills.webhook('user.new', 'user.update')
  await backfills.is(await backfills.start(), isDone)
  expect(await at.events()).toEqual([
    'user 1 new {"id":1,"companies":[5]}',
    'user 2 new {"id":2,"companies":[]}',
  ])
})

test('if a column of where is dropped, the list is omitted and named, never sent unfiltered', async () => {
  await using at = await openWith(
    `${relsTable} alter table users_rels replica identity full;`,
    readMapping({ companies }),
  )
  await at.step(`insert into users_rels values (1, 1, 1, 'companies', 5, null), (2, 1, 1, 'avatar', 6, null)`)
  expect(await at.step(`alter table users_rels drop path; update users_rels set companies_id = 8`)).toEqual([
    'user 1 update {"id":1}',
  ])
})

const replaced = (rows: string, where = 'true') =>
  `begin; delete from users_rels where ${where}; insert into users_rels ("order", parent_id, path, companies_id) values ${rows}; commit`

test('rows deleted and inserted again are an event only if the list changed', async () => {
  await using at = await openWith(
    `${relsTable} alter table users_rels replica identity full; alter table users replica identity full;
     alter table users add note text, add name text;`,
    readMapping(
      { companies, ids: { ...companies, fields: ['id'], value: undefined, where: { path: 'ids' } } },
      { fields: { include: ['id', 'name'] } },
    ),
  )
  const lists = (json: string, name = 'null', ids = '[]') =>
    `user 1 update {"id":1,"name":${name},"companies":${json},"ids":${ids}}`
  const both = `(1, 1, 'companies', 5), (2, 1, 'companies', 6), (1, 1, 'media', null)`
  const steps: [string, string[]][] = [
    [`insert into users_rels ("order", parent_id, path, companies_id) values ${both}`, [lists('[5,6]')]],
    [replaced(both), []],
    [replaced(`(2, 1, 'companies', 6), (1, 1, 'companies', 5), (9, 1, 'media', null)`), []],
    [`${replaced(both)}; update users set note = 'a' where id = 1`, []],
    [`begin; update users set note = 'b' where id = 1; ${replaced(both).slice(7)}`, []],
    [`begin; update users set name = 'n' where id = 1; ${replaced(both).slice(7)}`, [lists('[5,6]', '"n"')]],
    [`begin; update users set name = null where id = 1; ${replaced(both).slice(7)}`, [lists('[5,6]')]],
    [replaced(`(2, 1, 'companies', 5), (1, 1, 'companies', 6)`), [lists('[6,5]')]],
    [replaced(`(2, 1, 'companies', 5), (1, 1, 'companies', 7)`), [lists('[7,5]')]],
    [replaced(`(2, 1, 'companies', 5)`), [lists('[5]')]],
    [replaced(`(2, 1, 'companies', 5), (2, 1, 'companies', 5)`), [lists('[5,5]')]],
    [replaced(`(3, 1, 'companies', 5), (4, 1, 'companies', 5)`), []],
    [
      replaced(`(3, 1, 'companies', 5), (4, 2, 'companies', 5)`),
      [lists('[5]'), 'user 2 update {"id":2,"name":null,"companies":[5],"ids":[]}'],
    ],
    [
      `begin; truncate users_rels; insert into users_rels values (99, 3, 1, 'companies', 5); commit`,
      [lists('[5]')],
    ],
    [
      `begin; insert into users_rels values (98, 0, 1, 'companies', 4); delete from users_rels where id = 98; commit`,
      [],
    ],
    [`begin; update users_rels set companies_id = 8; update users_rels set companies_id = 5; commit`, []],
    [
      replaced(`(1, 1, 'ids', null)`),
      [expect.stringMatching(/"companies":\[\],"ids":\[\{"id":\d+\}\]/) as unknown as string],
    ],
    [
      replaced(`(1, 1, 'ids', null)`),
      [expect.stringMatching(/"companies":\[\],"ids":\[\{"id":\d+\}\]/) as unknown as string],
    ],
  ]
  for (const [sql, told] of steps) expect([sql, await at.step(sql)]).toEqual([sql, told])
})

test('rows inserted again with other keys are an event, because their order may have changed', async () => {
  const { order_by: _, ...byKey } = companies
  await using at = await openWith(
    `${relsTable} alter table users_rels replica identity full;
     insert into users_rels (parent_id, path, companies_id) values (1, 'companies', 5), (1, 'companies', 6)`,
    readMapping({ companies: byKey }),
  )
  const lists = (json: string) => [`user 1 update {"id":1,"companies":${json}}`]
  expect(await at.step(replaced(`(1, 1, 'companies', 5)`, 'companies_id = 5'))).toEqual(lists('[6,5]'))
  expect(await at.step(replaced(`(1, 1, 'companies', 6), (1, 1, 'companies', 5)`))).toEqual([])
  expect(await at.step(replaced(`(1, 1, 'companies', 5), (1, 1, 'companies', 6)`))).toEqual(lists('[5,6]'))
})

test('join rows that show only their key need no complete row before; others keep their event', async () => {
  await using at = await openWith(
    `create table users (id integer primary key); insert into users values (1);
     create table links (user_id integer, n integer, note text, primary key (user_id, n));
     insert into links values (1, 1), (1, 2);`,
    readMapping({ links: { table: 'links', owner: 'user_id', value: 'n' } }),
  )
  expect(await at.step('begin; delete from links; insert into links values (1, 2), (1, 1); commit')).toEqual(
    [],
  )
  expect(
    await at.step('begin; delete from links where n = 2; insert into links values (1, 2); commit'),
  ).toEqual([])
  expect(await at.step('begin; delete from links; insert into links values (1, 2), (1, 3); commit')).toEqual([
    'user 1 update {"id":1,"links":[2,3]}',
  ])
})

test.each([
  ['links: their notes are not in the WAL', 'fields: n, note', ''],
  ['send_unchanged', 'value', 'full'],
])('an event stays: %s', async (_why, shows, identity) => {
  const fields = shows === 'value' ? { value: 'n' } : { fields: ['n', 'note'] }
  await using at = await openWith(
    `create table users (id integer primary key); insert into users values (1);
     create table links (user_id integer, n integer, note text, primary key (user_id, n));
     ${identity === '' ? '' : 'alter table links replica identity full;'} insert into links values (1, 1);`,
    readMapping(
      { links: { table: 'links', owner: 'user_id', ...fields } },
      identity === '' ? {} : { send_unchanged: true },
    ),
  )
  expect(await at.step('begin; delete from links; insert into links values (1, 1); commit')).toHaveLength(1)
})

const seed = Number(process.env.WALHOOK_SEED ?? Math.floor(Math.random() * 2 ** 31))

test.each(['full', 'default'])(
  `random join rows, replica identity %s (WALHOOK_SEED=${seed}): receivers end with the current lists`,
  async identity => {
    const { order_by: _, ...byKey } = companies
    await using at = await openWith(
      `${relsTable.replace('serial primary key', 'serial')}
       alter table users_rels add primary key (${identity === 'full' ? 'id' : 'parent_id, path, id'});
       alter table users_rels replica identity ${identity};`,
      readMapping({ companies, byKey, all: { ...byKey, nulls: 'keep', where: { path: { not: 'media' } } } }),
    )
    const random = randomFrom(seed)
    const some = (count: number) => 1 + Math.floor(random() * count)
    const pick = (...texts: string[]) => texts[some(texts.length) - 1]!
    const value = () => pick('1', '2', '2', 'null')
    const path = () => pick("'companies'", "'companies'", "'media'", "'other'")
    const row = () => `(${some(3)}, ${some(2)}, ${path()}, ${value()})`
    const columns = '"order", parent_id, path, companies_id'
    const again = (order: string) =>
      `with gone as (delete from users_rels where parent_id = ${some(2)} returning ${columns}, id)
       insert into users_rels (${columns}) select ${columns} from gone order by ${order}`
    const statement = () =>
      pick(
        again('id'),
        again('id'),
        again('companies_id desc'),
        `with gone as (delete from users_rels where id % ${1 + some(3)} = 0 returning ${columns})
         insert into users_rels (${columns}) select ${columns} from gone`,
        `insert into users_rels (${columns}) values ${row()}`,
        `insert into users_rels (${columns}) values ${row()}, ${row()}`,
        `update users_rels set companies_id = ${value()} where id % 3 = ${some(3)}`,
        `update users_rels set path = ${path()}, "order" = ${some(3)} where id % 4 = ${some(4)}`,
        `update users_rels set parent_id = ${some(2)} where id % 5 = ${some(5)}`,
        `delete from users_rels where id % 3 = ${some(3)} or id < (select max(id) - 8 from users_rels)`,
      )
    for (let round = 0; round < 12; round++) {
      for (let i = some(25); i > 0; i--)
        await at.psql.query(`begin; ${Array.from({ length: some(3) }, statement).join('; ')}; commit`)
      const knows = new Map((await at.events()).map(line => [line.split(' ')[1]!, line.split(' ')[3]!]))
      const list = (path: string, order: string) =>
        `coalesce(json_agg(companies_id order by ${order}) filter (where path ${path}), '[]')`
      const { rows } = await at.psql.query(
        `select u.id, ${list(`= 'companies' and companies_id is not null`, '"order", r.id')} as companies,
                ${list(`= 'companies' and companies_id is not null`, 'r.id')} as "byKey", ${list(`<> 'media'`, identity === 'full' ? 'r.id' : 'r.path, r.id')} as "all"
         from users u left join users_rels r on r.parent_id = u.id where u.id < 3 group by u.id order by u.id`,
      )
      for (const { id, ...lists } of rows)
        expect([
          round,
          JSON.parse(knows.get(String(id)) ?? '{"companies":[],"byKey":[],"all":[]}'),
        ]).toMatchObject([round, lists])
    }
  },
  120_000,
)

test("the guide's recipe for Payload works as written", async () => {
  const guide = await readFile(new URL('../../docs/guide/mapping.md', import.meta.url), 'utf8')
  const [, recipe] = /^### Payload\n.*?^```yaml\n(.*?)^```/ms.exec(guide)!
  const read = readMappingFile(parse(recipe!))
  if (!read.ok) throw new Error(JSON.stringify(read.problems))
  await using at = await openWith(
    `create table companies (id serial primary key, name varchar);
     create table users (id serial primary key, email varchar not null, hash varchar, salt varchar, login_attempts numeric default 0,
       lock_until timestamptz, reset_password_token varchar, name varchar, created_at timestamptz, deleted_at timestamptz,
       _status varchar default 'published');
     create table users_roles ("order" integer not null, parent_id integer not null references users on delete cascade,
       value varchar, id serial primary key);
     create table users_rels (id serial primary key, "order" integer, parent_id integer not null references users on delete cascade,
       path varchar not null, companies_id integer references companies on delete cascade, users_id integer references users on delete cascade);
     alter table users replica identity full; alter table users_roles replica identity full; alter table users_rels replica identity full;`,
    read.mapping,
  )
  const user = '"id":1,"email":"a@b.c","name":null,"created":null'
  const told = (json: string) => `user 1 update {${user},${json}}`
  expect(
    await at.step(`begin; insert into companies values (2, 'A'), (3, 'B'); insert into users (email, hash) values ('a@b.c', 'x');
      insert into users_roles values (2, 1, 'editor'), (1, 1, 'admin');
      insert into users_rels ("order", parent_id, path, companies_id, users_id)
        values (1, 1, 'companies', 3, null), (2, 1, 'companies', 2, null), (1, 1, 'manager', null, 1), (1, 1, 'previous', 2, null); commit`),
  ).toEqual([
    'company 2 new {"id":2,"name":"A"}',
    `user 1 new {${user},"roles":["admin","editor"],"companies":[3,2],"company_names":["B","A"]}`,
    'company 3 new {"id":3,"name":"B"}',
  ])
  expect(
    await at.step(
      `update users set login_attempts = 1; delete from users_rels where path in ('manager', 'previous')`,
    ),
  ).toEqual([])
  expect(await at.step(`delete from users_rels where companies_id = 3`)).toEqual([
    told('"roles":["admin","editor"],"companies":[2],"company_names":["A"]'),
  ])
})

test('check shows whether the WAL has the old values that where needs, with the SQL', async () => {
  await using database = await createTestDatabase({ hasOutbox: true })
  await using psql = await connect(database.url)
  await psql.query(relsTable)
  await using source = openSource({ url: database.url, onError() {} })
  const mapping = readMapping({ companies })
  const line = async () =>
    relationLines(await readCatalogue(source, mapping), mapping[0]!, { publication: null }).filter(
      ({ code }) => code === 'condition_before',
    )
  expect(await line()).toMatchObject([
    {
      level: 'ok',
      what: 'entity user, related companies: where',
      found: expect.stringMatching(
        /earlier values of path: .* To avoid that: alter table "public"."users_rels" replica identity full;$/,
      ),
    },
  ])
  await psql.query('alter table users_rels replica identity full')
  expect(await line()).toMatchObject([{ level: 'ok', found: expect.stringContaining('exact') }])
})

test('check and start report all wrong columns and values of where at once, each with the nearest name', async () => {
  await using database = await createTestDatabase({ hasOutbox: true })
  await using psql = await connect(database.url)
  await psql.query(relsTable)
  await using source = openSource({ url: database.url, onError() {} })
  const wrong = readMapping({
    companies: {
      ...companies,
      where: { pth: 'companies', companies_id: 'five', path: 5, id: { '<': null } },
    },
  })
  const catalogue = await readCatalogue(source, wrong)
  const problems = checkMapping(catalogue, wrong, { role: 'me', serverVersion: 180_000, publication: null })
  expect(
    problems
      .filter(({ code }) => code === 'column_missing' || code === 'condition')
      .map(({ what, found, mend }) => `${what}: ${found}. ${mend}`),
  ).toEqual([
    'entity user, related companies: column pth: "public"."users_rels" has id, order, parent_id, path, companies_id, media_id. correct the mapping: did you mean path?',
    'entity user, related companies: condition of column companies_id: "five" is not a value of its type integer. correct the mapping: write a whole number, such as 5',
    'entity user, related companies: condition of column path: 5 is not a value of its type text. correct the mapping: write a text, such as "5" in quotation marks',
    'entity user, related companies: condition of column id: nothing is less or greater than null. correct the mapping: write null, or not null',
  ])
})
