import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startCaptureProcess } from '../support/capture-process.ts'
import { connect } from '../support/connect.ts'
import { type OwnServer, openOwnServer } from '../support/own-database.ts'
import { startCapture } from '../support/run-capture.ts'
import { slotIsFree } from '../support/slot.ts'
import { until } from '../support/wait.ts'
import { startWalhook, type WalhookProcess } from '../support/walhook-process.ts'

const kills = Number(process.env.WALHOOK_KILLS || 100)
const giantRows = Number(process.env.WALHOOK_GIANT_ROWS || 1_000_000)
/** At the highest, in MB: Linux keeps count. */
/** 200 MB is the limit of the package; a checkout has Node.js' reader of TypeScript in memory, too: 25 MB. */
const maxMb = 225
const peakMb = ({ pid }: WalhookProcess) =>
  Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1024

let server: OwnServer
beforeAll(async () => {
  server = await openOwnServer({ max_wal_size: '4GB', synchronous_commit: 'off', autovacuum: 'off' })
})
afterAll(() => server[Symbol.asyncDispose]())

async function open() {
  const database = await server.database()
  const psql = await connect(database.url)
  await psql.query(
    'create table users (id integer primary key, n integer); create table companies (id integer primary key)',
  )
  return { database, psql, [Symbol.asyncDispose]: () => psql.end() }
}

test(`killed ${kills} times at random points between receiving and confirming, every change is one event, in order`, async () => {
  await using at = await open()
  {
    await using first = await startCapture(at.database)
    await first.caughtUp()
  }
  let isOver = false
  let changes = 0
  /** How many transactions may have been written by now: what is left to read at the end is bounded. */
  let allowed = 0
  const writing = (async () => {
    await using psql = await connect(at.database.url)
    for (let n = 0; !isOver; n++) {
      await until(() => isOver || n < allowed, { what: 'the next start' })
      const rows = n % 50 === 0 ? 3_000 : 1 + (n % 7)
      await psql.query(
        'insert into users select i, $2 from generate_series(1, $1) i on conflict (id) do update set n = excluded.n',
        [rows, n],
      )
      changes += rows
      await sleep(5)
    }
  })()
  for (let i = 0; i < kills; i++) {
    const capture = startCaptureProcess(at.database)
    await capture.streaming
    allowed += 20
    await sleep(Math.random() * 80)
    await capture.kill()
    await slotIsFree(at.psql, at.database.name)
  }
  isOver = true
  await writing
  await using last = await startCapture(at.database)
  await last.caughtUp()
  const { rows } = await at.psql.query(`
    select count(*)::int as events, count(distinct (commit_lsn, index_in_transaction))::int as distinct,
           count(*) filter (where n <= before)::int as backwards
    from (select *, (body::jsonb #>> '{result,n}')::int as n,
                 lag((body::jsonb #>> '{result,n}')::int) over (partition by entity_id order by id) as before
          from walhook.events) e`)
  expect(rows).toEqual([{ events: changes, distinct: changes, backwards: 0 }])
}, 900_000)

test(`an UPDATE of ${giantRows} rows takes no more memory than a small one, is never partly visible, and survives a kill`, async () => {
  await using at = await open()
  await at.psql.query('insert into users select i, 0 from generate_series(1, $1) i', [giantRows])
  const env = { WALHOOK_ROLES: 'capture,api' }
  const first = startWalhook(at.database, env)
  await using _ = first
  await first.ready()
  await at.psql.query('update users set n = 1')
  const size = `select sum(pg_relation_size(inhrelid)) as bytes from pg_inherits where inhparent = 'walhook.events'::regclass`
  await until(async () => Number((await at.psql.query(size)).rows[0].bytes) > 50 * giantRows, {
    what: 'a part of it to be stored and not committed',
    timeoutMs: 120_000,
    intervalMs: 5,
  })
  expect((await at.psql.query('select from walhook.events limit 1')).rowCount).toBe(0)
  expect(peakMb(first)).toBeLessThan(maxMb)
  first.kill('SIGKILL')
  await first.exited

  await using next = startWalhook(at.database, env)
  await until(async () => (await at.psql.query('select from walhook.events limit 1')).rowCount === 1, {
    what: 'the first event',
    timeoutMs: 240_000,
  })
  const { rows } = await at.psql.query(
    `select count(*)::int as events, count(distinct entity_id)::int as entities, max(index_in_transaction) as last from walhook.events`,
  )
  expect(rows).toEqual([{ events: giantRows, entities: giantRows, last: giantRows - 1 }])
  expect(peakMb(next)).toBeLessThan(maxMb)
}, 600_000)
