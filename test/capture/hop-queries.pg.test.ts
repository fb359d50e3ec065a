import pg from 'pg'
import { afterEach, expect, test, vi } from 'vitest'
import { readMappingFile } from '../../src/domain/mapping/mapping-file.ts'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { startCapture } from '../support/run-capture.ts'

afterEach(() => void vi.restoreAllMocks())

const membership = { table: 'members', owner: 'user_id', to: 'group_id' }

test('a batch causes one query per related table to find owners, and one per field to read it', async () => {
  await using database = await createTestDatabase({ hasOutbox: true })
  await using psql = await connect(database.url)
  await psql.query(`
    create table organisations (id integer primary key, name text);
    create table groups (id integer primary key, name text, organisation_id integer);
    create table members (id serial primary key, user_id integer, group_id integer);
    create index on members (group_id); create index on groups (organisation_id);
    create table users (id integer primary key, name text);
    alter table members replica identity full;
    insert into organisations select i, 'o' from generate_series(1, 20) i;
    insert into groups select i, 'g', 1 + i % 20 from generate_series(1, 100) i;
    insert into users select i, 'u' from generate_series(1, 300) i;
    insert into members (user_id, group_id) select i, 1 + i % 100 from generate_series(1, 300) i`)
  const read = readMappingFile({
    entities: {
      user: {
        table: 'users',
        where: { name: 'u' },
        related: {
          groups: { table: 'groups', through: membership, value: 'name' },
          organisations: {
            table: 'organisations',
            through: [membership, { table: 'groups', to: 'organisation_id' }],
            value: 'name',
          },
        },
      },
    },
  })
  if (!read.ok) throw new Error(JSON.stringify(read.problems))
  await using capture = await startCapture(database, read.mapping)
  await psql.query(
    `update groups set name = 'first' where id = 1; update organisations set name = 'first' where id = 1`,
  )
  await capture.caughtUp()
  const before = (await capture.events()).length
  const query = vi.spyOn(pg.Client.prototype, 'query')
  await psql.query(`begin; update groups set name = 'renamed'; update organisations set name = 'renamed';
    update members set group_id = 1 + group_id % 100; commit`)
  await capture.caughtUp()
  const texts = query.mock.calls.map(([asked]) =>
    typeof asked === 'string' ? asked : ((asked as { text?: string }).text ?? ''),
  )
  query.mockRestore()
  expect((await capture.events()).length - before).toBe(300)
  const finding = texts.filter(text => text.includes('cross join lateral'))
  const reading = texts.filter(
    text => /^\s*select \* from \(\s*select t0\./.test(text) || /^select t0\./.test(text),
  )
  // groups: its second table. organisations: its second, which groups are, and its third.
  expect(finding).toHaveLength(3)
  expect(reading).toHaveLength(2)
})
