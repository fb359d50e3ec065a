import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readMappingFile } from '../../src/domain/mapping/mapping-file.ts'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { keptLog } from '../support/kept-log.ts'
import { startCapture } from '../support/run-capture.ts'
import { runWalhook } from '../support/walhook-process.ts'

const tables = `
  create table companies (id integer primary key);
  create table people (id integer primary key, legacy integer unique, title text, note text, plain text, secret text);
  create table groups (id integer primary key, name text);
  create table members (person_id integer, group_id integer, role text, primary key (person_id, group_id));
  create table notes (id integer primary key, person_id integer, body text);
  create table tags (tenant integer, person_id integer, label text, id integer primary key);
  alter table notes replica identity full; alter table tags replica identity full`

const person = {
  table: 'people',
  fields: { rename: { title: 'full_name' }, fixed: { source: 'crm' }, omit: ['secret'] },
  related: {
    groups: {
      table: 'groups',
      through: { table: 'members', owner: 'person_id', to: 'group_id' },
      value: 'name',
    },
    notes: { table: 'notes', owner: 'person_id', fields: ['id', 'body'], rename: { body: 'text' } },
    tags: { table: 'tags', owner: 'person_id', value: 'label' },
  },
}

const mapping = (content: object) => {
  const read = readMappingFile(content)
  if (!read.ok) throw new Error(JSON.stringify(read))
  return read.mapping
}
async function fileOf(content: object) {
  const file = join(await mkdtemp(join(tmpdir(), 'walhook-mapping-')), 'walhook.yaml')
  await writeFile(file, JSON.stringify(content))
  return { WALHOOK_CONFIG: file }
}
const all = { ...person, fields: { ...person.fields, include: 'all' } }
const company = { table: 'companies' }

/** What a migration may do that knows nothing of the mapping, one after the other. */
const migrations = [
  'alter table people add full_name text',
  'alter table people add source text',
  'alter table people add groups text',
  'alter table people rename note to notes',
  'alter table people rename plain to plainer',
  'alter table people alter plainer type varchar(99)',
  'alter table people drop plainer',
  'alter table people alter id type bigint',
  'alter table members alter person_id type bigint, drop role',
  `alter table notes alter person_id type text; insert into notes values (99, '99', 'x')`,
  'alter table notes add text text, add notes text',
  'alter table people add written text generated always as (title) stored',
  `alter table people add "a""b" text, add "é\n z" text, add constructor text`,
  `create type mood as enum ('a'); alter table people add mood mood[]; alter type mood add value 'b'`,
  'create domain amount as numeric; alter table people add amount amount',
  'alter table people add manager integer unique references companies (id)',
  'alter table tags add foreign key (person_id) references people (legacy) not valid',
  'alter table tags add constraint one_label unique (tenant, label)',
  'alter table members add foreign key (group_id) references groups (id), add foreign key (group_id) references companies (id) not valid',
  'create table vip () inherits (people)',
  'create schema other; create table other.people (id text)',
  'create view everybody as select * from people',
  'alter table people enable row level security',
]

test.each([
  ['a file without version', { entities: { person, company } }],
  ['include: all', { version: 2, entities: { person: all, company } }],
])('a migration unrelated to the mapping stops no events: %s', async (_what, file) => {
  await using database = await createTestDatabase({ hasOutbox: true })
  await using psql = await connect(database.url)
  await psql.query(tables)
  await using capture = await startCapture(database, mapping(file))
  for (const [i, sql] of migrations.entries()) {
    await psql.query(sql)
    await psql.query(
      `insert into people (id, title) values (${i}, 'Ada'); insert into companies values (${i})`,
    )
    await capture.caughtUp()
    const told = (await capture.events()).slice(-2)
    expect(told, sql).toEqual([expect.stringContaining(`person ${i} new`), `company ${i} new {"id":${i}}`])
    expect(JSON.parse(told[0]!.replace(/^\S+ \S+ \S+ /, '')), sql).toMatchObject({
      full_name: 'Ada',
      source: 'crm',
      groups: [],
      notes: [],
    })
  }
})

test('a later column with the name of a renamed, fixed or related field is withheld, with a word in log and check', async () => {
  await using database = await createTestDatabase({ hasOutbox: true })
  await using psql = await connect(database.url)
  await psql.query(`${tables}; alter table people replica identity full`)
  const slot = { WALHOOK_SLOT: database.name.slice(0, 63) }
  const file = { version: 2, entities: { person: all, company } }
  const why = 'the mapping has a field of this name'
  {
    const { log, of } = keptLog()
    await using capture = await startCapture(database, mapping(file), database.url, log)
    await psql.query('alter table people add full_name text, add source text, add tags text')
    await psql.query(`insert into people (id, title, full_name, source, tags) values (1, 'a', 'b', 'c', 'd')`)
    await capture.caughtUp()
    await psql.query(`update people set full_name = 'z', source = 'z', tags = 'z'`)
    await psql.query(`update people set title = 'y'`)
    await capture.caughtUp()
    const others = '"source":"crm","groups":[],"notes":[],"tags":[]}'
    expect(await capture.events()).toEqual([
      `person 1 new {"id":1,"legacy":null,"full_name":"a","note":null,"plain":null,${others}`,
      `person 1 update {"id":1,"legacy":null,"full_name":"y","note":null,"plain":null,${others}`,
    ])
    for (const column of ['full_name', 'source', 'tags'])
      expect(of('capture.column_added')).toContainEqual(
        expect.objectContaining({ level: 'warn', column, is_sent: false, because: why }),
      )
  }
  const { log, of } = keptLog()
  await using _again = await startCapture(database, mapping(file), database.url, log)
  expect(of('capture.columns_withheld')).toMatchObject([
    { level: 'warn', entity_type: 'person', columns: { full_name: why, source: why, tags: why } },
  ])
  const { stdout } = await runWalhook(database, ['check', '--json'], { ...slot, ...(await fileOf(file)) })
  expect(JSON.parse(stdout)).toContainEqual(
    expect.objectContaining({
      what: 'entity person, columns',
      found: expect.stringContaining(`withheld: full_name (${why}), source (${why}), tags (${why})`),
    }),
  )
})

test('a field that the mapping itself names twice is refused, with both places', async () => {
  await using database = await createTestDatabase({ hasOutbox: true })
  await using psql = await connect(database.url)
  await psql.query(`${tables}; alter table people add full_name text, add source text, add notes text`)
  const { rename, fixed } = person.fields
  const twice = {
    table: 'people',
    fields: { include: ['id', 'title', 'full_name', 'source', 'notes'], rename, fixed },
    related: { ...person.related, id: person.related.tags },
  }
  const file = await fileOf({ entities: { person: twice, company } })
  const { stdout } = await runWalhook(database, ['check', '--json'], file)
  const lines = (JSON.parse(stdout) as { code: string; what: string; found: string }[])
    .filter(({ code }) => code === 'field_twice')
    .map(({ what, found }) => `${what}: ${found}`)
  expect(lines).toEqual([
    'entity person: field id: twice: column id and related id',
    'entity person: field full_name: twice: column title and column full_name',
    'entity person: field source: twice: column source and a fixed value',
    'entity person: field notes: twice: column notes and related notes',
  ])
})
