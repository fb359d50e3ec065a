import { expect, test } from 'vitest'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { startTestReceiver } from '../support/test-receiver.ts'
import { startWalhook } from '../support/walhook-process.ts'

const id = 'ann@example.com'
/** Longer than an entity's id may be: it is parked, and told by its beginning. */
const tooLong = `bob@${'x'.repeat(2_000)}`

test.each([
  ['true', true],
  ['false', false],
])('WALHOOK_LOG_ENTITY_IDS=%s: whether the log names entities: %s', async (setting, isNamed) => {
  const database = await createTestDatabase({ hasOutbox: true })
  await using psql = await connect(database.url)
  await psql.query('create table users (id text primary key); create table companies (id text primary key)')
  await using receiver = await startTestReceiver(() => 500)
  await using walhook = startWalhook(database, { WALHOOK_LOG_ENTITY_IDS: setting, LOG_LEVEL: 'debug' })
  await walhook.ready()
  const webhook = { name: 'CRM', url: receiver.url, triggers: ['user.new', 'user.delete'] }
  await walhook.api('POST', '/api/webhooks', webhook)
  await psql.query('insert into users values ($1)', [id])
  await psql.query('insert into users values ($1)', [tooLong])
  await walhook.logged('delivery.attempted', { outcome: 'refused', ...(isNamed && { entity_id: id }) })
  await walhook.logged('capture.parked')
  await walhook.api('POST', '/api/backfills', { entity_type: 'user' })
  await walhook.logged('backfill.ended')
  walhook.kill('SIGTERM')
  await walhook.exited
  const lines = JSON.stringify(walhook.log) + walhook.stderr()
  expect([id, 'bob@xxx'].map(text => lines.includes(text))).toEqual([isNamed, isNamed])
})
