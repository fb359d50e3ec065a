import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { readPageOf } from '../../src/capture/backfill/backfill-page.ts'
import { beginResync, occasionOf } from '../../src/capture/backfill/resync.ts'
import { relationLines, uniqueLine } from '../../src/capture/check/check-tables.ts'
import { readCatalogue } from '../../src/capture/source/read-catalogue.ts'
import { openSource } from '../../src/capture/source/source.ts'
import { checkMapping } from '../../src/capture/verdict/mapping-verdict.ts'
import { joinKey } from '../../src/domain/mapping/entity-key.ts'
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
  const read = readMappingFile({ entities: { user: { table: 'users', key: ['tenant', 'code'], ...words } } })
  if (!read.ok) throw new Error(JSON.stringify(read.problems))
  return read.mapping
}

async function open(schema: string, words: object) {
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
    async since(count: number) {
      await capture.caughtUp()
      return (await capture.events()).slice(count)
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

const table = `create table users (tenant integer, code text, name text, n serial, primary key (tenant, code));`
const fields = { include: ['name'] }

const steps: [string, string[]][] = [
  [
    `insert into users values (1, 'a', 'x'), (2, 'a', 'y')`,
    ['user "1,a" new {"name":"x"}', 'user "2,a" new {"name":"y"}'],
  ],
  [`update users set name = 'z' where tenant = 1`, ['user "1,a" update {"name":"z"}']],
  // A change of one part is another entity.
  [
    `update users set code = 'b,c' where tenant = 1`,
    ['user "1,a" delete', 'user "1,b%2Cc" new {"name":"z"}'],
  ],
  [`update users set tenant = 3 where tenant = 2`, ['user "2,a" delete', 'user "3,a" new {"name":"y"}']],
  [
    `update users set tenant = tenant, code = code, name = 'w' where tenant = 3`,
    ['user "3,a" update {"name":"w"}'],
  ],
  [
    `begin; update users set code = 'q' where tenant = 3; update users set code = 'a' where tenant = 3; commit`,
    ['user "3,a" update {"name":"w"}'],
  ],
  [
    `begin; delete from users where tenant = 3; insert into users values (3, 'a', 'again'); commit`,
    ['user "3,a" update {"name":"again"}'],
  ],
  [
    `insert into users values (4, '100%', 'p'), (4, '', 'e')`,
    ['user "4,100%25" new {"name":"p"}', 'user "4," new {"name":"e"}'],
  ],
  [`delete from users where tenant = 4`, ['user "4,100%25" delete', 'user "4," delete']],
  [`delete from users where tenant = 1`, ['user "1,b%2Cc" delete']],
]

test.each(['default', 'full'])(
  'a two-column key, replica identity %s: both parts count, and different keys have different ids',
  async identity => {
    await using at = await open(`${table} alter table users replica identity ${identity}`, {
      fields,
      send_unchanged: true,
    })
    for (const [sql, told] of steps) expect([sql, await at.step(sql)]).toEqual([sql, told])
  },
)

test("a key with the tenant's column shows the tenant of a deleted row", async () => {
  await using at = await open(table, { fields, tenant: 'tenant' })
  expect(await at.step(`insert into users values (7, 'a,b', 'x')`)).toHaveLength(1)
  expect(await at.step('delete from users')).toEqual(['user "7,a%2Cb" delete'])
  const { rows } = await at.psql.query('select tenant from walhook.events order by id')
  expect(rows).toEqual([{ tenant: '7' }, { tenant: '7' }])
})

test('keys swapped in one statement give the right events', async () => {
  await using at = await open(
    `create table users (tenant integer, code text, name text, primary key (tenant, code) deferrable initially immediate);
     alter table users replica identity full`,
    { fields },
  )
  await at.step(`insert into users values (1, '1', 'x'), (1, '2', 'y')`)
  expect(await at.step(`update users set code = (3 - code::integer)::text`)).toEqual([
    'user "1,1" update {"name":"y"}',
    'user "1,2" update {"name":"x"}',
  ])
})

test.each([
  ['owner', { owner: ['org', 'member'] }],
  ['on', { on: { member: 'code', org: 'tenant' } }],
])('related fields name their owner by several columns (%s)', async (_word, by) => {
  await using at = await open(
    `${table} create table notes (id serial primary key, org integer, member text, body text, foreign key (org, member) references users on update cascade on delete cascade);
     create table tags (org integer, member text, name text, value text, primary key (org, member, name));
     alter table notes replica identity full`,
    {
      fields,
      related: {
        notes: { table: 'notes', ...by, value: 'body' },
        tags: { table: 'tags', ...by, key: 'name', value: 'value' },
      },
    },
  )
  const user = (id: string, action: string, name: string, notes: string[], tags: object = {}) =>
    `user "${id}" ${action} ${JSON.stringify({ name, notes, tags })}`
  await at.step(`insert into users values (1, 'a', 'x'), (1, 'b,', 'y'), (2, 'a', 'z')`)
  expect(
    await at.step(`insert into notes (org, member, body) values (1, 'a', 'first'), (2, 'a', 'second')`),
  ).toEqual([user('1,a', 'update', 'x', ['first']), user('2,a', 'update', 'z', ['second'])])
  expect(await at.step(`update notes set member = 'b,' where org = 1`)).toEqual([
    user('1,a', 'update', 'x', []),
    user('1,b%2C', 'update', 'y', ['first']),
  ])
  expect(await at.step(`insert into tags values (1, 'b,', 'size', 'L')`)).toEqual([
    user('1,b%2C', 'update', 'y', ['first'], { size: 'L' }),
  ])
  // A row that names no owner in full names none.
  expect(await at.step(`insert into notes (org, member, body) values (1, null, 'nobody')`)).toEqual([])
  expect(await at.step(`update users set code = 'c' where tenant = 2`)).toEqual([
    'user "2,a" delete',
    user('2,c', 'new', 'z', ['second']),
  ])
  expect(await at.step(`delete from notes where org = 1 and member = 'b,'`)).toEqual([
    user('1,b%2C', 'update', 'y', [], { size: 'L' }),
  ])
})

test('a renamed key column is known by its position in the primary key', async () => {
  await using at = await open(table, { fields })
  await at.restart(async () => {
    await at.psql.query(`insert into users values (1, 'a,', 'x')`)
    await at.psql.query(`alter table users rename code to old_code`)
    await at.psql.query(`insert into users values (1, 'b', 'y')`)
    await at.psql.query(`delete from users where old_code = 'a,'`)
    await at.psql.query(`alter table users rename old_code to code`)
  })
  expect(await at.since(0)).toEqual([
    'user "1,a%2C" new {"name":"x"}',
    'user "1,b" new {"name":"y"}',
    'user "1,a%2C" delete',
  ])
})

test('a related field starts at a composite key, over a join table and by a column of the entity', async () => {
  await using at = await open(
    `create table users (tenant integer, code text, name text, team integer, primary key (tenant, code));
     create table groups (id integer primary key, name text); create table teams (id integer primary key, name text);
     create table members (org integer, member text, group_id integer, primary key (org, member, group_id));
     create index on members (group_id); create index on users (team)`,
    {
      fields,
      related: {
        groups: {
          table: 'groups',
          through: { table: 'members', owner: ['org', 'member'], to: 'group_id' },
          value: 'name',
        },
        team: { table: 'teams', through: 'team', value: 'name' },
      },
    },
  )
  await at.step(`insert into groups values (1, 'admins'); insert into teams values (1, 'red')`)
  await at.step(
    `insert into users values (1, 'a,', 'x', 1), (2, 'a,', 'y', null); insert into members values (1, 'a,', 1), (2, 'a,', 1)`,
  )
  expect(await at.step(`update groups set name = 'owners'`)).toEqual([
    'user "1,a%2C" update {"name":"x","groups":["owners"],"team":"red"}',
    'user "2,a%2C" update {"name":"y","groups":["owners"],"team":null}',
  ])
  expect(await at.step(`update teams set name = 'blue'`)).toEqual([
    'user "1,a%2C" update {"name":"x","groups":["owners"],"team":"blue"}',
  ])
  expect(await at.step(`delete from members where org = 2`)).toEqual([
    'user "2,a%2C" update {"name":"y","groups":[],"team":null}',
  ])
})

test("a backfill's next page continues after the whole composite key", async () => {
  await using database = await createTestDatabase({ hasOutbox: true })
  await using psql = await connect(database.url)
  await psql.query(`create table users (tenant uuid, code numeric, name text, primary key (tenant, code))`)
  const tenants = [randomUUID(), randomUUID()]
  for (const tenant of tenants)
    await psql.query(`insert into users select $1, i / 2.0, 'n' from generate_series(-5, 5) i`, [tenant])
  const [user] = mappingOf({ fields })
  await using source = openSource({ url: database.url, onError() {} })
  const catalogue = await readCatalogue(source, [user!])
  const { rows } = await psql.query('select tenant, code::text from users order by tenant, users.code')
  const seen: string[] = []
  let [after, until_]: [string | null, string | null] = [null, null]
  for (let i = 0; i < 30; i++) {
    const page = await readPageOf(source, catalogue, user!, { after, until: until_, limit: 4 })
    seen.push(...page.entities.map(({ entityId }) => entityId))
    after = page.lastKey
    until_ = page.untilKey
    if (page.isLast) break
  }
  expect(seen).toEqual(rows.map(({ tenant, code }) => joinKey([tenant, code])))
})

test('with composite keys, a backfill sends all rows and a resync deletes missing ones', async () => {
  await using at = await open(`${table} create table companies (id integer primary key)`, { fields })
  await at.step(
    `insert into users (tenant, code, name) select i % 3, 'c,' || i, 'n' || i from generate_series(1, 9) i`,
  )
  await using backfills = await openBackfills(at.database)
  await backfills.webhook('user.new', 'user.update', 'user.delete')
  const told = await at.since(0)
  await backfills.is(await backfills.start(), isDone)
  expect((await at.since(told.length)).map(line => line.split(' {')[0]).sort()).toEqual(
    told.map(line => line.split(' {')[0]!).sort(),
  )
  const slotName = at.database.name.slice(0, 63)
  const count = (await at.since(0)).length
  await at.restart(async () => {
    await dropSlot(at.psql, slotName)
    await at.psql.query(`delete from users where tenant = 0; update users set tenant = 7 where code = 'c,1'`)
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
  const resynced = (await at.since(count)).map(line => line.split(' {')[0]!)
  expect(resynced.filter(line => !line.endsWith('update')).sort()).toEqual(
    [
      ...['1', '3', '6', '9'].map(n => `user "${n === '1' ? 1 : 0},c%2C${n}" delete`),
      'user "7,c%2C1" new',
    ].sort(),
  )
  expect(resynced.filter(line => line.endsWith('update'))).toHaveLength(5)
})

const seed = Number(process.env.WALHOOK_SEED ?? Math.floor(Math.random() * 2 ** 31))

test.each(['full', 'default'])(
  `random writes and kills, replica identity %s (WALHOOK_SEED=${seed}): receivers end with all rows by both key parts, and never get an older state`,
  async identity => {
    await using database = await createTestDatabase({ hasOutbox: true })
    const random = randomFrom(seed)
    const some = (count: number) => 1 + Math.floor(random() * count)
    await using psql = await connect(database.url)
    await psql.query(`${table} alter table users replica identity ${identity};
      create table notes (id serial primary key, org integer, member text, foreign key (org, member) references users on update cascade on delete cascade);
      alter table notes replica identity full`)
    const mapping = mappingOf({
      fields: { include: ['n'] },
      related: { notes: { table: 'notes', on: { org: 'tenant', member: 'code' }, value: 'id' } },
    })
    const pick = (...texts: string[]) => texts[some(texts.length) - 1]!
    const code = () => `'${pick('a', 'a,', ',a', '%', '%2C', '')}'`
    const n = `n = nextval('users_n_seq')`
    const is = () => `tenant = ${some(3)} and code = ${code()}`
    const statement = () =>
      pick(
        `insert into users (tenant, code) values (${some(3)}, ${code()}) on conflict (tenant, code) do update set ${n}`,
        `update users set ${n} where ${is()}`,
        `update users set ${n}, tenant = 4 where ${is()} and not exists (select from users u where u.tenant = 4)`,
        `update users set ${n}, code = 'moved' where ${is()} and not exists (select from users u where u.code = 'moved')`,
        `delete from users where ${is()}`,
        `delete from users where tenant = 4 or code = 'moved'`,
        `insert into notes (org, member) select tenant, code from users where ${is()}`,
        `delete from notes where org = ${some(3)}`,
      )
    const write = async (times: number) => {
      for (let i = 0; i < times; i++)
        await psql.query(`begin; ${Array.from({ length: some(3) }, statement).join('; ')}; commit`)
    }
    for (let round = 0; round < 6; round++) {
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
    const last = new Map<string, number>()
    for (const line of await capture.events()) {
      const [, id, action, result] = /^user (".*?") (\w+) ?(.*)$/.exec(line)!
      const had = knows.has(id!)
      if (action === 'delete') {
        expect([line, had]).toEqual([line, true])
        knows.delete(id!)
        // After a delete an entity begins anew: its `new` is as the WAL has it where the row is gone by now (`missing.ts`).
        last.delete(id!)
        continue
      }
      expect([line, had]).toEqual([line, action === 'update'])
      const now = JSON.parse(result!).n
      expect([line, now >= (last.get(id!) ?? 0)]).toEqual([line, true])
      last.set(id!, now)
      knows.set(id!, result!)
    }
    const { rows } = await psql.query(
      `select tenant::text, code, n, array(select id from notes where org = tenant and member = code order by id) as notes from users`,
    )
    expect([...knows].sort()).toEqual(
      rows
        .map(({ tenant, code, n, notes }) => [
          JSON.stringify(joinKey([tenant, code])),
          JSON.stringify({ n, notes }),
        ])
        .sort(),
    )
  },
  120_000,
)

test('check and start validate each key part and each column that refers to it', async () => {
  await using database = await createTestDatabase()
  await using psql = await connect(database.url)
  await psql.query(`create table users (tenant integer not null, code text not null, name text, id serial primary key);
    create table notes (id serial primary key, org uuid, member text)`)
  await using source = openSource({ url: database.url, onError() {} })
  const mapping = mappingOf({
    fields,
    related: { notes: { table: 'notes', owner: ['org', 'member'], value: 'id' } },
  })
  const [user] = mapping
  const facts = { role: 'me', serverVersion: 180_000, publication: null }
  const problems = async () =>
    checkMapping(await readCatalogue(source, mapping), mapping, facts).map(
      ({ code, what }) => `${code} ${what}`,
    )
  expect(await problems()).toEqual([
    'not_in_identity entity user: column tenant',
    'not_in_identity entity user: column code',
    'not_in_identity entity user, related notes: column org',
    'not_in_identity entity user, related notes: column member',
    'relation entity user, related notes: column org, member',
  ])
  await psql.query('alter table users replica identity full; alter table notes replica identity full')
  const catalogue = await readCatalogue(source, mapping)
  expect(await problems()).toEqual(['relation entity user, related notes: column org, member'])
  expect(relationLines(catalogue, user!, facts)[0]).toMatchObject({
    level: 'error',
    found: expect.stringContaining('org is uuid, but tenant of the key'),
  })
  expect(uniqueLine(catalogue, user!)).toMatchObject({
    level: 'warning',
    mend: 'run: create unique index concurrently on "public"."users" ("tenant", "code");',
  })
  await psql.query('create unique index on users (code, tenant)')
  expect(uniqueLine(await readCatalogue(source, mapping), user!)).toMatchObject({ level: 'ok' })
})

test.each([
  [{ key: [] }, 'entities.user.key'],
  [{ key: ['id'] }, 'entities.user.key'],
  [{ key: ['id', 'id'] }, 'entities.user.key'],
  [{ related: { x: { table: 'a', value: 'b', owner: 'c' } } }, 'entities.user.related.x.owner'],
  [{ related: { x: { table: 'a', value: 'b', owner: ['c', 'd', 'e'] } } }, 'entities.user.related.x.owner'],
  [
    { related: { x: { table: 'a', value: 'b', owner: 'c', on: { c: 'code' } } } },
    'entities.user.related.x.owner',
  ],
  [{ related: { x: { table: 'a', value: 'b', on: { c: 'code' } } } }, 'entities.user.related.x.on'],
  [
    { related: { x: { table: 'a', value: 'b', through: 'c', on: { c: 'code', d: 'tenant' } } } },
    'entities.user.related.x.on',
  ],
  [
    { related: { x: { table: 'a', value: 'b', through: { table: 'm', owner: 'c', to: 'd' } } } },
    'entities.user.related.x.through.owner',
  ],
  [
    { related: { x: { table: 'a', value: 'b', owner: ['c', 'd'], through: 'e' } } },
    'entities.user.related.x.owner',
  ],
  [
    { related: { x: { table: 'a', value: 'b', on: { c: 'code', d: 'tennant' } } } },
    'entities.user.related.x.on',
  ],
  [
    { related: { x: { table: 'a', value: 'b', on: { c: 'code', d: 'tenant', e: 'code' } } } },
    'entities.user.related.x.on',
  ],
])('%j is refused at %s', (words, at) => {
  const read = readMappingFile({ entities: { user: { table: 'users', key: ['tenant', 'code'], ...words } } })
  expect(read.ok ? [] : read.problems.map(problem => problem.at)).toContain(at)
})
