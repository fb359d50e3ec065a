import { expect, test } from 'vitest'
import { beginResync, occasionOf } from '../../src/capture/backfill/resync.ts'
import { conditionLine } from '../../src/capture/check/check-tables.ts'
import { readCatalogue } from '../../src/capture/source/read-catalogue.ts'
import { openSource } from '../../src/capture/source/source.ts'
import { checkMapping } from '../../src/capture/verdict/mapping-verdict.ts'
import type { EntityMapping } from '../../src/domain/mapping/mapping.ts'
import { readMappingFile } from '../../src/domain/mapping/mapping-file.ts'
import { openOutbox } from '../../src/outbox/database/database.ts'
import { listOpenGaps, openGap } from '../../src/outbox/source/gaps.ts'
import { isDone, openBackfills } from '../support/backfill.ts'
import { startCaptureProcess } from '../support/capture-process.ts'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { randomFrom } from '../support/random.ts'
import { startCapture } from '../support/run-capture.ts'
import { dropSlot, slotIsFree } from '../support/slot.ts'
import { until } from '../support/wait.ts'

function mappingOf(words: object): readonly EntityMapping[] {
  const read = readMappingFile({ entities: { user: { table: 'users', ...words } } })
  if (!read.ok) throw new Error(JSON.stringify(read.problems))
  return read.mapping
}

const softDeleted = {
  fields: { include: ['id', 'name'] },
  where: { realm: 'x' },
  deleted_when: { deleted_at: 'not null' },
}
const table = `create table users (id integer primary key, name text, realm text default 'x', deleted_at timestamptz);`
const full = 'alter table users replica identity full;'

async function open(schema: string, words: object = softDeleted) {
  const database = await createTestDatabase({ hasOutbox: true })
  const psql = await connect(database.url)
  await psql.query(schema)
  const mapping = mappingOf(words)
  let capture = await startCapture(database, mapping)
  return {
    ...{ database, psql, mapping },
    async restart(between: () => Promise<void>) {
      await capture[Symbol.asyncDispose]()
      await between()
      capture = await startCapture(database, mapping)
    },
    async step(sql: string) {
      const before = (await capture.events()).length
      await psql.query(sql)
      await capture.caughtUp()
      return (await capture.events()).slice(before)
    },
    async since(count: number) {
      await capture.caughtUp()
      return (await capture.events()).slice(count)
    },
    async [Symbol.asyncDispose]() {
      await capture[Symbol.asyncDispose]()
      await psql.end()
      await database.drop()
    },
  }
}

const steps: [string, string[]][] = [
  [`insert into users values (1, 'a')`, ['user 1 new {"id":1,"name":"a"}']],
  [`insert into users values (2, 'b', 'x', now())`, []],
  [`insert into users values (3, 'c', 'y')`, []],
  [`update users set name = 'a2' where id = 1`, ['user 1 update {"id":1,"name":"a2"}']],
  [`update users set deleted_at = now() where id = 1`, ['user 1 delete']],
  [`update users set name = 'a3' where id = 1`, []],
  [`update users set deleted_at = null where id = 1`, ['user 1 new {"id":1,"name":"a3"}']],
  [`update users set name = 'b2', deleted_at = null where id = 2`, ['user 2 new {"id":2,"name":"b2"}']],
  [`update users set realm = 'x' where id = 3`, ['user 3 new {"id":3,"name":"c"}']],
  [`update users set realm = 'y' where id = 3`, ['user 3 delete']],
  [`delete from users where id = 3`, []],
  [`update users set id = 4, deleted_at = now() where id = 2`, ['user 2 delete']],
  [`update users set id = 5, deleted_at = null where id = 4`, ['user 5 new {"id":5,"name":"b2"}']],
  [`update users set id = 6 where id = 5`, ['user 5 delete', 'user 6 new {"id":6,"name":"b2"}']],
  [`begin; insert into users values (7, 'g'); update users set deleted_at = now() where id = 7; commit`, []],
  [
    `begin; update users set deleted_at = now() where id = 1; update users set deleted_at = null, name = 'a4' where id = 1; commit`,
    ['user 1 update {"id":1,"name":"a4"}'],
  ],
  [
    `begin; delete from users where id = 1; insert into users values (1, 'a5'); commit`,
    ['user 1 update {"id":1,"name":"a5"}'],
  ],
  [`delete from users where id in (6, 7)`, ['user 6 delete']],
]

test('with the complete row before, a row that begins to match is new, one that ceases to match is delete', async () => {
  await using at = await open(`${table} ${full}`)
  for (const [sql, told] of steps) expect([sql, await at.step(sql)]).toEqual([sql, told])
})

test('a row that moves between partitions with REPLICA IDENTITY FULL is filtered correctly', async () => {
  await using at = await open(`
    create table users (id integer, name text, realm text default 'x', deleted_at timestamptz, primary key (id, realm)) partition by list (realm);
    create table users_x partition of users for values in ('x'); create table users_y partition of users for values in ('y');
    ${full} alter table users_x replica identity full; alter table users_y replica identity full;`)
  for (const [sql, told] of steps) expect([sql, await at.step(sql)]).toEqual([sql, told])
})

