import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../playground/embedded-postgres.ts'
import { connect } from '../support/connect.ts'
import { startOwnServer } from '../support/own-server.ts'
import { dropSlotsOf, slotIsFree } from '../support/slot.ts'
import { startTestReceiver } from '../support/test-receiver.ts'
import { until } from '../support/wait.ts'
import { adminToken, startWalhook, type WalhookProcess } from '../support/walhook-process.ts'

/** A server of its own: these tests stop it. */
let dataDir: string
let server: EmbeddedPostgres
const place = () => ({ url: server.url, name: 'walhook' })
const triggers = ['user.new', 'user.update', 'user.delete']

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'walhook-lifecycle-'))
})

beforeEach(async () => {
  server = await startOwnServer(dataDir)
  await sql(
    'drop table if exists users, companies',
    'create table users (id integer primary key); create table companies (id integer primary key)',
  )
})

afterEach(async () => {
  // A test may have stopped it.
  server = await startOwnServer(dataDir)
  {
    await using psql = await connect(server.url)
    await dropSlotsOf(psql, 'postgres')
    // What a killed walhook still runs in the server locks its tables in another order.
    await psql.query(
      `select pg_terminate_backend(pid, 10_000) from pg_stat_activity
       where backend_type = 'client backend' and pid <> pg_backend_pid()`,
    )
    await psql.query('drop schema if exists walhook cascade; drop publication if exists walhook')
  }
  await server.stop()
})

afterAll(() => rm(dataDir, { recursive: true, force: true }))

async function sql(...statements: string[]) {
  await using psql = await connect(server.url)
  for (const statement of statements) await psql.query(statement)
}

async function readiness(walhook: WalhookProcess) {
  const response = await fetch(`${await walhook.url()}/readyz`, {
    headers: { authorization: `Bearer ${adminToken}` },
  })
  const { checks } = (await response.json()) as { checks: Record<string, { status: string }> }
  return { isReady: response.ok, checks }
}

test.each(['fast', 'immediate'] as const)(
  'during a %s stop of Postgres readiness fails, the log names it, and everything continues afterwards',
  async mode => {
    await using receiver = await startTestReceiver()
    await using walhook = startWalhook(place())
    await walhook.ready()
    await walhook.api('POST', '/api/webhooks', { name: 'CRM', url: receiver.url, triggers })
    await sql('insert into users values (1)')
    // A request whose settlement the stop interrupts is sent again.
    await walhook.logged('delivery.attempted', { outcome: 'delivered' })
    await server.stop(mode)
    await until(
      async () => {
        const now = await readiness(walhook)
        const { capture, database } = now.checks
        return !now.isReady && capture!.status.startsWith('starting: ') && database!.status !== 'reachable'
      },
      { what: 'readiness to be red' },
    )
    await walhook.logged('capture.failed')
    expect((await fetch(`${await walhook.url()}/livez`)).status).toBe(200)

    server = await startOwnServer(dataDir)
    await sql('insert into users values (2)')
    await walhook.ready()
    await until(() => receiver.arrivals.length >= 2, { what: 'the change made meanwhile' })
    expect(receiver.arrivals.map(({ entityId }) => entityId)).toEqual(['1', '2'])
    expect(walhook.stderr()).toBe('')
  },
)

test('SIGTERM waits for the request in flight, settles it, and exits with 0', async () => {
  const answer = Promise.withResolvers<number>()
  await using receiver = await startTestReceiver(() => answer.promise)
  await using walhook = startWalhook(place())
  await walhook.ready()
  await walhook.api('POST', '/api/webhooks', { name: 'CRM', url: receiver.url, triggers })
  await sql('insert into users values (1)')
  await until(() => receiver.arrivals.length === 1, { what: 'the request' })
  walhook.kill('SIGTERM')
  // The API is the last to close: it is still there, and the slot is already free.
  await captureHasStopped()
  answer.resolve(200)
  expect(await walhook.exited).toEqual({ code: 0, signal: null })
  expect(walhook.log.find(({ msg }) => msg === 'delivery.attempted')).toMatchObject({ outcome: 'delivered' })
  await using psql = await connect(server.url)
  const { rows } = await psql.query(`
    select (select count(*)::int from walhook.deliveries) as waiting,
           (select count(*)::int from walhook.attempts where outcome = 'delivered') as delivered`)
  expect(rows).toEqual([{ waiting: 0, delivered: 1 }])
})

test('a request that does not end in time is cut off, costs no attempt, and is resent at once by the next process', async () => {
  const never = new Promise<number>(() => {})
  let isFirst = true
  await using receiver = await startTestReceiver(() => {
    const wasFirst = isFirst
    isFirst = false
    return wasFirst ? never : 204
  })
  await using walhook = startWalhook(place())
  await walhook.ready()
  await walhook.api('POST', '/api/webhooks', { name: 'CRM', url: receiver.url, triggers })
  await sql('insert into users values (1)')
  await until(() => receiver.arrivals.length === 1, { what: 'the request' })
  walhook.kill('SIGTERM')
  expect(await walhook.exited).toEqual({ code: 0, signal: null })
  await using psql = await connect(server.url)
  const { rows } = await psql.query(
    'select outcome, number, next_attempt_at is not null as goes_on from walhook.attempts',
  )
  expect(rows).toEqual([{ outcome: 'cancelled', number: 1, goes_on: true }])

  await using next = startWalhook(place())
  await next.logged('delivery.attempted', { outcome: 'delivered', number: 1 })
  expect(new Set(receiver.arrivals.map(({ messageId }) => messageId)).size).toBe(1)
})

test('a second signal ends the process at once', async () => {
  await using receiver = await startTestReceiver(() => new Promise(() => {}))
  await using walhook = startWalhook(place())
  await walhook.ready()
  await walhook.api('POST', '/api/webhooks', { name: 'CRM', url: receiver.url, triggers })
  await sql('insert into users values (1)')
  await until(() => receiver.arrivals.length === 1, { what: 'the request' })
  walhook.kill('SIGTERM')
  await captureHasStopped()
  walhook.kill('SIGTERM')
  expect(await walhook.exited).toEqual({ code: 143, signal: null })
})

test('SIGTERM ends the process while the database is unreachable', async () => {
  await using walhook = startWalhook(place())
  await walhook.ready()
  await server.stop('immediate')
  await walhook.logged('capture.failed')
  walhook.kill('SIGTERM')
  expect(await walhook.exited).toEqual({ code: 0, signal: null })
})

async function captureHasStopped(): Promise<void> {
  await using psql = await connect(server.url)
  await slotIsFree(psql, place().name)
}
