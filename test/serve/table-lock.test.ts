import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { connect } from '../support/connect.ts'
import { openOwnServer } from '../support/own-database.ts'
import { startTestReceiver } from '../support/test-receiver.ts'
import { until } from '../support/wait.ts'
import { startWalhook } from '../support/walhook-process.ts'

const mapping = `
entities:
  user:
    table: users
    related:
      tags: { table: user_tags, owner: user_id, value: tag }
`

type Status = { capture: { state: string; reason: string | null } }

test('capture that waits for a table lock names its holder; callers do not wait', async () => {
  // On a server of its own: a slot of anybody else would wait for the transaction that is held open here.
  await using server = await openOwnServer()
  const database = await server.database()
  await using psql = await connect(database.url)
  await psql.query(`
    create table users (id integer primary key, name text);
    create table user_tags (user_id integer, tag text, primary key (user_id, tag));
    insert into users values (1, 'Guan')`)
  const config = join(tmpdir(), `${database.name}.yaml`)
  await writeFile(config, mapping)
  await using receiver = await startTestReceiver()
  await using walhook = startWalhook(database, { WALHOOK_CONFIG: config })
  await walhook.ready()
  await walhook.api('POST', '/api/webhooks', { name: 'CRM', url: receiver.url, triggers: ['user.update'] })

  await using migration = await connect(database.url)
  const { rows } = await migration.query('select pg_backend_pid() as pid')
  await migration.query('begin; alter table users add column more text')
  // Tells a change of user 1, whose row nobody may read now.
  await psql.query(`insert into user_tags values (1, 'new')`)
  const lagging = await until(
    async () => {
      const status = (await walhook.api('GET', '/api/status')) as unknown as Status
      return status.capture.state === 'lagging' && status.capture
    },
    { what: 'capture to lag', timeoutMs: 45_000 },
  )
  expect(lagging.reason).toContain('a lock of users')
  expect(lagging.reason).toContain(`held by pid ${rows[0].pid}`)
  const readyz = await fetch(`${await walhook.url()}/readyz`)
  expect(readyz.status).toBe(503)
  await walhook.logged('database.slow_statement')
  for (const path of ['/api/webhooks', '/api/status', '/api/webhooks/1/log'])
    expect(await Promise.race([walhook.api('GET', path), late()])).not.toBe('late')

  await migration.query('rollback')
  await walhook.ready()
  await until(() => receiver.arrivals.length === 1, { what: 'the update' })
})

const late = () => new Promise(resolve => setTimeout(() => resolve('late'), 15_000))
