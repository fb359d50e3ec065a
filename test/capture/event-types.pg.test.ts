import { expect, test } from 'vitest'
import { parse } from 'yaml'
import type { JsonSchema } from '../../src/domain/event-types/definitions.ts'
import { triggerSchema } from '../../src/domain/event-types/event-schema.ts'
import { shownFields } from '../../src/domain/event-types/shown-fields.ts'
import { readMappingFile } from '../../src/domain/mapping/mapping-file.ts'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { compileSchema, readShapes, refusedEvents } from '../support/event-schemas.ts'
import { asFormatted, everyType, rowsOfEveryType, withBytes } from '../support/every-type.ts'
import { startCapture } from '../support/run-capture.ts'

test('the schemas accept every value of every type in every format, and each previous value', async () => {
  await using database = await createTestDatabase({ hasOutbox: true })
  await using psql = await connect(database.url)
  await psql.query(everyType)
  const mapping = [...withBytes, ...asFormatted].map(entity => ({ ...entity, last: 'all' as const }))
  await psql.query('alter table users replica identity full')
  await using capture = await startCapture(database, mapping)
  for (const row of rowsOfEveryType) await psql.query(`insert into users values (${row})`)
  await psql.query(`alter table users alter words set storage external`)
  await psql.query(`update users set small = 7, words = repeat('x', 9000) where id = 3`)
  for (const set of changes) await psql.query(`update users set ${set}`)
  await psql.query('update users set small = 8')
  await psql.query('delete from users')
  await capture.caughtUp()
  expect((await capture.events()).length).toBeGreaterThan(60)
  expect(await refusedEvents(database.url, mapping)).toEqual([])
})

/** Values at the edges of their types. */
const changes = [
  `instant = '12019-11-05 07:56:15+00', local = '294276-12-31 23:59:59.999999', day = '5874897-12-31'`,
  `instant = '4713-01-01 00:00:00+00 BC', local = '0001-01-01 BC', day = '-infinity', exact = '-Infinity'`,
  `big = 4611686018427387903, small = null, exact = 1e60, docs = ARRAY['null'::jsonb, null], real8 = 'NaN'`,
  `big = -9223372036854775808 / 2, integers = '{{{1},{NULL}},{{3},{4}}}', names = '{{a,NULL},{"",c}}', of_ages = '{{1},{2}}'`,
  `big = null, instants = '{{infinity,NULL},{"0044-03-15 12:00:00+00 BC","2019-11-05 07:56:15.1+00"}}', exacts = '{{1},{NaN}}'`,
]

test('the schemas accept related values of each form, composite keys, fixed values and last values', async () => {
  await using database = await createTestDatabase({ hasOutbox: true })
  await using psql = await connect(database.url)
  await psql.query(tables)
  const file = readMappingFile(parse(mappingText))
  const mapping = file.ok ? file.mapping : expect.fail(JSON.stringify(file))
  await using capture = await startCapture(database, mapping)
  await psql.query(rows)
  await psql.query(`update users set company_id = null where id = 1`)
  await psql.query(`update members set role = null`)
  await psql.query(`update fields set value = null where name = 'age'`)
  await psql.query(`delete from members where user_id = 2`)
  await psql.query(`delete from users`)
  await capture.caughtUp()
  expect((await capture.events()).length).toBeGreaterThan(8)
  expect(await refusedEvents(database.url, mapping)).toEqual([])
  expect((await capture.events()).find(line => line.startsWith('user 1 new'))).toContain('"places":"1 2"')

  const shapes = await readShapes(database.url, mapping)
  const schemaOf = (type: string, action: 'new' | 'delete') =>
    triggerSchema({ entity: shapes.find(({ entityType }) => entityType === type)!, action })
  const words = (schema: JsonSchema) =>
    shownFields(schema).map(
      ({ name, type, isList, mayBeNull, values, fields }) =>
        `${name}: ${type}${isList ? ' list' : ''}${mayBeNull ? ' or null' : ''}${values ? ` ${JSON.stringify(values)}` : ''}${fields ? ` {${fields.map(each => `${each.name} ${each.type}`)}}` : ''}`,
    )
  expect(words(schemaOf('user', 'new'))).toEqual([
    'id: integer',
    'name: string',
    'tier: enum or null ["basic","pro"]',
    'company_id: integer or null',
    'tags: string list or null',
    'places: string or null',
    'source: enum ["crm"]',
    'company: object or null {name string,since date}',
    'company_name: string or null',
    'teams: object list {team_id integer,role string}',
    'team_names: string list',
    'custom: object',
    'lists: object',
    'sizes: object {shoe string,shirt string}',
    'roles: string list',
  ])
  expect(words(schemaOf('user', 'delete'))).toEqual(['name: string', 'company_id: integer or null'])
  expect(schemaOf('member', 'new').properties).toMatchObject({ entity_id: { type: 'string' } })
  expect(schemaOf('user', 'new').properties).toMatchObject({ entity_id: { type: 'integer' } })
  expect(schemaOf('user', 'new').examples).toEqual([
    {
      ...{ entity_id: 1, entity_type: 'user', action_type: 'new' },
      result: {
        ...{ id: 1, name: 'text', tier: 'basic', company_id: 1, tags: ['text'], places: 'text' },
        source: 'crm',
        ...{ company: { name: 'text', since: '2026-01-01' }, company_name: 'text' },
        ...{ teams: [{ team_id: 1, role: 'text' }], team_names: ['text'], custom: { name: 'text' } },
        ...{ lists: { name: ['text'] }, sizes: { shoe: 'text', shirt: 'text' }, roles: ['text'] },
      },
    },
  ])
})

