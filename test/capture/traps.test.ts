import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createDecoder } from '../../src/capture/stream/decode.ts'
import { openStream } from '../../src/capture/stream/stream.ts'
import type { Lsn } from '../../src/domain/value/lsn.ts'
import { connect } from '../support/connect.ts'
import { type OwnServer, openOwnServer } from '../support/own-database.ts'
import { readEvents } from '../support/read-outbox.ts'
import { startCapture } from '../support/run-capture.ts'
import { openTestLink } from '../support/test-link.ts'
import { until } from '../support/wait.ts'
import { startWalhook, type WalhookProcess } from '../support/walhook-process.ts'

const walSenderTimeoutMs = 2_000
let server: OwnServer
beforeAll(async () => {
  server = await openOwnServer({
    wal_sender_timeout: `${walSenderTimeoutMs}ms`,
    max_prepared_transactions: '10',
    autovacuum: 'off',
    max_replication_slots: '60',
    max_wal_senders: '60',
  })
})
afterAll(() => server[Symbol.asyncDispose]())

async function open(
  sql = 'create table users (id integer primary key, name text); create table companies (id integer primary key)',
) {
  const database = await server.database({ hasOutbox: true })
  const psql = await connect(database.url)
  await psql.query(sql)
  return { database, psql, [Symbol.asyncDispose]: () => psql.end() }
}
type Opened = Awaited<ReturnType<typeof open>>

const captureOnly = { WALHOOK_ROLES: 'capture,api' }
const slotOf = async ({ psql, database }: Opened) =>
  (
    await psql.query(
      `select confirmed_flush_lsn - '0/0' as confirmed, restart_lsn, active_pid as pid,
              pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::float8 as held_back
       from pg_replication_slots where slot_name = $1`,
      [database.name],
    )
  ).rows[0]
/** Counts: reading thousands of events takes longer than storing them. */
const hasStored = ({ psql }: Opened, events: number) =>
  until(
    async () => Number((await psql.query('select count(*) from walhook.events')).rows[0].count) >= events,
    {
      what: `${events} events`,
      timeoutMs: 90_000,
    },
  )
const residentMb = ({ pid }: WalhookProcess) =>
  Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1024

test('confirming one transaction never skips the next, though its commit follows at once (50 times)', async () => {
  await using at = await open()
  await at.psql.query(`create publication walhook for table users`)
  await at.psql.query(`select pg_create_logical_replication_slot('${at.database.name}', 'pgoutput')`)
  await using other = await connect(at.database.url)

  /** Reads until it has seen the commits of `wanted` transactions, confirms the first one, and goes. */
  async function readOnce(wanted: number) {
    const rows: string[] = []
    const done = Promise.withResolvers<Lsn>()
    let first: Lsn | null = null
    let commits = 0
    const decode = createDecoder()
    const stream = await openStream({
      url: at.database.url,
      slotName: at.database.name,
      publicationName: 'walhook',
      silenceLimitMs: walSenderTimeoutMs,
      handler: {
        onMessage(bytes) {
          const message = decode(bytes)
          if (message.kind === 'change' && message.change.kind === 'insert')
            rows.push(String(message.change.row[0]))
          if (message.kind !== 'commit') return
          first ??= message.endLsn
          if (++commits === wanted) done.resolve(first)
        },
        onKeepalive() {},
      },
    })
    stream.confirm(await done.promise)
    await stream.close()
    return rows
  }

  for (let i = 0; i < 50; i++) {
    await at.psql.query(`begin; insert into users values (${2 * i})`)
    await other.query(`begin; insert into users values (${2 * i + 1})`)
    await Promise.all([at.psql.query('commit'), other.query('commit')])
    const [first, second] = await readOnce(2)
    expect([first, second].map(Number).sort((a, b) => a - b)).toEqual([2 * i, 2 * i + 1])
    await until(async () => (await slotOf(at)).pid === null, { what: 'the slot to be free' })
    expect(await readOnce(1)).toEqual([second])
    await until(async () => (await slotOf(at)).pid === null, { what: 'the slot to be free' })
  }
})

