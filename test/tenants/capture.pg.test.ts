import { expect, test } from 'vitest'
import { tenantLine } from '../../src/capture/check/check-tables.ts'
import { setupSql } from '../../src/capture/check/setup-sql.ts'
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

const table =
  'create table users (id integer primary key, name text, org integer, gone boolean not null default false);'
const full = 'alter table users replica identity full;'
const byOrg = { tenant: 'org', fields: { include: ['id', 'name'] } }

async function open(schema: string, words: object = byOrg) {
  const database = await createTestDatabase({ hasOutbox: true })
  const psql = await connect(database.url)
  await psql.query(schema)
  const mapping = mappingOf(words)
  const capture = await startCapture(database, mapping)
  let seen = 0
  return {
    ...{ database, psql, mapping },
    /** What a statement makes, as `user 1 update of 5, before 3`. */
    async step(sql: string) {
      await psql.query(sql)
      await capture.caughtUp()
      const { rows } = await psql.query(
        `select entity_type || ' ' || entity_id || ' ' || action_type || ' of ' || coalesce(tenant, 'nobody')
                || case when tenant_before is null then '' else ', before ' || coalesce(nullif(tenant_before, ''), 'nobody') end as line
         from walhook.events order by id`,
      )
      const lines = rows.slice(seen).map(({ line }) => line)
      seen = rows.length
      return lines
    },
    async [Symbol.asyncDispose]() {
      await capture[Symbol.asyncDispose]()
      await psql.end()
      await database.drop()
    },
  }
}

const steps: [string, string[]][] = [
  [`insert into users values (1, 'a', 5), (2, 'b', null)`, ['user 1 new of 5', 'user 2 new of nobody']],
  [`update users set name = 'a2' where id = 1`, ['user 1 update of 5']],
  [`update users set org = 6 where id = 1`, ['user 1 update of 6, before 5']],
  [`update users set org = 7 where id = 2`, ['user 2 update of 7, before nobody']],
  [`update users set org = null, name = 'a3' where id = 1`, ['user 1 update of nobody, before 6']],
  [`begin; update users set org = 8 where id = 2; update users set org = 7 where id = 2; commit`, []],
  [
    `begin; update users set org = 8 where id = 2; update users set org = 9 where id = 2; commit`,
    ['user 2 update of 9, before 7'],
  ],
  [`update users set id = 3 where id = 2`, ['user 2 delete of 9', 'user 3 new of 9']],
  [`delete from users where id = 3`, ['user 3 delete of 9']],
  [`delete from users where id = 1`, ['user 1 delete of nobody']],
]

test("an event belongs to its row's tenant, and an update that moves it has the earlier tenant, also with an unsent column", async () => {
  await using at = await open(`${table} ${full}`)
  for (const [sql, told] of steps) expect([sql, await at.step(sql)]).toEqual([sql, told])
})

test('an index as replica identity suffices if it contains the tenant', async () => {
  await using at = await open(`
    create table users (id integer primary key, name text, org integer not null);
    create unique index by_org on users (id, org); alter table users replica identity using index by_org;`)
  await at.step(`insert into users values (1, 'a', 5)`)
  expect(await at.step(`update users set name = 'b'`)).toEqual(['user 1 update of 5'])
  expect(await at.step('update users set org = 6')).toEqual(['user 1 update of 6, before 5'])
  expect(await at.step('delete from users')).toEqual(['user 1 delete of 6'])
})

