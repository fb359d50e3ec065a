import { expect, test } from 'vitest'
import { openOutbox } from '../../src/outbox/database/database.ts'
import { readLog } from '../../src/outbox/log/log.ts'
import { insertWebhook } from '../../src/outbox/records/webhooks.ts'
import { openBackfills } from '../support/backfill.ts'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { startCapture } from '../support/run-capture.ts'

test('after a commit, the new log rows are handed on without a gap; too many are read instead', async () => {
  await using database = await createTestDatabase({ hasOutbox: true })
  await using psql = await connect(database.url)
  await psql.query(`create table users (id integer primary key, name text); create table companies (id integer primary key);
    alter table users replica identity full`)
  await using outbox = openOutbox({ url: database.url, maxConnections: 2, onError() {} })
  await using capture = await startCapture(database)
  const write = async (...statements: string[]) => {
    for (const statement of statements) await psql.query(statement)
    await capture.caughtUp()
  }
  await write(`insert into users values (1, 'a')`, `update users set name = 'b'`, 'delete from users')
  await insertWebhook(outbox, {
    name: 'CRM',
    url: 'https://crm.example.com/',
    isActive: true,
    triggers: ['user.new'],
    secret: 'v1:x',
  })
  const small = capture.appended.length
  await write(`insert into users select i, 'x' from generate_series(1, 20) i`)
  const many = capture.appended.length
  await write(`insert into users select i, 'x' from generate_series(101, 5100) i`)
  await write(`insert into users values (9001, repeat('long', 500000))`)
  const before = capture.appended.length
  await using backfills = await openBackfills(database)
  const id = await backfills.start()
  await backfills.is(id, ({ state }) => state === 'done')

  const log = await readLog(outbox, { after: 0n, limit: 100_000, maxBytes: 1e9 })
  let after = 0n
  for (const [i, { previousEventId, lastEventId, webhooksVersion, events }] of capture.appended.entries()) {
    expect(previousEventId).toBe(after)
    const inLog = log.events.filter(event => event.id > previousEventId && event.id <= lastEventId)
    expect(inLog.length).toBeGreaterThan(0)
    expect(webhooksVersion).toBe(inLog.at(-1)!.webhooksVersion)
    if (events) expect(events).toEqual(inLog)
    expect(events === null).toBe(i >= many)
    if (i >= small) expect(webhooksVersion).toBe(1)
    after = lastEventId
  }
  expect(after).toBe(log.events.at(-1)!.id)
  expect(capture.appended.length).toBeGreaterThan(before)
})