// The next two mostly wait, each in a database of its own.
test.concurrent('nothing is confirmed past what is not stored, however long the outbox takes, and the link stays', async () => {
  await using at = await open()
  await using walhook = startWalhook(at.database, captureOnly)
  await walhook.ready()
  await at.psql.query(`insert into users values (0, 'stored')`)
  await until(async () => (await readEvents(at.psql)).length === 1, { what: 'the first event' })

  await using blocker = await connect(at.database.url)
  await blocker.query('begin; lock table walhook.positions in access exclusive mode')
  const { rows } = await at.psql.query(`select clock_timestamp() as now`)
  await at.psql.query(`insert into users select i, repeat('x', 500) from generate_series(1, 60000) i`)
  const after = await at.psql.query(`select pg_current_wal_insert_lsn() - '0/0' as lsn`)
  const before = await slotOf(at)
  await until(
    async () =>
      (
        await at.psql.query(
          `select from pg_stat_replication where pid = $1 and reply_time > $2::timestamptz + interval '${5 * walSenderTimeoutMs} ms'`,
          [before.pid, rows[0].now],
        )
      ).rowCount === 1,
    { what: 'the same link to have answered for five times the timeout', timeoutMs: 60_000 },
  )
  expect(Number((await slotOf(at)).confirmed)).toBeLessThan(Number(after.rows[0].lsn))
  expect(residentMb(walhook)).toBeLessThan(200)
  walhook.kill('SIGKILL')
  await walhook.exited
  await blocker.query('rollback')

  await using next = startWalhook(at.database, captureOnly)
  await next.ready()
  await hasStored(at, 60_001)
  const counted = await at.psql.query(
    'select count(*)::int as n, count(distinct entity_id)::int as ids from walhook.events',
  )
  expect(counted.rows).toEqual([{ n: 60_001, ids: 60_001 }])
}, 120_000)

test.concurrent('a link that is cut while the outbox commits leaves its outcome unknown, and nothing is lost or written twice', async () => {
  await using at = await open()
  await using link = await openTestLink(at.database.url)
  await using walhook = startWalhook(at.database, { ...captureOnly, OUTBOX_DATABASE_URL: link.url })
  await walhook.ready()
  const rounds = 5
  // Twice in a row, too; otherwise what was cut is stored first, so that the next try comes soon.
  const isInARow = (round: number) => round === 2
  for (let round = 1; round <= rounds; round++) {
    const failures = walhook.log.filter(({ msg }) => msg === 'capture.failed').length
    link.cutAnswerTo('append')
    await at.psql.query('insert into users values ($1), ($2)', [2 * round, 2 * round + 1])
    await until(() => walhook.log.filter(({ msg }) => msg === 'capture.failed').length > failures, {
      what: 'the link to be cut',
    })
    if (isInARow(round)) continue
    await until(async () => (await readEvents(at.psql)).length >= 2 * round, {
      what: 'the rows of the round',
    })
    await walhook.ready()
  }
  await until(async () => (await readEvents(at.psql)).length >= 2 * rounds, { what: 'every row' })
  await at.psql.query('insert into users values (1000)')
  await until(async () => (await readEvents(at.psql)).at(-1) === 'user 1000 new', { what: 'the last row' })
  expect(await readEvents(at.psql)).toEqual([
    ...Array.from({ length: 2 * rounds }, (_, i) => `user ${i + 2} new`),
    'user 1000 new',
  ])
}, 180_000)

test('WAL that is none of ours is let go: 200 MB in another table and another database', async () => {
  await using at = await open()
  // Not compressed, it is as much WAL.
  const noise = 'create table noise (t text); alter table noise alter t set storage external'
  await using elsewhere = await open(noise)
  await using capture = await startCapture(at.database)
  await at.psql.query(noise)
  const { rows } = await at.psql.query('select pg_current_wal_lsn() as lsn')
  for (const psql of [at.psql, elsewhere.psql])
    for (let i = 0; i < 10; i++) await psql.query(`insert into noise values (repeat('x', 10 * 1024 * 1024))`)
  const written = await at.psql.query('select pg_wal_lsn_diff(pg_current_wal_lsn(), $1)::float8 as bytes', [
    rows[0].lsn,
  ])
  expect(written.rows[0].bytes).toBeGreaterThan(200_000_000)
  await until(async () => (await slotOf(at)).held_back < 16 * 1024 * 1024, {
    what: 'less than 16 MB to be held back',
  })
  expect(capture.state().state).toBe('streaming')
}, 120_000)

