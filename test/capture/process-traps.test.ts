import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connect } from '../support/connect.ts'
import { type OwnServer, openOwnServer } from '../support/own-database.ts'
import { readEvents } from '../support/read-outbox.ts'
import { openTestLink } from '../support/test-link.ts'
import { until } from '../support/wait.ts'
import { startWalhook, type WalhookProcess } from '../support/walhook-process.ts'

/** Traps between processes, links and servers: whole processes of walhook, which no version of Postgres makes different. */
let server: OwnServer
beforeAll(async () => {
  server = await openOwnServer({ autovacuum: 'off', max_replication_slots: '60', max_wal_senders: '60' })
})
afterAll(() => server[Symbol.asyncDispose]())

async function open() {
  const database = await server.database({ hasOutbox: true })
  const psql = await connect(database.url)
  await psql.query(
    'create table users (id integer primary key, name text); create table companies (id integer primary key)',
  )
  return { database, psql, [Symbol.asyncDispose]: () => psql.end() }
}
type Opened = Awaited<ReturnType<typeof open>>

const captureOnly = { WALHOOK_ROLES: 'capture,api' }
const slotOf = async ({ psql, database }: Opened) =>
  (
    await psql.query(
      `select confirmed_flush_lsn - '0/0' as confirmed, active_pid as pid
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

// The first ones mostly wait, each in a database of its own.
test.concurrent('nothing unstored is confirmed while the outbox is slow, and the connection stays open', async () => {
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
          `select from pg_stat_replication where pid = $1 and reply_time > $2::timestamptz + interval '10 s'`,
          [before.pid, rows[0].now],
        )
      ).rowCount === 1,
    { what: 'the same link to have reported for 10 s', timeoutMs: 60_000 },
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

test.concurrent('a connection cut during a commit of the outbox loses nothing and stores nothing twice', async () => {
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

test.concurrent('a half-open connection is detected, shown in readiness, and replaced', async () => {
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

test.concurrent('a requested probe is sent on an idle source, and measures the round trip', async () => {
  await using at = await open()
  await using walhook = startWalhook(at.database, { ...captureOnly, WALHOOK_PROBE_INTERVAL: '1s' })
  await walhook.ready()
  const probeMs = async () =>
    ((await walhook.api('GET', '/api/status')).capture as { probe_ms: number | null }).probe_ms
  await until(async () => (await probeMs()) !== null, { what: 'a probe to have come through' })
  expect(await probeMs()).toBeGreaterThanOrEqual(0)
})

test('a crash of Postgres sets the slot back, and no event is stored twice', async () => {
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

test('an idle walhook writes no WAL', async () => {
  await using at = await open()
  await using walhook = startWalhook(at.database)
  await walhook.ready()
  await walhook.logged('delivery.shares')
  await at.psql.query('create extension pg_walinspect')
  const lsn = async () =>
    (await at.psql.query<{ lsn: string }>('select pg_current_wal_insert_lsn()::text as lsn')).rows[0]!.lsn
  // Whoever writes commits, or emits a message. Readers leave records, too: of pruned pages, and of hints.
  const writtenSince = async (from: string) => {
    const { rows: flushed } = await at.psql.query<{ lsn: string }>(
      'select lsn::text from pg_current_wal_flush_lsn() lsn where lsn > $1',
      [from],
    )
    if (!flushed[0]) return []
    const { rows } = await at.psql.query<{ resource_manager: string; bytes: number }>(
      `select resource_manager, record_length as bytes from pg_get_wal_records_info($1, $2)
       where resource_manager in ('Transaction', 'LogicalMessage', 'Standby')`,
      [from, flushed[0].lsn],
    )
    return rows
  }
  const statuses = async () =>
    (
      await at.psql.query('select reply_time from pg_stat_replication where application_name like $1', [
        'walhook%',
      ])
    ).rows[0]
  // Two slow polls and many keepalives, from some moment after its start: that ends with retention and the first heartbeat.
  await until(
    async () => {
      const [start, { reply_time: from }] = [await lsn(), await statuses()]
      await until(async () => (await statuses()).reply_time - from > 12_000, {
        what: 'statuses of 12 s',
        timeoutMs: 60_000,
      })
      const written = await writtenSince(start)
      expect(written.filter(({ resource_manager }) => resource_manager === 'Transaction')).toEqual([])
      // A probe, and what Postgres itself notes of running transactions, now and then.
      expect(written.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThan(1_000)
      return true
    },
    { what: 'nothing to be written', timeoutMs: 70_000 },
  )
})
