import { rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { stateAt, wants } from '../../src/outbox/log/wanted.ts'
import { findBackfill } from '../../src/outbox/source/backfills.ts'
import { isDone, openBackfills } from '../support/backfill.ts'
import { connect } from '../support/connect.ts'
import { type OwnServer, openOwnServer } from '../support/own-database.ts'
import { randomFrom } from '../support/random.ts'
import { until } from '../support/wait.ts'
import { startWalhook, type WalhookProcess } from '../support/walhook-process.ts'

/** WALHOOK_BACKFILL_S runs it for as long as one wants, WALHOOK_SEED repeats what a failure has printed. */
const seconds = Number(process.env.WALHOOK_BACKFILL_S || 25)
const seed = Number(process.env.WALHOOK_SEED || Math.floor(Math.random() * 2 ** 31))
const rowsBefore = 3_000
/** Of a table that nobody changes: each backfill tells each of its rows exactly once. */
const quietRows = 2_000

let server: OwnServer
beforeAll(async () => {
  server = await openOwnServer()
})
afterAll(() => server[Symbol.asyncDispose]())

const mapping = `
entities:
  user: { table: users, related: { companies: { table: user_companies, owner: user_id, value: company_id } } }
  company: { table: companies }
`
const tables = `
  create sequence versions;
  create table users (id integer primary key, story text, version bigint default nextval('versions'));
  alter table users alter story set storage external;
  create table user_companies (
    user_id integer references users on delete cascade on update cascade, company_id integer,
    primary key (user_id, company_id)
  );
  insert into users select i, repeat('before', 500) from generate_series(1, ${rowsBefore}) i;
  insert into user_companies select i, 1 from generate_series(1, ${rowsBefore}, 3) i;
  create table companies (id integer primary key);
  insert into companies select i from generate_series(1, ${quietRows}) i;`

/** Half of what happens concerns the few rows that the backfill is at. */
function statement(random: () => number, at: number): string {
  const id = () => Math.ceil(random() < 0.5 ? at + random() * 100 - 30 : random() * (rowsBefore + 50))
  const statements = [
    () => `update users set version = default where id = ${id()}`,
    () => `update users set version = default where id between ${at} and ${at + 50}`,
    () => `update users set story = repeat('later', 500), version = default where id = ${id()}`,
    () => `delete from users where id = ${id()}`,
    () =>
      `insert into users values (${id()}, repeat('new', 700)) on conflict (id) do update set version = default`,
    () =>
      `update users set id = ${id()}, version = default where id = ${id()} and not exists (select from users where id = ${id()})`,
    () => `insert into user_companies values (${id()}, ${id()}) on conflict do nothing`,
    () => `delete from user_companies where user_id = ${id()}`,
  ]
  return statements[Math.floor(random() * statements.length)]!()
}

async function write(url: string, random: () => number, place: () => number, isOver: () => boolean) {
  await using psql = await connect(url)
  while (!isOver()) {
    await psql.query('begin')
    for (let i = Math.ceil(random() * 4); i > 0; i--) {
      await psql.query('savepoint s')
      // What fails, fails: the table is the truth.
      const hasFailed = await psql.query(statement(random, place())).then(
        () => false,
        () => true,
      )
      await psql.query(hasFailed ? 'rollback to s' : 'release s')
    }
    await psql.query(random() < 0.1 ? 'rollback' : 'commit')
    await sleep(random() * 8)
  }
}

test(
  `backfills under random load and kills for ${seconds} s (WALHOOK_SEED=${seed}): a webhook ends with the table, and never gets an older state`,
  async () => {
    const random = randomFrom(seed)
    const database = await server.database()
    await using psql = await connect(database.url)
    await psql.query(tables)
    const file = join(tmpdir(), `walhook-backfill-${process.pid}.yaml`)
    await writeFile(file, mapping)
    const start = () => startWalhook(database, { WALHOOK_ROLES: 'capture,api', WALHOOK_CONFIG: file })
    let walhook: WalhookProcess = start()
    await walhook.ready()
    await using backfills = await openBackfills(database)
    const webhook = await backfills.webhook('user.new', 'user.update', 'user.delete', 'company.new')
    await backfills.webhook('user.update')

    let isOver = false
    let place = 0
    const writers = [1, 2, 3].map(i =>
      write(
        database.url,
        randomFrom(seed + i),
        () => place,
        () => isOver,
      ),
    )
    let isLastDone = false
    const begun = { user: 0, company: 0 }
    /** Begins one backfill after the other, and keeps the queue short. */
    async function follow(): Promise<void> {
      const ids = { user: 0, company: 0 }
      while (!isLastDone) {
        isLastDone = isOver
        for (const entityType of ['user', 'company'] as const) {
          const id = ids[entityType]
          const backfill = id === 0 ? null : await findBackfill(backfills.outbox, id)
          if (entityType === 'user') place = Number(backfill?.afterKey ?? 0)
          if (backfill && !isDone(backfill)) isLastDone = false
          else if (!isOver) {
            ids[entityType] = await backfills.start({ entityType, webhookId: webhook, rowsPerSecond: 2_000 })
            begun[entityType]++
          }
        }
        await psql.query(
          'update walhook.shares set settled_up_to = (select coalesce(max(last_event_id), 0) from walhook.positions)',
        )
        await sleep(50)
      }
    }
    const followed = follow()

    const endAt = performance.now() + seconds * 1_000
    let kills = 0
    while (performance.now() < endAt) {
      const placeBefore = place
      await until(() => place !== placeBefore, { what: 'the backfill to go on', timeoutMs: 60_000 })
      await sleep(random() * 1_500)
      if (random() < 0.7) {
        walhook.kill('SIGKILL')
        await walhook.exited
        walhook = start()
        kills++
      } else
        await psql.query(
          `select pg_terminate_backend(pid) from pg_stat_activity where application_name in ('walhook capture', 'walhook source') and random() < 0.7`,
        )
    }
    isOver = true
    await Promise.all(writers)
    await using last = walhook
    await last.ready()
    await followed
    await psql.query(`insert into users values (100000, 'the last change')`)
    await until(
      async () => (await psql.query(`select from walhook.events where entity_id = '100000'`)).rowCount === 1,
      { what: 'the last change to be captured', timeoutMs: 60_000 },
    )

    const { rows: events } = await psql.query(`
      select e.body from walhook.events e
      cross join lateral (${stateAt(String(webhook), 'e.webhooks_version')}) s
      where entity_type = 'user' and ${wants('e', 's')}
      order by e.id`)
    const replayed = new Map<string, unknown>()
    const versions = new Map<string, number>()
    for (const { body } of events) {
      const { entity_id, action_type, result } = JSON.parse(body)
      const key = String(entity_id)
      // What is there again after a delete begins anew.
      if (action_type === 'delete') {
        replayed.delete(key)
        versions.delete(key)
      } else {
        expect(result.version, `${key} after version ${versions.get(key)}`).toBeGreaterThanOrEqual(
          versions.get(key) ?? 0,
        )
        versions.set(key, result.version)
        replayed.set(key, result)
      }
    }
    const { rows: present } = await psql.query(`
      select id::text as key, to_jsonb(u) || jsonb_build_object('companies', coalesce((
        select jsonb_agg(company_id order by company_id) from user_companies where user_id = u.id), '[]')) as result
      from users u`)
    const short = (value: unknown) => JSON.stringify(value)?.replaceAll(/(\w{1,6})\1{9,}/g, '$1…')
    const different = present.filter(({ key, result }) => !isDeepStrictEqual(replayed.get(key), result))
    expect(
      different.map(({ key, result }) => `${key}: ${short(replayed.get(key))} instead of ${short(result)}`),
    ).toEqual([])
    expect([...replayed.keys()].sort()).toEqual(present.map(({ key }) => key).sort())
    const doubled = await psql.query(
      'select from walhook.events group by commit_lsn, index_in_transaction having count(*) > 1',
    )
    expect(doubled.rowCount).toBe(0)
    const { rows: told } = await psql.query(
      `select times, count(*)::int as companies from (
         select count(*)::int as times from walhook.events where entity_type = 'company' group by entity_id) t group by times`,
    )
    expect(told, `${kills} kills, ${JSON.stringify(begun)}`).toEqual([
      { times: begun.company, companies: quietRows },
    ])
    await rm(file)
  },
  (seconds + 180) * 1_000,
)

test('after a kill between a page and its cursor, the page is stored once', async () => {
  const database = await server.database()
  await using psql = await connect(database.url)
  await psql.query(`
    create table users (id integer primary key); create table companies (id integer primary key);
    insert into users select i from generate_series(1, 5) i`)
  await using walhook = startWalhook(database, { WALHOOK_ROLES: 'capture,api' })
  await walhook.ready()
  await using backfills = await openBackfills(database)
  await backfills.webhook('user.new')
  const id = await backfills.start()
  await using holder = await connect(database.url)
  await holder.query('begin; lock table walhook.backfills in share mode')
  const waits = `select from pg_stat_activity where wait_event_type = 'Lock' and query like '%update walhook.backfills%'`
  await until(async () => (await psql.query(waits)).rowCount === 1, { what: 'the cursor to be moved' })
  walhook.kill('SIGKILL')
  await walhook.exited
  await holder.query('rollback')
  await using next = startWalhook(database, { WALHOOK_ROLES: 'capture,api' })
  await next.ready()
  await backfills.is(id, isDone)
  const { rows } = await psql.query('select entity_id from walhook.events order by id')
  expect(rows.map(({ entity_id }) => entity_id)).toEqual(['1', '2', '3', '4', '5'])
})
