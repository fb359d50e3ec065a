import { rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connect } from '../support/connect.ts'
import { type OwnServer, openOwnServer } from '../support/own-database.ts'
import { randomFrom } from '../support/random.ts'
import { until } from '../support/wait.ts'
import { startWalhook, type WalhookProcess } from '../support/walhook-process.ts'

/** WALHOOK_CONVERGENCE_S runs it for as long as one wants, WALHOOK_SEED repeats what a failure has printed. */
const seconds = Number(process.env.WALHOOK_CONVERGENCE_S || 60)
const seed = Number(process.env.WALHOOK_SEED || Math.floor(Math.random() * 2 ** 31))

let server: OwnServer
beforeAll(async () => {
  server = await openOwnServer({ wal_sender_timeout: '4s' })
})
afterAll(() => server[Symbol.asyncDispose]())

const mapping = `
entities:
  user:
    table: users
    related:
      companies: { table: user_companies, owner: user_id, value: company_id }
      company_names: { table: companies, through: { table: user_companies, owner: user_id, to: company_id }, value: name }
      cities:
        table: cities
        through: [{ table: user_companies, owner: user_id, to: company_id }, { table: companies, to: city_id }]
        value: name
      home: { table: cities, through: n, value: name }
  company: { table: companies }
`
const tables = `
  create table users (id integer primary key, name text, story text, n bigint);
  create table companies (id integer primary key, name text, city_id integer);
  create table cities (id integer primary key, name text);
  create table user_companies (
    user_id integer references users on delete cascade,
    company_id integer references companies on delete cascade,
    primary key (user_id, company_id)
  );
  insert into companies values (100, 'always there');
  alter table users alter story set storage external;
  alter table companies replica identity full;
  insert into cities select i, 'city ' || i from generate_series(0, 9) i;`

function statement(random: () => number): string {
  const id = () => Math.floor(random() * 40)
  const text = () => `'${Math.floor(random() * 1e9).toString(36)}'`
  const statements = [
    () =>
      `insert into users values (${id()}, ${text()}, repeat(${text()}, ${random() < 0.3 ? 500 : 3}), ${id()}) on conflict (id) do update set name = excluded.name`,
    () => `update users set name = ${text()} where id = ${id()}`,
    () => `update users set n = n + 1 where id between ${id()} and ${id()}`,
    () => `update users set story = repeat(${text()}, 500) where id = ${id()}`,
    () =>
      `update users set id = ${id()} where id = ${id()} and not exists (select from users where id = ${id()})`,
    () => `delete from users where id = ${id()}`,
    () => `insert into companies values (${id()}, ${text()}) on conflict (id) do update set name = ${text()}`,
    () => `delete from companies where id = ${id()}`,
    () => `update companies set name = ${text()} where id = ${random() < 0.3 ? 100 : id()}`,
    () => `update companies set city_id = ${id() % 10} where id in (100, ${id()})`,
    () => `update cities set name = ${text()} where id = ${id() % 10}`,
    () => `delete from cities where id = ${id() % 10}`,
    () => `insert into cities values (${id() % 10}, ${text()}) on conflict do nothing`,
    () => `insert into user_companies values (${id()}, ${id()}) on conflict do nothing`,
    () => `update user_companies set user_id = ${id()} where user_id = ${id()} and company_id = 100`,
    () => `delete from user_companies where user_id = ${id()}`,
    () => `insert into user_companies values (${id()}, 100) on conflict do nothing`,
  ]
  return statements[Math.floor(random() * statements.length)]!()
}

/** Runs random transactions until it is told to stop; what fails, fails: the tables are the truth. */
async function write(url: string, random: () => number, isOver: () => boolean): Promise<number> {
  let transactions = 0
  while (!isOver()) {
    try {
      await using psql = await connect(url)
      while (!isOver()) {
        await psql.query('begin')
        for (let i = Math.ceil(random() * 5); i > 0; i--) {
          await psql.query('savepoint s')
          const failed = await psql.query(statement(random)).then(
            () => random() < 0.1,
            () => true,
          )
          await psql.query(failed ? 'rollback to s' : 'release s')
        }
        await psql.query(random() < 0.1 ? 'rollback' : 'commit')
        transactions++
        await new Promise(resolve => setTimeout(resolve, random() * 10))
      }
    } catch {
      await new Promise(resolve => setTimeout(resolve, 100))
    }
  }
  return transactions
}

