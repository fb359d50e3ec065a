import { expect, test } from 'vitest'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { startCapture } from '../support/run-capture.ts'

const companies = 'create table companies (id integer primary key);'

/** What the events of the last update statements know. */
async function factsAfter(tables: string, ...changes: string[]) {
  await using database = await createTestDatabase({ hasOutbox: true })
  await using psql = await connect(database.url)
  await psql.query(companies + tables)
  await using capture = await startCapture(database)
  for (const change of changes) await psql.query(change)
  await capture.caughtUp()
  const { rows } = await psql.query(
    `select previous, changed from walhook.events where action_type = 'update' order by id`,
  )
  return rows
}

// The stream says of the partition's row that it is whole, because the table's would be: its other values are null.
test('a partition with its key as identity has no other previous values', async () => {
  const tables = (leafIdentity: string) => `
    create table users (id integer, day date, name text, primary key (id, day)) partition by range (id);
    create table users_1 partition of users for values from (0) to (10);
    alter table users replica identity full;
    alter table users_1 replica identity ${leafIdentity};`
  const insert = `insert into users values (1, '2026-01-01', 'a')`
  const change = `update users set day = '2026-01-02'`
  expect(await factsAfter(tables('default'), insert, change)).toEqual([{ previous: null, changed: null }])
  expect(await factsAfter(tables('full'), insert, change)).toEqual([
    { previous: '{"day":"2026-01-01"}', changed: ['day'] },
  ])
})

test('a replica identity of several columns has their previous values; an added column is followed', async () => {
  const users = `create table users (id integer, place text, name text, primary key (id, place));`
  expect(
    await factsAfter(
      users,
      `insert into users values (1, 'here', 'a')`,
      `update users set place = 'there', name = 'b'`,
      `update users set name = 'c'`,
      `alter table users replica identity full; alter table users add note text`,
      `update users set note = 'n'`,
      `begin; update users set name = 'd'; alter table users add more text; update users set more = 'm'; commit`,
    ),
  ).toEqual([
    { previous: '{"place":"here"}', changed: null },
    { previous: null, changed: null },
    { previous: '{"note":null}', changed: ['note'] },
    { previous: null, changed: null },
  ])
})