test('without the row before, matching rows are update and others delete; a transaction knows its own rows', async () => {
  await using at = await open(table)
  const some: [string, string[]][] = [
    ...steps.slice(0, 4),
    [`update users set deleted_at = now() where id = 1`, ['user 1 delete']],
    [`update users set name = 'a3' where id = 1`, ['user 1 delete']],
    [`update users set deleted_at = null where id = 1`, ['user 1 update {"id":1,"name":"a3"}']],
    steps[14]!,
    [`delete from users where id = 7`, ['user 7 delete']],
  ]
  for (const [sql, told] of some) expect([sql, await at.step(sql)]).toEqual([sql, told])
})

test('columns of the identity are known before, without the whole row', async () => {
  await using at = await open(
    `create table users (id integer not null, name text, realm text not null default 'x', primary key (id, realm))`,
    { fields: { include: ['id', 'name'] }, where: { realm: 'x' } },
  )
  expect(await at.step(`insert into users values (1, 'a', 'y')`)).toEqual([])
  expect(await at.step(`update users set name = 'b'`)).toEqual([])
  expect(await at.step(`update users set realm = 'x'`)).toEqual(['user 1 new {"id":1,"name":"b"}'])
  expect(await at.step(`update users set realm = 'y'`)).toEqual(['user 1 delete'])
  expect(await at.step(`delete from users`)).toEqual([])
})

test.each(['default', 'full'])(
  'a filter works on an unchanged TOAST value (replica identity %s)',
  async identity => {
    const long = 'x'.repeat(20_000)
    await using at = await open(
      `create table users (id integer primary key, name text, kind text); alter table users alter kind set storage external;
     alter table users replica identity ${identity}`,
      { fields: { include: ['id', 'name'] }, where: { kind: long } },
    )
    expect(await at.step(`insert into users values (1, 'a', '${long}'), (2, 'b', '${long}y')`)).toEqual([
      'user 1 new {"id":1,"name":"a"}',
    ])
    expect(await at.step(`update users set name = 'c'`)).toEqual(['user 1 update {"id":1,"name":"c"}'])
  },
)

test('a backfill and a resync send matching rows, and delete those that ceased to match during a gap', async () => {
  const words = { ...softDeleted, last: true }
  await using at = await open(`${table} ${full} create table companies (id integer primary key)`, words)
  await at.step(
    `insert into users select i, 'n' || i, 'x', case when i % 3 = 0 then now() end from generate_series(1, 9) i`,
  )
  await using backfills = await openBackfills(at.database)
  await backfills.webhook('user.new', 'user.update', 'user.delete')
  const told = await at.since(0)
  await backfills.is(await backfills.start(), isDone)
  expect((await at.since(told.length)).map(line => line.split(' {')[0])).toEqual(
    [1, 2, 4, 5, 7, 8].map(id => `user ${id} new`),
  )
  const slotName = at.database.name.slice(0, 63)
  const count = (await at.since(0)).length
  await at.restart(async () => {
    await dropSlot(at.psql, slotName)
    await at.psql.query(`update users set deleted_at = now() where id < 3; update users set realm = 'y' where id = 4;
      update users set deleted_at = null where id = 3; delete from users where id = 8; update users set name = 'z' where id = 6`)
    await using outbox = openOutbox({ url: at.database.url, maxConnections: 2, onError() {} })
    await openGap(outbox, { slotName, reason: 'slot missing', detail: 'dropped', fromLsn: 1n })
    await using source = openSource({ url: at.database.url, onError() {} })
    const options = { slotName, publicationName: 'walhook', mapping: at.mapping, onWaiting() {} }
    expect(await beginResync(source, outbox, (await occasionOf(outbox, slotName))!, options)).toMatchObject({
      ok: true,
    })
  })
  await until(async () => (await listOpenGaps(backfills.outbox, slotName)).length === 0, {
    what: 'the end of the gap',
  })
  const resynced = await at.since(count)
  // Of what went while nobody looked, no values are known.
  expect(resynced.filter(line => line.includes('delete {'))).toEqual([])
  expect(resynced.map(line => line.split(' {')[0]).sort()).toEqual([
    ...['user 1 delete', 'user 2 delete', 'user 3 new', 'user 4 delete', 'user 5 update', 'user 7 update'],
    'user 8 delete',
  ])
})

const seed = Number(process.env.WALHOOK_SEED ?? Math.floor(Math.random() * 2 ** 31))

