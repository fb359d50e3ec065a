import { expect, test } from 'vitest'
import { defaultMapping, type EntityMapping } from '../../src/domain/mapping/mapping.ts'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { startCapture } from '../support/run-capture.ts'

const user = defaultMapping[0]!
const notes = {
  field: 'notes',
  table: { schema: 'public', name: 'notes' },
  owner: 'user_id',
  columns: ['word'],
  plain: true,
}
const omitting = (...omit: string[]): EntityMapping => ({ ...user, fields: { ...user.fields, omit } })

/**
 * Captures, stops, lets statements be run whose changes are unread at the next start, and captures again with another
 * mapping, or with the same. Returns what was told by then.
 */
async function told(
  tables: string,
  statements: readonly string[],
  mappings: readonly [before: readonly EntityMapping[], after?: readonly EntityMapping[]] = [[user]],
) {
  await using database = await createTestDatabase({ hasOutbox: true })
  await using psql = await connect(database.url)
  await psql.query(tables)
  const [before, after = before] = mappings
  {
    await using capture = await startCapture(database, before)
    await capture.caughtUp()
  }
  for (const statement of statements) await psql.query(statement)
  await using capture = await startCapture(database, after)
  await capture.caughtUp()
  return await capture.events()
}

const users = 'create table users (id integer primary key, name text)'

test('a key renamed and renamed back is recognised in between', async () => {
  expect(
    await told(users, [
      'alter table users rename id to uid',
      `insert into users values (1, 'a')`,
      `update users set name = 'b'`,
      'alter table users rename uid to id',
      `update users set name = 'c'`,
    ]),
  ).toEqual([
    'user 1 new {"id":1,"name":"a"}',
    'user 1 update {"id":1,"name":"b"}',
    'user 1 update {"id":1,"name":"c"}',
  ])
})

test.each([
  ['by its place', users],
  [
    'as the identity, where columns were dropped',
    `create table users (x text, id integer primary key, name text);
     alter table users drop x`,
  ],
  ['by its number, with a whole old row', `${users}; alter table users replica identity full`],
])('a renamed key is recognised in older WAL: %s', async (_how, tables) => {
  expect(
    await told(
      tables,
      [
        `insert into users values (1, 'a')`,
        `update users set name = 'b'`,
        'alter table users rename id to uid',
        'delete from users',
      ],
      [[user], [{ ...user, key: 'uid' }]],
    ),
  ).toEqual(['user 1 new {"uid":1,"name":"a"}', 'user 1 update {"uid":1,"name":"b"}', 'user 1 delete'])
})

const withNote = `create table users (id integer primary key, note text, name text, dropped text);
  alter table users drop dropped`
const written = `insert into users (id, note, name) values (1, 'hidden', 'a')`

test.each<[string, string[], EntityMapping, string]>([
  ['was dropped', ['alter table users drop note'], omitting('note'), '{"id":1,"name":"a"}'],
  [
    'was dropped, and is no more in the mapping',
    ['alter table users drop note'],
    user,
    '{"id":1,"name":"a"}',
  ],
  ['has another name', ['alter table users rename note to more'], omitting('more'), '{"id":1,"name":"a"}'],
  [
    'has another name, after one in between',
    [
      'alter table users rename note to x',
      `update users set x = 'hidden, too'`,
      'alter table users rename x to more',
    ],
    omitting('more'),
    '{"id":1,"name":"a"}',
  ],
  [
    'has exchanged its name with another',
    [
      'alter table users rename note to x; alter table users rename name to note; alter table users rename x to name',
    ],
    omitting('name'),
    '{"id":1}',
  ],
  [
    'has another name, and its own is that of a new one',
    ['alter table users rename note to more; alter table users add note text'],
    omitting('more'),
    '{"id":1,"name":"a"}',
  ],
  [
    'has another name, and its own is that of a new one, and others are gone',
    ['alter table users rename note to more; alter table users drop name, add note text'],
    omitting('more'),
    '{"id":1,"name":"a"}',
  ],
])('an omitted column is not sent from older changes after it %s', async (_what, ddl, after, row) => {
  const events = await told(withNote, [written, ...ddl], [[omitting('note')], [after]])
  expect(events.join()).not.toContain('hidden')
  expect(events[0]).toBe(`user 1 new ${row}`)
})

