import { expect, test } from 'vitest'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { readEvents, readQueue } from '../support/read-outbox.ts'
import { startTestReceiver } from '../support/test-receiver.ts'
import { until } from '../support/wait.ts'
import { startWalhook, type WalhookProcess } from '../support/walhook-process.ts'

const tables = `
  create table users (id integer primary key, version integer);
  create table companies (id integer primary key);`
const triggers = ['user.new', 'user.update', 'user.delete']
const users = 300
const updates = 4

/** Without what was not sent after all: a process that had no time for two seconds cancels it, and whoever has it then sends it. */
const attempted = (walhook: WalhookProcess) =>
  walhook.log
    .filter(({ msg, outcome }) => msg === 'delivery.attempted' && outcome !== 'cancelled')
    .map(line => line.message_id)

test('two processes share the deliveries without overlap, and one takes over the capture of a killed one', async () => {
  await using database = await createTestDatabase({ hasOutbox: true })
  await using receiver = await startTestReceiver(async () => {
    await new Promise(resolve => setTimeout(resolve, 20))
    return 204
  })
  await using psql = await connect(database.url)
  await psql.query(tables)

  await using one = startWalhook(database)
  await one.logged('capture.state', { state: 'streaming' })
  await using two = startWalhook(database)
  await two.logged('capture.state', { state: 'standing by' })
  await Promise.all([one.ready(), two.ready()])
  await two.api('POST', '/api/webhooks', { name: 'CRM', url: receiver.url, triggers })

  await psql.query('insert into users select i, 0 from generate_series(1, $1) i', [users])
  for (let version = 1; version <= updates; version++)
    await psql.query('update users set version = $1', [version])
  const total = users * (1 + updates)
  await until(async () => receiver.arrivals.length >= total && (await readQueue(psql)).deliveries === 0, {
    what: `${total} deliveries`,
    timeoutMs: 150_000,
  })

  // Nothing was killed and nothing timed out, so nothing may have come twice.
  expect(receiver.arrivals).toHaveLength(total)
  expect(new Set(receiver.arrivals.map(({ messageId }) => messageId)).size).toBe(total)
  const [byOne, byTwo] = [attempted(one), attempted(two)]
  expect(new Set([...byOne, ...byTwo]).size).toBe(byOne.length + byTwo.length)
  expect(byOne.length).toBeGreaterThan(0)
  expect(byTwo.length).toBeGreaterThan(0)

  // Of one entity, the next event comes only after the one before was answered.
  const answered = new Map<string, number>()
  for (const { entityId, arrivedAtMs, answeredAtMs } of receiver.arrivals) {
    expect(arrivedAtMs).toBeGreaterThanOrEqual(answered.get(entityId) ?? 0)
    answered.set(entityId, answeredAtMs!)
  }

  const before = (await readEvents(psql)).length
  one.kill('SIGKILL')
  await psql.query('update users set version = 10 where id <= 10')
  await two.logged('capture.state', { state: 'streaming' })
  await until(() => receiver.arrivals.length >= total + 10, { what: 'the changes made meanwhile' })
  expect((await readEvents(psql, 'version')).slice(before)).toEqual(
    Array.from({ length: 10 }, (_, i) => `user ${i + 1} update 10`),
  )
  expect(new Set(receiver.arrivals.map(({ messageId }) => messageId)).size).toBe(total + 10)
}, 300_000)
