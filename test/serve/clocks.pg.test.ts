import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, test } from 'vitest'
import { firstIdAt, timeOf } from '../../src/domain/value/time-id.ts'
import { advanceRetentionClock } from '../../src/outbox/database/clock.ts'
import { connect } from '../support/connect.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { openTestOutbox } from '../support/open-outbox.ts'
import { readQueue } from '../support/read-outbox.ts'
import { startTestReceiver } from '../support/test-receiver.ts'
import { until } from '../support/wait.ts'
import { runWalhook, startWalhook } from '../support/walhook-process.ts'

const dayMs = 86_400_000

/** What makes a process believe that it is so much later. */
async function shifted(database: TestDatabase, ms: number): Promise<Record<string, string>> {
  const file = join(tmpdir(), `${database.name}.clock`)
  await writeFile(file, String(ms))
  const clock = pathToFileURL(join(import.meta.dirname, '..', 'chaos', 'clock.ts')).href
  return { CHAOS_CLOCK: file, NODE_OPTIONS: `--import ${clock}` }
}

async function openDatabase() {
  const database = await createTestDatabase({ hasOutbox: true })
  const psql = await connect(database.url)
  await psql.query(
    'create table users (id integer primary key); create table companies (id integer primary key)',
  )
  const ids = async () =>
    (await psql.query('select id from walhook.events order by id')).rows.map(({ id }) => BigInt(id))
  const settled = () =>
    until(async () => (await readQueue(psql)).deliveries === 0, {
      what: 'everything to be settled',
    })
  return { database, psql, ids, settled, [Symbol.asyncDispose]: () => psql.end() }
}

test.each([
  ['three hours ahead', 3 / 24],
  ['sixty days ahead', 60],
  ['sixty days behind', -60],
])(
  'a process whose clock is %s captures, delivers once, keeps everything, and finds events by their time',
  async (_how, days) => {
    await using at = await openDatabase()
    await using receiver = await startTestReceiver()
    {
      await using walhook = startWalhook(at.database)
      await walhook.ready()
      await walhook.api('POST', '/api/webhooks', { name: 'CRM', url: receiver.url, triggers: ['user.new'] })
      await at.psql.query('insert into users select generate_series(1, 4)')
      await until(() => receiver.arrivals.length === 4, { what: 'four deliveries' })
      walhook.kill('SIGTERM')
      await walhook.exited
    }
    const started = new Date()
    await using walhook = startWalhook(at.database, await shifted(at.database, days * dayMs))
    await walhook.ready()
    const told = await walhook.logged('clock.host_differs')
    expect(Math.abs(Number(told.seconds) - days * 86_400)).toBeLessThan(120)
    await at.psql.query('insert into users select generate_series(5, 9)')
    await until(() => receiver.arrivals.length >= 9, { what: 'nine deliveries' })
    await at.settled()
    for (const id of await at.ids()) expect(Math.abs(timeOf(id) - Date.now())).toBeLessThan(120_000)
    for (const { headers } of receiver.arrivals)
      expect(Math.abs(Number(headers['webhook-timestamp']) * 1000 - Date.now())).toBeLessThan(120_000)

    const { queued } = await walhook.api('POST', '/api/webhooks/1/replay', {
      from: new Date(started.getTime() - 600_000).toISOString(),
    })
    expect(queued).toBe(9)
    await until(() => receiver.arrivals.length >= 18, { what: 'all once more' })
    expect(receiver.arrivals.length).toBe(18)
    await at.settled()
    const { rows } = await at.psql.query('select count(*)::int as n from walhook.attempts')
    expect(rows[0].n).toBe(18)
  },
)

test('ids in the future are logged, do not stop capture, and are included in a replay until now', async () => {
  await using at = await openDatabase()
  await using receiver = await startTestReceiver()
  expect(await runWalhook(at.database, ['migrate'])).toMatchObject({ code: 0 })
  await using first = startWalhook(at.database)
  await first.ready()
  first.kill('SIGTERM')
  await first.exited
  const ahead = Date.now() + 12 * dayMs
  await at.psql.query('update walhook.positions set last_event_id = $1', [firstIdAt(ahead)])

  await using walhook = startWalhook(at.database)
  await walhook.ready()
  await walhook.logged('clock.ids_ahead')
  expect((await walhook.api('GET', '/api/status')).ids_ahead_ms).toBeGreaterThan(11 * dayMs)
  await walhook.api('POST', '/api/webhooks', { name: 'CRM', url: receiver.url, triggers: ['user.new'] })
  await at.psql.query('insert into users select generate_series(1, 9)')
  await until(() => receiver.arrivals.length >= 9, { what: 'deliveries' })
  await at.settled()
  for (const id of await at.ids()) expect(timeOf(id)).toBeGreaterThanOrEqual(ahead)
  const from = new Date(Date.now() - 600_000).toISOString()
  expect((await walhook.api('POST', '/api/webhooks/1/replay', { from })).queued).toBe(9)
})

test("the retention follows the database's clock by at most one step", async () => {
  await using at = await openTestOutbox()
  const moved = await advanceRetentionClock(at.outbox, dayMs)
  expect(Math.abs(moved.atMs + moved.behindMs - Date.now())).toBeLessThan(60_000)
  await at.append('user 1 new')
  await at.outbox.pool.query(`update walhook.retention_clock set reached_at = now() - interval '60 days'`)
  const { behindMs } = await advanceRetentionClock(at.outbox, dayMs)
  expect(Math.round(behindMs / dayMs)).toBe(59)
  // And back: a clock that was ahead is followed at once.
  await at.outbox.pool.query(`update walhook.retention_clock set reached_at = now() + interval '60 days'`)
  expect((await advanceRetentionClock(at.outbox, dayMs)).behindMs).toBe(0)
})
