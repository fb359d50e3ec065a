import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { moment, now } from '../../src/outbox/database/statement.ts'
import { breaches, breachesOfMigration, deliveryTables, sqlOf } from '../support/sql-subset.ts'

const root = join(import.meta.dirname, '..', '..')
/** What capture does, which only main has. */
const ofMain = /^source\/|^log\/append\.ts$/
/** The first migration that may meet tables on another node. */
const first = '0057'

test('every statement on the outbox is valid for a distributed table', async () => {
  const folder = join(root, 'src', 'outbox')
  const paths = (await readdir(folder, { recursive: true })).filter(
    path => path.endsWith('.ts') && !ofMain.test(path),
  )
  const files: Record<string, string> = {}
  for (const path of paths) files[path] = await readFile(join(folder, path), 'utf8')
  const all = sqlOf(files)
  expect(all.length).toBeGreaterThan(300)
  expect(all.flatMap(({ where, text }) => breaches(text).map(breach => `${where}: ${breach}`))).toEqual([])
})

test('distributed tables have no trigger, and no reference to a table of the log', async () => {
  const schema = await readFile(join(root, 'migrations', 'schema.sql'), 'utf8')
  for (const table of deliveryTables) {
    expect(schema).not.toMatch(new RegExp(`create trigger .* on walhook\\.${table} `, 'i'))
    const [definition] = schema.match(new RegExp(`^create table walhook\\.${table} [^;]*`, 'm'))!
    const referred = [...definition.matchAll(/REFERENCES walhook\.(\w+)/g)].map(([, name]) => name!)
    expect(referred.filter(name => !deliveryTables.includes(name))).toEqual([])
  }
})

test('migrations change distributed tables in a supported way', async () => {
  const names = (await readdir(join(root, 'migrations'))).filter(
    name => /^\d{4}_/.test(name) && name >= first,
  )
  expect(names.length).toBeGreaterThan(0)
  for (const name of names)
    expect([name, ...breachesOfMigration(await readFile(join(root, 'migrations', name), 'utf8'))]).toEqual([
      name,
    ])
})

test.each([
  ['select from walhook.webhooks', 'a select without columns'],
  [
    'update walhook.webhooks set disabled_at = coalesce(disabled_at, now())',
    'now() where a row is written or returned',
  ],
  [
    'update walhook.holders set alive_until = (select clock_timestamp())',
    'clock_timestamp() in a statement that changes rows',
  ],
  [
    `with moment as materialized (select clock_timestamp() as now)
     update walhook.holders set alive_until = (select now from moment) returning id`,
    'clock_timestamp() in a statement that changes rows',
  ],
  [
    `with s as materialized (select d.ctid as row from walhook.deliveries d), gone as (
       delete from walhook.deliveries d using s where d.ctid = s.row)
     insert into walhook.ended_deliveries select * from s`,
    'rows found by ctid in a statement that inserts',
  ],
  [
    `insert into walhook.attempt_heads select s.id from unnest($1) s (id)
     where not exists (select 1 from walhook.attempt_heads h where h.id = s.id) on conflict do nothing`,
    'an inserted selection that reads a table',
  ],
  [
    `with h as materialized (select * from unnest($1)) insert into walhook.incidents (kind) select kind from h`,
    'an id by default in an inserted selection',
  ],
  [
    `select pg_advisory_xact_lock(1, id) from (select id from walhook.holders order by id) h`,
    'a lock in a statement that reads a table',
  ],
  [
    `update walhook.batches b set due_at = case when s.ms > 0 then $1 + s.ms * interval '1 ms' end from s`,
    'an interval beside a column where a row is written',
  ],
  [
    'alter table walhook.events detach partition walhook.events_20260101 concurrently',
    'a day detached concurrently',
  ],
  [
    'insert into walhook.shares as s select 1 on conflict (share) do update set wait_until = now()',
    'now() where a row is written or returned',
  ],
  ['delete from walhook.batches returning (due_at - now())', 'now() where a row is written or returned'],
  [
    'delete from walhook.batches where due_at < clock_timestamp()',
    'clock_timestamp() in a statement that changes rows',
  ],
  [
    'insert into walhook.deliveries select case when true then now() end',
    'now() where a row is written or returned',
  ],
  [
    'insert into walhook.deliveries select coalesce(s.due_at, now()) from s',
    'now() where a row is written or returned',
  ],
  [
    `with w as (update walhook.streams set share = 1 returning share) select pg_notify('c', '') from w`,
    'pg_notify() in a statement that writes',
  ],
])('%s: %s', (text, breach) => {
  expect(breaches(text)).toEqual([breach])
})

test.each([
  `with ${moment} update walhook.holders set alive_until = ${now} returning id`,
  'update walhook.holders set beat = 1, alive_until = now()',
  `with s as materialized (select 1 from walhook.webhooks) insert into walhook.skips (id) overriding system value select * from s`,
  'insert into walhook.holders (alive_until) values (clock_timestamp()) returning id',
  'delete from walhook.batches where due_at < now()',
  'update walhook.webhooks set updated_at = now()',
  `select 1 from walhook.deliveries where due_at < now() order by due_at for update skip locked`,
  `select pg_notify('c', '')`,
])('%s is accepted', text => {
  expect(breaches(text)).toEqual([])
})

test('a volatile function is found in a part of a statement, in any file', () => {
  const found = sqlOf({
    'a.ts': `export const soon = (row: string) => \`greatest(now(), \${row}.until)\``,
    'b.ts': `const later = \`\${soon('s')} + 1\`\nconst text = \`update walhook.shares set share = 1 returning \${later}\``,
  })
  expect(found.map(({ where, text }) => [where, breaches(text)])).toEqual([
    ['b.ts:2', ['now() where a row is written or returned']],
  ])
})

test.each([
  ['alter table walhook.batches add column a int check (a > 0)', ['a constraint with a column']],
  ['alter table walhook.batches add column a int, add column b int', ['a second subcommand']],
  ['alter table walhook.batches add check (id > 0)', ['a constraint without a name']],
  [
    'alter table walhook.batches add column a int; alter table walhook.events add column a int;',
    ['a command beside the one that changes a placed table'],
  ],
  [
    'create trigger t after insert on walhook.shares for each row execute function walhook.f()',
    ['a trigger'],
  ],
  ['alter table walhook.batches add constraint positive check (id > 0 and share in (1, 2))', []],
  ['alter table walhook.events add column a int, add column b int; select 1', []],
])('migration %s: %s', (text, found) => {
  expect(breachesOfMigration(text)).toEqual(found)
})