test('a crash of Postgres takes the slot back, and no event is written twice', async () => {
  await using at = await open()
  const walhook = startWalhook(at.database, captureOnly)
  await using _ = walhook
  await walhook.ready()
  const expected: string[] = []
  for (let round = 0; round < 3; round++) {
    await using psql = await connect(at.database.url)
    for (let i = 0; i < 20; i++) {
      await psql.query(`insert into users values (${round * 20 + i})`)
      expected.push(`user ${round * 20 + i} new`)
    }
    await until(async () => (await readEvents(psql)).length === expected.length, {
      what: 'the events of a round',
    })
    await server.stop('immediate')
    await server.start()
    await walhook.ready()
  }
  await using psql = await connect(at.database.url)
  await psql.query('insert into users values (1000)')
  await until(async () => (await readEvents(psql)).includes('user 1000 new'), {
    what: 'the change after the crashes',
  })
  expect(await readEvents(psql)).toEqual([...expected, 'user 1000 new'])
}, 120_000)

test('a COPY, whose rows share their LSNs, is one event for each row in its order, also with a kill in the middle', async () => {
  await using at = await open()
  const first = startWalhook(at.database, captureOnly)
  await first.ready()
  await at.psql.query(`copy users (id) from program 'seq 1 5000'`)
  first.kill('SIGKILL')
  await first.exited
  await at.psql.query(`copy users (id) from program 'seq 5001 10000'`)
  await using next = startWalhook(at.database, captureOnly)
  await next.ready()
  await hasStored(at, 10_000)
  expect(await readEvents(at.psql)).toEqual(Array.from({ length: 10_000 }, (_, i) => `user ${i + 1} new`))
})

test('a link that is half open is noticed, shown in readiness, and replaced', async () => {
  await using at = await open()
  await using walhook = startWalhook(at.database, captureOnly)
  await walhook.ready()
  const { pid } = await slotOf(at)
  process.kill(pid, 'SIGSTOP')
  try {
    const readyz = `${await walhook.url()}/readyz`
    await until(async () => (await fetch(readyz)).status === 503, { what: 'readiness to be red' })
    await at.psql.query('insert into users values (1)')
    // It stays red for as long as the dead link holds the slot: nobody else is there to stand by for.
    await until(() => walhook.log.find(({ reason }) => String(reason).includes('still holds the slot')), {
      what: 'walhook to say who holds the slot',
    })
    expect((await fetch(readyz)).status).toBe(503)
  } finally {
    process.kill(pid, 'SIGCONT')
  }
  await walhook.ready()
  await until(async () => (await readEvents(at.psql)).length === 1, { what: 'the change made meanwhile' })
})

test('a probe that was asked for is sent while nothing else happens, and says how long the way is', async () => {
  await using at = await open()
  await using walhook = startWalhook(at.database, { ...captureOnly, WALHOOK_PROBE_INTERVAL: '1s' })
  await walhook.ready()
  const probeMs = async () =>
    ((await walhook.api('GET', '/api/status')).capture as { probe_ms: number | null }).probe_ms
  await until(async () => (await probeMs()) !== null, { what: 'a probe to have come through' })
  expect(await probeMs()).toBeGreaterThanOrEqual(0)
})

test('an idle walhook writes no WAL', async () => {
  await using at = await open()
  await using walhook = startWalhook(at.database)
  await walhook.ready()
  await walhook.logged('delivery.shares')
  await at.psql.query('checkpoint')
  const lsn = async () =>
    Number((await at.psql.query(`select pg_current_wal_insert_lsn() - '0/0' as lsn`)).rows[0].lsn)
  const statuses = async () =>
    (
      await at.psql.query('select reply_time from pg_stat_replication where application_name like $1', [
        'walhook%',
      ])
    ).rows[0]
  // What it does at its start, retention among it, has ended.
  await until(
    async () => {
      const [before, { reply_time: since }] = [await lsn(), await statuses()]
      await until(async () => (await statuses()).reply_time - since > 2_000, { what: 'a status' })
      return (await lsn()) === before
    },
    { what: 'its start to be over', timeoutMs: 60_000 },
  )
  const [start, { reply_time: from }] = [await lsn(), await statuses()]
  await until(async () => (await statuses()).reply_time - from > 12_000, {
    what: 'two slow polls and many keepalives',
    timeoutMs: 60_000,
  })
  // What Postgres itself notes of running transactions, now and then.
  expect((await lsn()) - start).toBeLessThan(1_000)
})