test(
  `random load and failures for ${seconds} s (WALHOOK_SEED=${seed}): replaying the outbox gives exactly the source`,
  async () => {
    const random = randomFrom(seed)
    const database = await server.database()
    await using setup = await connect(database.url)
    await setup.query(tables)
    const file = join(tmpdir(), `walhook-convergence-${process.pid}.yaml`)
    await writeFile(file, mapping)
    const start = () => startWalhook(database, { WALHOOK_ROLES: 'capture,api', WALHOOK_CONFIG: file })
    let walhook: WalhookProcess = start()
    await walhook.ready()

    let isOver = false
    const writers = [1, 2, 3].map(i => write(database.url, randomFrom(seed + i), () => isOver))
    const endAt = performance.now() + seconds * 1_000
    const failures = { killed: 0, cut: 0, crashed: 0 }
    while (performance.now() < endAt) {
      await new Promise(resolve => setTimeout(resolve, 300 + random() * 2_000))
      const dice = random()
      if (dice < 0.5) {
        walhook.kill('SIGKILL')
        await walhook.exited
        walhook = start()
        failures.killed++
      } else if (dice < 0.9) {
        await using psql = await connect(database.url)
        await psql.query(
          `select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'walhook%' and random() < 0.7`,
        )
        failures.cut++
      } else {
        await server.stop('immediate')
        await server.start()
        failures.crashed++
      }
    }
    isOver = true
    const transactions = (await Promise.all(writers)).reduce((sum, n) => sum + n)
    // The last one may have begun while the server was down, and has ended then.
    walhook.kill('SIGKILL')
    await walhook.exited
    await using last = start()
    await last.ready()

    await using psql = await connect(database.url)
    // Nothing else tells those who show these rows.
    await psql.query(`update companies set name = name || '!'`)
    await psql.query(`update cities set name = name || '!'`)
    await psql.query(`insert into companies values (1000, 'the last change')`)
    await until(
      async () =>
        (await psql.query(`select from walhook.events where entity_type = 'company' and entity_id = '1000'`))
          .rowCount === 1,
      { what: 'the last change to be captured', timeoutMs: 60_000 },
    )
    await until(
      async () => (await psql.query('select from walhook.resyncs where ended_at is null')).rowCount === 0,
      { what: 'what is told page by page', timeoutMs: 60_000 },
    )
    // What was there before the slot was is not in the outbox.
    const replayed = new Map<string, unknown>([
      ['company 100', { id: 100, name: 'always there', city_id: null }],
    ])
    const { rows: events } = await psql.query(
      'select commit_lsn, index_in_transaction, body from walhook.events order by id',
    )
    for (const { body } of events) {
      const { entity_type, entity_id, action_type, result } = JSON.parse(body)
      const key = `${entity_type} ${entity_id}`
      // What a receiver has is never told to be new, and what it has not is never told to be changed.
      if (action_type === 'new') expect(replayed.has(key), `new ${key}`).toBe(false)
      else expect(replayed.has(key), `${action_type} ${key}`).toBe(true)
      if (action_type === 'delete') replayed.delete(key)
      else replayed.set(key, result)
    }
    const { rows: present } = await psql.query(`
    select 'user ' || id as key, to_jsonb(u) || jsonb_build_object('companies', coalesce((
        select jsonb_agg(company_id order by company_id) from user_companies where user_id = u.id), '[]'),
      'company_names', coalesce((
        select jsonb_agg(c.name order by c.id) from user_companies uc join companies c on c.id = uc.company_id
        where uc.user_id = u.id), '[]'),
      'cities', coalesce((
        select jsonb_agg(t.name order by t.id) from user_companies uc join companies c on c.id = uc.company_id
          join cities t on t.id = c.city_id where uc.user_id = u.id), '[]'),
      'home', (select name from cities where id = u.n)) as result
    from users u
    union all select 'company ' || id, to_jsonb(c) from companies c`)
    const short = (value: unknown) =>
      JSON.stringify(value, (_, each) => (typeof each === 'string' ? each.slice(0, 40) : each))
    const different = present.filter(({ key, result }) => !isDeepStrictEqual(replayed.get(key), result))
    expect(
      different.map(({ key, result }) => `${key}: ${short(replayed.get(key))} instead of ${short(result)}`),
    ).toEqual([])
    expect([...replayed.keys()].sort()).toEqual(present.map(({ key }) => key).sort())
    await rm(file)
    const identities = new Set(events.map(event => `${event.commit_lsn} ${event.index_in_transaction}`))
    expect(identities.size).toBe(events.length)
    expect(events.length, `${transactions} transactions, ${JSON.stringify(failures)}`).toBeGreaterThan(
      seconds,
    )
  },
  (seconds + 180) * 1_000,
)