test.each(['full', 'default'])(
  `random writes and kills, replica identity %s (WALHOOK_SEED=${seed}): receivers end with the matching rows, and never get an older state`,
  async identity => {
    await using database = await createTestDatabase({ hasOutbox: true })
    const random = randomFrom(seed)
    const some = (count: number) => 1 + Math.floor(random() * count)
    await using psql = await connect(database.url)
    await psql.query(`create table users (id integer primary key, n serial, realm text, deleted_at timestamptz);
                      alter table users replica identity ${identity}`)
    const mapping = mappingOf({ ...softDeleted, last: true, fields: { include: ['id', 'n'] } })
    const pick = (...texts: string[]) => texts[some(texts.length) - 1]!
    const n = `n = nextval('users_n_seq')`
    const statement = () =>
      pick(
        `insert into users (id, realm, deleted_at) values (${some(20)}, '${pick('x', 'y')}', ${pick('null', 'now()')})
         on conflict (id) do update set ${n}, realm = excluded.realm, deleted_at = excluded.deleted_at`,
        `update users set ${n} where id = ${some(20)}`,
        `update users set ${n}, deleted_at = ${pick('null', 'now()')} where id = ${some(20)}`,
        `update users set ${n}, realm = '${pick('x', 'y')}' where id between ${some(20)} and ${some(20)}`,
        `delete from users where id = ${some(20)}`,
        `update users set ${n}, id = 21 + ${some(5)}, deleted_at = ${pick('null', 'now()')} where id = ${some(20)} and not exists (select from users u where u.id > 20)`,
      )
    const write = async (times: number) => {
      for (let i = 0; i < times; i++)
        await psql.query(`begin; ${Array.from({ length: some(3) }, statement).join('; ')}; commit`)
    }
    for (let round = 0; round < 8; round++) {
      const capture = startCaptureProcess(database, mapping)
      await capture.streaming
      await write(some(60))
      await capture.kill()
      await slotIsFree(psql, database.name.slice(0, 63))
      await write(some(20))
    }
    await using capture = await startCapture(database, mapping)
    await capture.caughtUp()
    const knows = new Map<string, string>()
    let last = new Map<string, number>()
    for (const line of await capture.events()) {
      const [, id, action, result] = line.split(' ')
      const had = knows.has(id!)
      if (action === 'delete') {
        if (identity === 'full') expect([line, had, result]).toEqual([line, true, knows.get(id!)])
        else expect(result).toBeUndefined()
        knows.delete(id!)
        continue
      }
      if (identity === 'full') expect([line, had]).toEqual([line, action === 'update'])
      const now = JSON.parse(result!).n
      expect(now).toBeGreaterThan(last.get(id!) ?? 0)
      last = last.set(id!, now)
      knows.set(id!, result!)
    }
    const { rows } = await psql.query(
      `select id::text, n from users where realm = 'x' and deleted_at is null order by users.id`,
    )
    expect([...knows].sort(([a], [b]) => Number(a) - Number(b))).toEqual(
      rows.map(({ id, n }) => [id, `{"id":${id},"n":${n}}`]),
    )
  },
  120_000,
)

test('check and start report wrong columns and values of filters, and missing old values with the SQL', async () => {
  await using database = await createTestDatabase({ hasOutbox: true })
  await using psql = await connect(database.url)
  await psql.query(`create type kind as enum ('staff', 'guest');
    create table users (id integer primary key, realm text, kind kind, made integer generated always as (id + 1) stored)`)
  await using source = openSource({ url: database.url, onError() {} })
  const wrong = mappingOf({
    where: { relm: 'x', kind: 'gest', realm: 5, made: 1 },
    deleted_when: { id: { '>': 'a' } },
  })
  const catalogue = await readCatalogue(source, wrong)
  const facts = { role: 'me', serverVersion: 180_000, publication: null }
  expect(
    checkMapping(catalogue, wrong, facts).map(({ what, found, mend }) => `${what}: ${found}. ${mend}`),
  ).toEqual([
    'entity user: column relm: "public"."users" has id, realm, kind, made. correct the mapping: did you mean realm?',
    'entity user: condition of column kind: "gest" is not a value of its type kind (staff, guest). correct the mapping: did you mean guest?',
    'entity user: condition of column realm: 5 is not a value of its type text. correct the mapping: write a text, such as "5" in quotation marks',
    'entity user: condition of column made: a generated column, which the WAL may lack. correct the mapping: name the columns from which Postgres computes it',
    'entity user: condition of column id: "a" is not a value of its type integer. correct the mapping: write a whole number, such as 5',
  ])
  await psql.query('alter table users drop made')
  const [right] = mappingOf({ where: { realm: 'x', id: { '>': 3 } }, deleted_when: { kind: 'guest' } })
  expect(conditionLine(await readCatalogue(source, [right!]), right!)).toMatchObject({
    level: 'warning',
    found: expect.stringContaining('lacks the earlier values of realm, kind: an UPDATE to a matching row'),
    mend: 'run: alter table "public"."users" replica identity full;',
  })
  await psql.query('alter table "public"."users" replica identity full')
  expect(conditionLine(await readCatalogue(source, [right!]), right!)).toMatchObject({ level: 'ok' })
})
