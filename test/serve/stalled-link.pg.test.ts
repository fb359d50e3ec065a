import { beforeEach, expect, test } from 'vitest'
import { connect } from '../support/connect.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { openTestLink } from '../support/test-link.ts'
import { startTestReceiver } from '../support/test-receiver.ts'
import { until } from '../support/wait.ts'
import { startWalhook } from '../support/walhook-process.ts'

/** A link that dies in silence: unlike a server that stops, it brings no error to anybody who waits for it. */
let database: TestDatabase

beforeEach(async () => {
  database = await createTestDatabase()
  await sql('create table users (id integer primary key); create table companies (id integer primary key)')
})

async function sql(statement: string) {
  await using psql = await connect(database.url)
  await psql.query(statement)
}

test('ops get answers over a stalled link, red ones, and all goes on when it heals', async () => {
  await using link = await openTestLink(database.url)
  await using receiver = await startTestReceiver()
  await using walhook = startWalhook({ url: link.url, name: database.name })
  await walhook.ready()
  await walhook.api('POST', '/api/webhooks', { name: 'CRM', url: receiver.url, triggers: ['user.new'] })

  link.stall()
  const url = await walhook.url()
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

test('SIGTERM ends it over a stalled link, telling that it was cut off', async () => {
  await using link = await openTestLink(database.url)
  await using walhook = startWalhook({ url: link.url, name: database.name })
  await walhook.ready()
  link.stall()
  walhook.kill('SIGTERM')
  expect(await walhook.exited).toEqual({ code: 1, signal: null })
  expect(walhook.stderr()).toMatch(/^walhook: cut off 15 s after the signal, .+\n$/)
})