test('a column that looks like a credential is withheld under its earlier names', async () => {
  const events = await told(users.replace('name text', 'api_token text, name text'), [
    `insert into users values (1, 'hidden', 'a')`,
    'alter table users rename api_token to more',
    `alter table users add password text`,
    `insert into users values (2, 'b', 'b', 'hidden')`,
  ])
  expect(events.join()).not.toContain('hidden')
})

test('columns that swapped names are sent under their current names', async () => {
  expect(
    await told(`create table users (id integer primary key, a text, b text)`, [
      `insert into users values (1, 'first', 'second')`,
      'alter table users rename a to x; alter table users rename b to a; alter table users rename x to b',
      `insert into users values (2, 'first', 'second')`,
    ]),
  ).toEqual(['user 1 new {"id":1,"b":"first","a":"second"}', 'user 2 new {"id":2,"b":"first","a":"second"}'])
})

const linked: EntityMapping = { ...user, related: [notes] }
const withNotes = `${users}; create table notes (id integer primary key, user_id integer, word text);
  alter table notes replica identity full`

test('a dropped related table removes its list, and the entity continues', async () => {
  expect(
    await told(
      withNotes,
      [
        `insert into users values (1, 'a')`,
        `insert into notes values (1, 1, 'w')`,
        'drop table notes',
        `update users set name = 'b'`,
      ],
      [[linked]],
    ),
  ).toEqual([
    'user 1 new {"id":1,"name":"a"}',
    'user 1 update {"id":1,"name":"b"}',
    'user 1 update {"id":1,"name":"b"}',
  ])
})

test.each([
  ['the owner', 'alter table notes drop user_id', 'user 1 update {"id":1,"name":"b"}'],
  ['what the list shows', 'alter table notes drop word', 'user 1 update {"id":1,"name":"b"}'],
])('a dropped related column removes its list: %s', async (_what, ddl, last) => {
  const events = await told(
    withNotes,
    [
      `insert into users values (1, 'a')`,
      `insert into notes values (1, 1, 'w')`,
      ddl,
      `update users set name = 'b'`,
    ],
    [[linked]],
  )
  expect(events.at(-1)).toBe(last)
})

test('a renamed owner column is recognised in older WAL', async () => {
  const after = { ...user, related: [{ ...notes, owner: 'owner_id' }] }
  const events = await told(
    withNotes,
    [
      `insert into users values (1, 'a')`,
      `insert into notes values (1, 1, 'w')`,
      'alter table notes rename user_id to owner_id',
    ],
    [[linked], [after]],
  )
  expect(events).toEqual([
    'user 1 new {"id":1,"name":"a","notes":["w"]}',
    'user 1 update {"id":1,"name":"a","notes":["w"]}',
  ])
})

test('a dropped mapped table removes its entity, and the others continue', async () => {
  expect(
    await told(
      `${users}; create table companies (id integer primary key, name text)`,
      [
        `insert into companies values (1, 'c')`,
        `insert into users values (1, 'a')`,
        'drop table companies',
        `update users set name = 'b'`,
      ],
      [defaultMapping],
    ),
  ).toEqual([
    'company 1 new {"id":1,"name":"c"}',
    'user 1 new {"id":1,"name":"a"}',
    'user 1 update {"id":1,"name":"b"}',
  ])
})

test('a key keeps the JSON type that it had when the change was made', async () => {
  expect(
    await told(users, [
      `insert into users values (1, 'a')`,
      'alter table users alter id type text',
      `update users set name = 'b'`,
      `insert into users values ('x', 'c')`,
      'alter table users alter id type integer using 7 + length(id) + length(name) + ascii(id)',
    ]),
  ).toEqual([
    'user 1 new {"id":1,"name":"a"}',
    'user "1" update {"id":"1","name":"b"}',
    'user "x" new {"id":"x","name":"c"}',
  ])
})

test('a value of a type that was dropped and created again is written as the new type', async () => {
  expect(
    await told(`create domain amount as integer; create table users (id integer primary key, n amount)`, [
      'insert into users values (1, 7)',
      'alter table users alter n type integer; drop domain amount; create domain amount as integer; alter table users alter n type amount',
    ]),
  ).toEqual(['user 1 new {"id":1,"n":7}'])
})
