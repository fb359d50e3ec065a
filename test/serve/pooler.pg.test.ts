import { expect, test } from 'vitest'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { hasPgBouncer, passesReplication, startPgBouncer } from '../support/pgbouncer.ts'
import { readEvents } from '../support/read-outbox.ts'
import { until } from '../support/wait.ts'
import { runWalhook, startWalhook } from '../support/walhook-process.ts'

const without = 'Debian package pgbouncer is not installed'

async function open() {
  const database = await createTestDatabase({ hasOutbox: true })
  const psql = await connect(database.url)
  await psql.query(
    'create table users (id integer primary key); create table companies (id integer primary key)',
  )
  return {
    database,
    psql,
    async [Symbol.asyncDispose]() {
      await psql.end()
      await database.drop()
    },
  }
}

type Line = { level: string; code: string; what: string; found: string; mend: string | null }

test('a pooler in front of the source is refused by name, by start and by check', async ({ skip }) => {
  if (!hasPgBouncer) skip(without)
  if (passesReplication) skip('this PgBouncer lets replication connections through')
  await using at = await open()
  for (const [mode, more] of [
    ['session', {}],
    ['session', { ignore_startup_parameters: 'replication' }],
  ] as const) {
    await using pooler = await startPgBouncer(at.database, mode, more)
    const env = { DATABASE_URL: pooler.url, OUTBOX_DATABASE_URL: at.database.url }
    const served = await runWalhook(at.database, ['serve'], env)
    expect(served).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/replication connection: .*pooler/),
    })
    const { stdout } = await runWalhook(at.database, ['check', '--json'], env)
    const lines: Line[] = JSON.parse(stdout)
    expect(lines.filter(({ level }) => level === 'error')).toEqual([
      expect.objectContaining({ code: 'replication_pooler', mend: expect.stringContaining('server itself') }),
    ])
  }
})

test('a pooler that supports replication may be in front of the source in session mode only', async ({
  skip,
}) => {
  if (!passesReplication) skip('this PgBouncer is older than 1.23, or not there')
  await using at = await open()
  {
    await using pooler = await startPgBouncer(at.database, 'session')
    await using walhook = startWalhook(at.database, {
      DATABASE_URL: pooler.url,
      OUTBOX_DATABASE_URL: at.database.url,
    })
    await walhook.ready()
    await at.psql.query('insert into users values (1)')
    await until(async () => (await readEvents(at.psql)).length === 1, { what: 'the event' })
  }
  await using pooler = await startPgBouncer(at.database, 'transaction')
  const env = { DATABASE_URL: pooler.url, OUTBOX_DATABASE_URL: at.database.url }
  expect(await runWalhook(at.database, ['serve'], env)).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/DATABASE_URL: a pooler that .* pool_mode = session/),
  })
})

test('a pooler in transaction mode in front of the outbox is refused before any session setting', async ({
  skip,
}) => {
  if (!hasPgBouncer) skip(without)
  await using at = await open()
  await using pooler = await startPgBouncer(at.database, 'transaction', { default_pool_size: '3' })
  const env = { OUTBOX_DATABASE_URL: pooler.url }
  for (const command of [['serve'], ['migrate'], ['resync'], ['token', 'x']])
    expect(await runWalhook(at.database, command, env)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/OUTBOX_DATABASE_URL: a pooler that .* pool_mode = session/),
    })
  const { stdout } = await runWalhook(at.database, ['check', '--json'], env)
  expect((JSON.parse(stdout) as Line[]).filter(({ level }) => level === 'error')).toEqual([
    expect.objectContaining({ code: 'pooler', what: 'OUTBOX_DATABASE_URL' }),
  ])
  const shown = `select current_setting('enable_seqscan') || current_setting('row_security') || current_setting('timezone') as settings`
  const others = await Promise.all([1, 2, 3].map(() => connect(pooler.url)))
  await Promise.all(others.map(client => client.query('begin')))
  const settingsOf = async (client: { query: (sql: string) => Promise<{ rows: unknown[] }> }) =>
    (await client.query(shown)).rows
  const own = await settingsOf(at.psql)
  expect(await Promise.all(others.map(settingsOf))).toEqual([own, own, own])
  await Promise.all(others.map(client => client.end()))
})

test('walhook works with its outbox behind a pooler in session mode', async ({ skip }) => {
  if (!hasPgBouncer) skip(without)
  await using at = await open()
  await using pooler = await startPgBouncer(at.database, 'session')
  await using walhook = startWalhook(at.database, { OUTBOX_DATABASE_URL: pooler.url })
  await walhook.ready()
  await at.psql.query('insert into users values (1)')
  await until(async () => (await readEvents(at.psql)).length === 1, { what: 'the event' })
})
