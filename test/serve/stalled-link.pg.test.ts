import { afterAll, beforeAll, expect, test } from 'vitest'
import { connect } from '../support/connect.ts'
import { type OwnServer, openOwnServer } from '../support/own-database.ts'
import { openTestLink } from '../support/test-link.ts'
import { startTestReceiver } from '../support/test-receiver.ts'
import { until } from '../support/wait.ts'
import { adminToken, startWalhook } from '../support/walhook-process.ts'

/**
 * A link that dies in silence: unlike a server that stops, it brings no error to anybody who waits for it. Each test has
 * one of its own, and mostly waits: they run side by side.
 */
let server: OwnServer
beforeAll(async () => {
  // A transaction that stalls keeps others from creating slots, in all databases of a server.
  server = await openOwnServer()
})
afterAll(() => server[Symbol.asyncDispose]())

async function open(maxConnections?: number) {
  const database = await server.database({ hasOutbox: true })
  const sql = async (statement: string) => {
    await using psql = await connect(database.url)
    await psql.query(statement)
  }
  await sql('create table users (id integer primary key); create table companies (id integer primary key)')
  const link = await openTestLink(database.url, maxConnections)
  return { database, link, sql, [Symbol.asyncDispose]: () => link[Symbol.asyncDispose]() }
}

test.concurrent('probes fail over a stalled connection, and everything continues when it recovers', async () => {
  await using at = await open()
  const { database, link, sql } = at
  await using receiver = await startTestReceiver()
  await using walhook = startWalhook({ url: link.url, name: database.name })
  await walhook.ready()
  await walhook.api('POST', '/api/webhooks', { name: 'CRM', url: receiver.url, triggers: ['user.new'] })

  link.stall()
  const url = await walhook.url()
  // Answers of the second before are kept.
  await until(async () => !(await fetch(`${url}/readyz`)).ok, { what: 'readiness to be red' })
  const [livez, readyz, metrics] = await Promise.all(
    ['/livez', '/readyz', '/metrics'].map(path => fetch(`${url}${path}`)),
  )
  expect(livez!.status).toBe(200)
  expect(readyz!.status).toBe(503)
  expect(await readyz!.json()).toMatchObject({
    checks: { database: { ok: false, status: expect.stringContaining('no answer') } },
  })
  expect(metrics!.status).toBe(200)
  expect(await metrics!.text()).toMatch(/^walhook_deliveries_waiting Nan$/m)

  await sql('insert into users values (1)')
  link.heal()
  await walhook.ready()
  await until(() => receiver.arrivals.length > 0, { what: 'the change made meanwhile' })
  expect(receiver.arrivals.map(({ entityId }) => entityId)).toEqual(['1'])
})

test.concurrent('silently dead connections are dropped, logged and replaced: deliveries continue', async () => {
  await using at = await open()
  const { database, link, sql } = at
  await using receiver = await startTestReceiver()
  await using walhook = startWalhook({ url: link.url, name: database.name })
  await walhook.ready()
  await walhook.api('POST', '/api/webhooks', { name: 'CRM', url: receiver.url, triggers: ['user.new'] })
  for (let id = 1; id <= 20; id++) await sql(`insert into users values (${id})`)
  await until(() => receiver.arrivals.length === 20, { what: 'deliveries over the sound link' })

  link.stallThese()
  for (let id = 21; id <= 40; id++) await sql(`insert into users values (${id})`)
  await until(() => new Set(receiver.arrivals.map(({ entityId }) => entityId)).size === 40, {
    what: 'deliveries over new connections',
    timeoutMs: 60_000,
  })
  await walhook.logged('database.connection_lost')
  await until(async () => (await fetch(`${await walhook.url()}/readyz`)).ok, {
    what: 'walhook to be ready again',
    timeoutMs: 60_000,
  })
}, 180_000)

test.concurrent('if deliveries are due and none is attempted, /readyz fails and the log names the reason', async () => {
  await using at = await open()
  const { database, link, sql } = at
  await using receiver = await startTestReceiver()
  await using walhook = startWalhook({ url: link.url, name: database.name })
  await walhook.ready()
  await walhook.api('POST', '/api/webhooks', { name: 'CRM', url: receiver.url, triggers: ['user.new'] })
  await sql('insert into users values (1)')
  await until(() => receiver.arrivals.length === 1, { what: 'a delivery' })

  // Who has a token hears why.
  const headers = { authorization: `Bearer ${adminToken}` }
  link.stall()
  const checks = await until(
    async () => {
      const readyz = (await (await fetch(`${await walhook.url()}/readyz`, { headers })).json()) as {
        checks: Record<string, { ok: boolean; status: string }>
      }
      const { capture, delivery } = readyz.checks
      return !capture!.ok && !delivery!.ok && readyz.checks
    },
    { what: 'capture and delivery to be red', timeoutMs: 45_000 },
  )
  expect(checks.delivery).toMatchObject({
    ok: false,
    status: expect.stringMatching(
      /^stalled: (the outbox has not answered|sent deliveries could not be settled) for /,
    ),
  })
  await walhook.logged('delivery.beat_failed')
  link.heal()
  await walhook.ready()
  await sql('insert into users values (2)')
  await until(() => receiver.arrivals.length >= 2, { what: 'a delivery' })
})

test.concurrent('a pooler with too few connections does not stall silently', async () => {
  await using at = await open(4)
  const { database, link } = at
  await using receiver = await startTestReceiver()
  await using walhook = startWalhook(database, { OUTBOX_DATABASE_URL: link.url })
  const url = await walhook.url()
  const said = await until(
    async () => {
      const readyz = await fetch(`${url}/readyz`)
      return !readyz.ok && walhook.log.find(line => /time-?out|dead/.test(String(line.reason)))
    },
    { what: 'readiness to be red, and the log to say why', timeoutMs: 45_000 },
  )
  expect(['warn', 'error']).toContain(said.level)
  expect(receiver.arrivals).toEqual([])
})

test.concurrent('SIGTERM ends the process over a stalled connection, and logs that it was cut off', async () => {
  await using at = await open()
  const { database, link } = at
  await using walhook = startWalhook({ url: link.url, name: database.name })
  await walhook.ready()
  link.stall()
  walhook.kill('SIGTERM')
  expect(await walhook.exited).toEqual({ code: 1, signal: null })
  expect(walhook.stderr()).toMatch(/^walhook: stopped 15 s after the signal: .+\n$/)
})
