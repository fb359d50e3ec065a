import { expect, test } from 'vitest'
import { readMappingFile } from '../../src/domain/mapping/mapping-file.ts'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { startCapture } from '../support/run-capture.ts'
import { until } from '../support/wait.ts'

const schema = `
  create table organisations (id integer primary key, name text, closed boolean not null default false);
  create table groups (id integer primary key, name text, organisation_id integer, hidden boolean not null default false);
  create table companies (id integer primary key, name text, country text);
  create table users (id integer primary key, name text, company_id integer);
  create table users_groups (id serial primary key, user_id integer, group_id integer, place integer);
  create index on users_groups (group_id);
  alter table users_groups replica identity full;
  insert into organisations values (1, 'North'), (2, 'South');
  insert into groups values (10, 'admins', 1), (20, 'editors', 1), (30, 'guests', 2);
  insert into companies values (5, 'Acme', 'NL'), (6, 'Best', 'BE');
  insert into users values (1, 'ann', 5), (2, 'bob', 6), (3, 'cas', null);
  insert into users_groups (user_id, group_id) values (1, 10), (1, 20), (2, 20), (3, 30);`

const membership = { table: 'users_groups', owner: 'user_id', to: 'group_id' }
const groups = { table: 'groups', through: membership, value: 'name' }
const organisations = {
  table: 'organisations',
  through: [membership, { table: 'groups', to: 'organisation_id' }],
  value: 'name',
}
const company = { table: 'companies', through: 'company_id', value: 'name' }

function mappingOf(related: object, more: object = {}) {
  const read = readMappingFile({
    entities: { user: { table: 'users', fields: { include: ['id', 'name'] }, related, ...more } },
  })
  if (!read.ok) throw new Error(JSON.stringify(read.problems))
  return read.mapping
}