test('a key that is not the primary key works as identity, and another value of it is another entity', async () => {
  await using at = await open(`
    create table users (no integer primary key, id text not null unique, name text);
    alter table users replica identity using index users_id_key;
    create table companies (id integer primary key)`)
  await using capture = await startCapture(at.database)
  await at.psql.query(`insert into users values (1, 'a', 'x')`)
  await at.psql.query(`update users set name = 'y'`)
  await at.psql.query(`update users set id = 'b'`)
  await at.psql.query('delete from users')
  await capture.caughtUp()
  expect(await capture.events()).toEqual([
    'user "a" new {"no":1,"id":"a","name":"x"}',
    'user "a" update {"no":1,"id":"a","name":"y"}',
    'user "a" delete',
    'user "b" new {"no":1,"id":"b","name":"y"}',
    'user "b" delete',
  ])
})

test('of a transaction that does not fit into memory, what was rolled back to a savepoint is told nowhere', async () => {
  await using at = await open()
  // Beyond this Postgres writes the transaction to disk, or sends it before its end to who asks for that.
  await at.psql.query(`alter database ${at.database.name} set logical_decoding_work_mem = '64kB'`)
  await using capture = await startCapture(at.database)
  const insert = (from: number, to: number) =>
    `insert into users select n, repeat('x', 200) from generate_series(${from}, ${to}) n`
  await at.psql.query(`
    begin;
    ${insert(1, 2_000)};
    savepoint s;
    ${insert(2_001, 4_000)};
    update users set name = 'undone';
    savepoint t;
    delete from users;
    release savepoint t;
    rollback to savepoint s;
    ${insert(4_001, 4_100)};
    update users set name = 'kept' where id = 2000;
    commit`)
  await capture.caughtUp()
  const { rows } = await at.psql.query(
    `select string_agg(spill_txns::text, '') as spilled from pg_stat_replication_slots where slot_name = $1`,
    [at.database.name],
  )
  expect(Number(rows[0].spilled)).toBeGreaterThan(0)
  const row = (n: number) => `user ${n} new {"id":${n},"name":"${n === 2_000 ? 'kept' : 'x'.repeat(200)}"}`
  expect(await capture.events()).toEqual(
    [...Array(2_000).keys(), ...Array.from({ length: 100 }, (_, i) => 4_000 + i)].map(i => row(i + 1)),
  )
})

test('a prepared transaction counts when it is committed, and not when it is not', async () => {
  await using at = await open()
  await using capture = await startCapture(at.database)
  await at.psql.query(`begin; insert into users values (1); prepare transaction 'one'`)
  await at.psql.query(`begin; insert into users values (2); prepare transaction 'two'`)
  await at.psql.query('insert into users values (3)')
  await at.psql.query(`rollback prepared 'two'`)
  await at.psql.query(`commit prepared 'one'`)
  await capture.caughtUp()
  expect(await capture.events()).toEqual([
    'user 3 new {"id":3,"name":null}',
    'user 1 new {"id":1,"name":null}',
  ])
})

test('the replica identity may change inside a transaction', async () => {
  await using at = await open()
  await using capture = await startCapture(at.database)
  await at.psql.query(`insert into users values (1, 'a'), (2, 'b')`)
  await at.psql.query(`
    begin;
    update users set name = 'c' where id = 1;
    alter table users replica identity full;
    update users set id = 3 where id = 2;
    alter table users replica identity default;
    delete from users where id = 1;
    commit`)
  await capture.caughtUp()
  expect((await capture.events()).slice(2)).toEqual([
    'user 1 delete',
    'user 2 delete',
    'user 3 new {"id":3,"name":"b"}',
  ])
})