test('a schema refuses impossible values: a null, a longer text, an unknown label, another type', async () => {
  await using database = await createTestDatabase()
  await using psql = await connect(database.url)
  await psql.query(tables)
  const file = readMappingFile(parse(mappingText))
  const mapping = file.ok ? file.mapping : expect.fail()
  const [entity] = await readShapes(database.url, mapping)
  const validate = compileSchema(triggerSchema({ entity: entity!, action: 'new' }))
  const takes = (result: object, id: unknown = 1) =>
    validate({ entity_id: id, entity_type: 'user', action_type: 'new', result })
  expect(takes({})).toBe(true)
  expect(takes({ name: 'x'.repeat(20), later: 1 })).toBe(true)
  for (const wrong of [
    { name: null },
    { name: 'x'.repeat(21) },
    { id: '1' },
    { id: 1.5 },
    { tier: 'gold' },
    { tags: [1] },
    { source: 'erp' },
    { company: { since: 'yesterday' } },
    { teams: null },
    { teams: [{ team_id: null }] },
    { team_names: [null] },
    { custom: { a: 1 } },
    { lists: { a: 'x' } },
    { lists: { a: [null] } },
  ])
    expect([wrong, takes(wrong)]).toEqual([wrong, false])
  expect([takes({}, '1'), validate({ entity_id: 1, entity_type: 'user', action_type: 'new' })]).toEqual([
    false,
    false,
  ])
})

const tables = `
  create type tier as enum ('basic', 'pro');
  create table companies (id integer primary key, name text not null, since date);
  create table users (id integer primary key, name varchar(20) not null, tier tier,
    company_id integer references companies, tags text[], places int2vector);
  alter table users replica identity full;
  create table teams (id integer primary key, name text);
  create table members (team_id integer references teams, user_id integer, role text, primary key (team_id, user_id));
  alter table members replica identity full;
  create table fields (id serial primary key, user_id integer, name text, value text);
  alter table fields replica identity full;`

const rows = `
  insert into companies values (1, 'Acme', '2020-01-01');
  insert into teams values (1, 'red'), (2, null);
  insert into users values (1, 'Ann', 'pro', 1, '{a,NULL}', '1 2'), (2, 'Ben', null, null, null, null);
  insert into members values (1, 1, 'lead'), (2, 1, null), (1, 2, 'x');
  insert into fields (user_id, name, value) values (1, 'shoe', '44'), (1, 'age', '7'), (1, 'age', '8'), (1, 'none', null)`

const mappingText = `
version: 2
entities:
  user:
    table: public.users
    key: id
    fields: { include: all, fixed: { source: crm } }
    last: [name, company_id]
    related:
      company: { table: public.companies, through: company_id, fields: [name, since] }
      company_name: { table: public.companies, through: company_id, value: name }
      teams: { table: public.members, owner: user_id, fields: [team_id, role] }
      team_names: { table: public.teams, through: { table: public.members, owner: user_id, to: team_id }, value: name }
      custom: { table: public.fields, owner: user_id, key: name, value: value }
      lists: { table: public.fields, owner: user_id, key: name, value: value, repeated: list }
      sizes: { table: public.fields, owner: user_id, key: name, value: value, include: [shoe, shirt] }
      roles: { table: public.members, owner: user_id, value: role, nulls: keep }
  member:
    table: public.members
    key: [team_id, user_id]
    fields: { include: all }
    last: true
`
