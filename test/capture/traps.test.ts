import { afterAll, beforeAll, expect, test } from 'vitest'
import { createDecoder } from '../../src/capture/stream/decode.ts'
import { openStream } from '../../src/capture/stream/stream.ts'
import type { Lsn } from '../../src/domain/value/lsn.ts'
import { startCaptureProcess } from '../support/capture-process.ts'
import { connect } from '../support/connect.ts'
import { type OwnServer, openOwnServer } from '../support/own-database.ts'
import { readEvents } from '../support/read-outbox.ts'
import { startCapture } from '../support/run-capture.ts'
import { slotIsFree } from '../support/slot.ts'
import { until } from '../support/wait.ts'

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

const slotOf = async ({ psql, database }: Opened) =>
  (
    await psql.query(
      `select active_pid as pid, pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::float8 as held_back
       from pg_replication_slots where slot_name = $1`,
      [database.name],
    )
  ).rows[0]

test('confirming one transaction never skips the next, even one that commits at once (50 times)', async () => {
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

test('WAL of other tables and databases is released: 200 MB', async () => {
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

test('a COPY, whose rows share LSNs, gives one event per row in order, also with a kill in the middle', async () => {
  await using at = await open()
  const first = startCaptureProcess(at.database)
  await first.streaming
  await at.psql.query(`copy users (id) from program 'seq 1 5000'`)
  await first.kill()
  await at.psql.query(`copy users (id) from program 'seq 5001 10000'`)
  await slotIsFree(at.psql, at.database.name)
  await using next = await startCapture(at.database)
  await next.caughtUp()
  expect(await readEvents(at.psql)).toEqual(Array.from({ length: 10_000 }, (_, i) => `user ${i + 1} new`))
})

test('a unique key that is not the primary key identifies entities', async () => {
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

test('changes rolled back to a savepoint in a transaction larger than memory are never sent', async () => {
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

test('a prepared transaction is sent when it is committed, and never if it is rolled back', async () => {
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
