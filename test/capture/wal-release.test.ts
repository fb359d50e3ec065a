import { afterAll, beforeAll, expect, test } from 'vitest'
import { isReleaseDue } from '../../src/capture/source/wal-release.ts'
import { connect } from '../support/connect.ts'
import { type OwnServer, openOwnServer } from '../support/own-database.ts'
import { startCapture } from '../support/run-capture.ts'
import { until } from '../support/wait.ts'

let server: OwnServer
beforeAll(async () => {
  server = await openOwnServer({ autovacuum: 'off', max_wal_size: '4GB', checkpoint_timeout: '1h' })
})
afterAll(() => server[Symbol.asyncDispose]())

/** The application's database, with a table that is not captured; `url` is that of a role of its own where one is wanted. */
async function open(role?: string) {
  const database = await server.database()
  const psql = await connect(database.url)
  await psql.query(`
    create table users (id integer primary key, name text);
    create table companies (id integer primary key);
    create publication walhook for table users, companies;
    create table noise (t text);
    alter table noise alter t set storage external`)
  const url = new URL(database.url)
  if (role) {
    await psql.query(`
      create role ${role} login replication password 'walhook';
      grant create on database ${database.name} to ${role};
      grant select on users, companies to ${role}`)
    url.username = role
    url.password = 'walhook'
  }
  return { psql, database: { ...database, url: url.href }, [Symbol.asyncDispose]: () => psql.end() }
}
type Opened = Awaited<ReturnType<typeof open>>

/** Stops the process of Postgres that puts running transactions on record every 15 seconds, until disposed of. */
async function stopBackgroundWriter({ psql }: Opened): Promise<Disposable> {
  const { rows } = await psql.query(
    `select pid from pg_stat_activity where backend_type = 'background writer'`,
  )
  process.kill(rows[0].pid, 'SIGSTOP')
  return { [Symbol.dispose]: () => void process.kill(rows[0].pid, 'SIGCONT') }
}

async function slotOf({ psql, database }: Opened) {
  const { rows } = await psql.query(
    `select pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::float8 as held_back,
            pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn)::float8 as unconfirmed
     from pg_replication_slots where slot_name = $1`,
    [database.name],
  )
  return rows[0] as { held_back: number; unconfirmed: number }
}

const megabyte = 1024 ** 2

/** Writes a megabyte at a time, each once the one before is confirmed. */
async function writeNoise(at: Opened, megabytes: number) {
  for (let i = 0; i < megabytes; i++) {
    await at.psql.query(`insert into noise select repeat('x', $1)`, [megabyte])
    await until(async () => (await slotOf(at)).unconfirmed < megabyte / 2, {
      what: 'the write to be confirmed',
    })
  }
}

test('while only other tables are written, WAL is released even if Postgres itself logs no snapshot', async ({
  skip,
}) => {
  await using at = await open()
  const { rows } = await at.psql.query(`select to_regproc('pg_log_standby_snapshot') is null as lacks_it`)
  skip(rows[0].lacks_it, 'pg_log_standby_snapshot came with PostgreSQL 16')
  await using capture = await startCapture(at.database)
  using _ = await stopBackgroundWriter(at)
  await writeNoise(at, 24)
  await until(
    async () => {
      // A record can only be followed by another one a second later, and only where there is other WAL.
      await writeNoise(at, 4)
      return (await slotOf(at)).held_back < 16 * megabyte
    },
    { what: 'less than 16 MB to be held back', intervalMs: 200 },
  )
  expect(capture.state().state).toBe('streaming')
})

test('without the right to log snapshots, or before PostgreSQL 16, capture continues, and Postgres releases WAL later', async () => {
  await using at = await open('unprivileged')
  await using capture = await startCapture(at.database)
  const { held_back: before } = await slotOf(at)
  {
    using _ = await stopBackgroundWriter(at)
    await writeNoise(at, 12)
    expect((await slotOf(at)).held_back - before).toBeGreaterThan(11 * megabyte)
  }
  await at.psql.query('insert into users values (1)')
  await capture.caughtUp()
  expect(await capture.events()).toEqual(['user 1 new {"id":1,"name":null}'])
})

test.each([
  [4_194_304n, 1_000, true],
  [1_000_000_000n, 999, false],
  [4_194_303n, Number.POSITIVE_INFINITY, false],
  [4_194_304n, Number.POSITIVE_INFINITY, true],
])('%d bytes and %d ms after the last record, the next one is due: %s', (bytes, ms, isDue) => {
  expect(isReleaseDue(bytes, ms)).toBe(isDue)
})