async function open(related: object, options: { before?: string; more?: object } = {}) {
  const database = await createTestDatabase({ hasOutbox: true })
  const psql = await connect(database.url)
  await psql.query(schema + (options.before ?? ''))
  const capture = await startCapture(database, mappingOf(related, options.more))
  return {
    ...{ database, psql, capture },
    /** What a transaction is told as, without what all of it begins with. */
    async step(sql: string) {
      const before = (await capture.events()).length
      await psql.query(`begin; ${sql}; commit`)
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

const ann = (json: string, action = 'update') => `user 1 ${action} {"id":1,"name":"ann",${json}}`
const bob = (json: string, action = 'update') => `user 2 ${action} {"id":2,"name":"bob",${json}}`

test('two hops: a renamed group updates each member once per transaction', async () => {
  await using at = await open({ groups })
  expect(await at.step(`update groups set name = 'writers' where id = 20`)).toEqual([
    ann('"groups":["admins","writers"]'),
    bob('"groups":["writers"]'),
  ])
  expect(
    await at.step(
      `update groups set name = 'a' where id = 10; update groups set name = 'c' where id = 20; update groups set name = 'b' where id = 20;
       update users set name = 'ann' where id = 1`,
    ),
  ).toEqual([ann('"groups":["a","b"]'), bob('"groups":["b"]')])
  expect(await at.step(`insert into users_groups (user_id, group_id) values (2, 10)`)).toEqual([
    bob('"groups":["a","b"]'),
  ])
  expect(await at.step(`update users_groups set user_id = 1 where user_id = 2 and group_id = 20`)).toEqual([
    bob('"groups":["a"]'),
    ann('"groups":["a","b","b"]'),
  ])
  expect(await at.step(`delete from users_groups where user_id = 2`)).toEqual([bob('"groups":[]')])
})

test('three hops: a change of any table on the path updates the entities that it leads to', async () => {
  await using at = await open({ organisations })
  const anns = (names: string, action = 'update') => ann(`"organisations":${names}`, action)
  const bobs = (names: string) => bob(`"organisations":${names}`)
  expect(await at.step(`update organisations set name = 'N' where id = 1`)).toEqual([
    anns('["N","N"]'),
    bobs('["N"]'),
  ])
  // The middle: an UPDATE that moves a group, a rename that nobody shows, its DELETE, and its INSERT again.
  expect(await at.step(`update groups set organisation_id = 2 where id = 20`)).toEqual([
    anns('["N","South"]'),
    bobs('["South"]'),
  ])
  await at.psql.query('alter table groups replica identity full')
  expect(await at.step(`update groups set name = 'nobody shows it' where id = 20`)).toEqual([])
  expect(await at.step(`delete from groups where id = 20`)).toEqual([anns('["N"]'), bobs('[]')])
  expect(await at.step(`insert into groups values (20, 'again', 1)`)).toEqual([
    anns('["N","N"]'),
    bobs('["N"]'),
  ])
  expect(await at.step(`delete from organisations where id = 1`)).toEqual([anns('[]'), bobs('[]')])
  // Everything at once, with the user itself.
  expect(
    await at.step(
      `insert into organisations values (1, 'back'); delete from users_groups where user_id = 1 and group_id = 10;
       update users set name = 'ann' where id = 1; delete from users where id = 2; delete from users_groups where user_id = 2`,
    ),
  ).toEqual([anns('["back"]'), 'user 2 delete'])
})

test('a foreign key of the entity itself: one value, null without a target; an UPDATE of the key alone is sent', async () => {
  await using at = await open({ company }, { before: 'alter table users replica identity full;' })
  expect(await at.step(`update companies set name = 'Acme 2' where id = 5`)).toEqual([
    ann('"company":"Acme 2"'),
  ])
  expect(await at.step(`update users set company_id = 6 where id = 1`)).toEqual([ann('"company":"Best"')])
  expect(await at.step(`update companies set name = 'Acme 3' where id = 5`)).toEqual([])
  expect(await at.step(`update users set company_id = 7 where id = 1`)).toEqual([ann('"company":null')])
  expect(await at.step(`insert into companies values (7, 'Late')`)).toEqual([ann('"company":"Late"')])
  expect(await at.step(`update companies set id = 8 where id = 7`)).toEqual([ann('"company":null')])
  expect(await at.step(`insert into users values (4, 'dan', 8)`)).toEqual([
    'user 4 new {"id":4,"name":"dan","company":"Late"}',
  ])
  expect(await at.step(`update companies set country = 'FR'`)).toEqual(
    [
      ann('"company":null'),
      bob('"company":"Best"'),
      'user 4 update {"id":4,"name":"dan","company":"Late"}',
    ].slice(1),
  )
})

test('changes of unshown values are not events: where at each table, nulls, unshown columns, re-inserted rows', async () => {
  const filtered = {
    groups: {
      ...groups,
      through: { ...membership, where: { place: { not: 0 } }, order_by: { place: 'desc' } },
      where: { hidden: false },
    },
  }
  await using at = await open(filtered, { before: 'alter table groups replica identity full;' })
  expect(await at.step(`update groups set organisation_id = 2 where id = 20`)).toEqual([])
  expect(await at.step(`update groups set name = null where id = 20`)).toEqual([
    ann('"groups":["admins"]'),
    bob('"groups":[]'),
  ])
  expect(await at.step(`update groups set organisation_id = 1, hidden = true where id = 20`)).toEqual([])
  expect(await at.step(`update groups set name = 'editors' where id = 20`)).toEqual([])
  expect(await at.step(`update groups set hidden = false where id = 20`)).toEqual([
    ann('"groups":["admins","editors"]'),
    bob('"groups":["editors"]'),
  ])
  expect(await at.step(`update users_groups set place = 0 where user_id = 2`)).toEqual([bob('"groups":[]')])
  expect(await at.step(`update groups set name = 'edit' where id = 20`)).toEqual([
    ann('"groups":["admins","edit"]'),
  ])
  expect(await at.step(`update users_groups set place = group_id where user_id = 1`)).toEqual([
    ann('"groups":["edit","admins"]'),
  ])
  // An ORM that saves a form replaces its join rows.
  expect(
    await at.step(
      `delete from users_groups where user_id = 1; insert into users_groups (user_id, group_id, place) values (1, 20, 20), (1, 10, 10)`,
    ),
  ).toEqual([])
})

test('hops lead to objects of several columns, and to one object by names', async () => {
  await using at = await open({
    groups: { ...groups, value: undefined, fields: ['id', 'name'], rename: { name: 'label' } },
    first: { ...groups, one: true },
    by_name: { ...groups, key: 'name', value: 'organisation_id' },
  })
  expect(await at.step(`update users set name = 'ann' where id = 1`)).toEqual([
    ann(
      '"groups":[{"id":10,"label":"admins"},{"id":20,"label":"editors"}],"first":"admins","by_name":{"admins":1,"editors":1}',
    ),
  ])
  expect(await at.step(`delete from users_groups where user_id = 2`)).toEqual([
    bob('"groups":[],"first":null,"by_name":{}'),
  ])
})

test('a TRUNCATE of the shown table updates the entities that showed it; a column added meanwhile changes nothing', async () => {
  await using at = await open({ groups })
  expect(
    await at.step(
      `alter table groups add column later text; update groups set later = 'x', name = 'boss' where id = 10`,
    ),
  ).toEqual([ann('"groups":["boss","editors"]')])
  const before = (await at.capture.events()).length
  await at.psql.query('truncate groups')
  await until(async () => (await at.capture.events()).length === before + 3, { what: 'all three to be told' })
  expect((await at.capture.events()).slice(before)).toEqual([
    ann('"groups":[]'),
    bob('"groups":[]'),
    'user 3 update {"id":3,"name":"cas","groups":[]}',
  ])
})

test('a text column that refers to keys of another type is compared as text, at once and page by page', async () => {
  const item = { table: 'links', owner: 'user_id', to: 'item', where: { kind: 'organisations' } }
  await using at = await open(
    {
      organisations: { table: 'organisations', through: item, value: 'name' },
      tags: {
        table: 'tags',
        through: [item, { table: 'organisations', to: 'name' }],
        owner: 'code',
        value: 'label',
      },
    },
    {
      before: `create table links (id serial primary key, user_id integer, kind text, item varchar(40));
        create table tags (id serial primary key, code name, label text);
        alter table links replica identity full; alter table tags replica identity full;
        insert into tags (code, label) values ('North', 'cold');
        insert into links (user_id, kind, item) values (1, 'organisations', '1'), (1, 'users', '2'), (2, 'organisations', 'none')`,
    },
  )
  expect(await at.step(`update organisations set name = 'N' where id = 1`)).toEqual([
    ann('"organisations":["N"],"tags":[]'),
  ])
  expect(await at.step(`insert into tags (code, label) values ('N', 'north')`)).toEqual([
    ann('"organisations":["N"],"tags":["north"]'),
  ])
  await at.psql.query(`insert into users select n, 'u' from generate_series(1001, 2200) n;
    insert into links (user_id, kind, item) select n, 'organisations', '2' from generate_series(1001, 2200) n`)
  await at.capture.caughtUp()
  await at.psql.query(`update organisations set name = 'S' where id = 2`)
  const told = async () =>
    (await at.capture.events()).filter(
      event => event.includes('update') && event.includes('"organisations":["S"]'),
    )
  await until(async () => (await told()).length === 1200, { what: 'all 1,200 to be told' })
})