test('without the row before, a delete has no tenant, and a moved row is an update: check and setup warn', async () => {
  await using at = await open(table)
  await at.step(`insert into users values (1, 'a', 5)`)
  expect(await at.step('update users set org = 6')).toEqual(['user 1 update of 6'])
  expect(await at.step('delete from users')).toEqual(['user 1 delete of nobody'])
  await using source = openSource({ url: at.database.url, onError() {} })
  const line = async () => tenantLine(await readCatalogue(source, at.mapping), at.mapping[0]!)
  expect(await line()).toMatchObject({
    ...{ level: 'warning', code: 'tenant_before', what: 'entity user, tenant org' },
    mend: 'run: alter table "public"."users" replica identity full;',
  })
  const facts = {
    database: 'd',
    role: 'r',
    walLevel: 'logical',
    mayReplicate: true,
    mayCreate: true,
    publication: null,
    slot: null,
    serverVersion: 180000,
  }
  const sql = async () =>
    setupSql(facts as never, await readCatalogue(source, at.mapping), {
      mapping: at.mapping,
      publicationName: 'walhook',
      needsSchema: false,
    })
  expect(await sql()).toMatch(/^alter table "public"."users" replica identity full;$/m)
  await at.psql.query(full)
  expect(await line()).toMatchObject({ level: 'ok', code: 'tenant_before' })
  expect(await sql()).not.toMatch(/^alter table/m)
})

test('the tenant of an entity that is its own tenant is its key', async () => {
  await using at = await open(table, { tenant: 'id' })
  await at.step(`insert into users values (1, 'a')`)
  expect(await at.step('update users set id = 2')).toEqual(['user 1 delete of 1', 'user 2 new of 2'])
  expect(await at.step('delete from users')).toEqual(['user 2 delete of 2'])
})

test('a row that begins to match is new for its current tenant', async () => {
  await using at = await open(`${table} ${full}`, { ...byOrg, where: { gone: false } })
  await at.step(`insert into users values (1, 'a', 5, true)`)
  expect(await at.step('update users set gone = false, org = 6')).toEqual(['user 1 new of 6'])
  expect(await at.step('update users set gone = true, org = 7')).toEqual(['user 1 delete of 6'])
})

test('a related row belongs to its owner’s tenant', async () => {
  const words = { ...byOrg, related: { emails: { table: 'emails', owner: 'user_id', value: 'address' } } }
  await using at = await open(
    `${table} create table emails (id integer primary key, user_id integer, address text); ${full}
    alter table emails replica identity full;`,
    words,
  )
  await at.step(`insert into users values (1, 'a', 5)`)
  expect(await at.step(`insert into emails values (1, 1, 'x@example.com')`)).toEqual(['user 1 update of 5'])
})

test('deletes of a TRUNCATE go to the last known tenants', async () => {
  await using at = await open(`${table} ${full}`, { ...byOrg, on_truncate: 'delete' })
  await at.step(`insert into users values (1, 'a', 5), (2, 'b', 6)`)
  await at.step('update users set org = 7 where id = 1')
  expect((await at.step('truncate users')).toSorted()).toEqual(['user 1 delete of 7', 'user 2 delete of 6'])
})

test.each([
  [{ tenant: 'organisation' }, 'column_missing', /did you mean org\?|column organisation/],
  [{ tenant: 'made' }, 'condition', /the columns from which Postgres computes it/],
])('the mapping %j is refused', async (words, code, mend) => {
  const database = await createTestDatabase()
  await using psql = await connect(database.url)
  await psql.query(`${table} alter table users add column made integer generated always as (org + 1) stored`)
  await using source = openSource({ url: database.url, onError() {} })
  const mapping = mappingOf(words)
  const facts = { role: 'r', serverVersion: 180000, publication: null }
  const problems = checkMapping(await readCatalogue(source, mapping), mapping, facts)
  expect(problems.map(problem => problem.code)).toContain(code)
  expect(problems.map(({ what, mend }) => `${what} ${mend}`).join()).toMatch(mend)
})

test('an invalid tenant value belongs to no tenant', async () => {
  await using at = await open(
    'create table users (id integer primary key, name text, org text); alter table users replica identity full;',
  )
  expect(
    await at.step(
      `insert into users values (1, 'a', ''), (2, 'b', repeat('x', 201)), (3, 'c', repeat('x', 200))`,
    ),
  ).toEqual(['user 1 new of nobody', 'user 2 new of nobody', `user 3 new of ${'x'.repeat(200)}`])
})
