import { afterAll, beforeAll, expect, test } from 'vitest'
import { connect } from '../support/connect.ts'
import { type OwnServer, openOwnServer } from '../support/own-database.ts'
import { readEvents, readQueue } from '../support/read-outbox.ts'
import { startTestReceiver } from '../support/test-receiver.ts'
import { until } from '../support/wait.ts'
import { runWalhook, startWalhook } from '../support/walhook-process.ts'

let server: OwnServer
beforeAll(async () => {
  server = await openOwnServer({ max_replication_slots: '60', max_wal_senders: '60' })
})
afterAll(() => server[Symbol.asyncDispose]())

/** A production whose receiver is down, with a delivery that waits, and a copy of it in the same cluster. */
async function open() {
  const database = await server.database()
  const receiver = await startTestReceiver(() => 500)
  {
    await using psql = await connect(database.url)
    await psql.query(
      'create table users (id integer primary key); create table companies (id integer primary key)',
    )
    const walhook = startWalhook(database)
    await walhook.ready()
    await walhook.api('POST', '/api/webhooks', { name: 'CRM', url: receiver.url, triggers: ['user.new'] })
    await psql.query('insert into users values (1)')
    await until(() => receiver.arrivals.length > 0, { what: 'the first attempt' })
    walhook.kill('SIGTERM')
    await walhook.exited
  }
  const copy = {
    url: database.url.replace(database.name, `${database.name}_copy`),
    name: `${database.name}_copy`,
  }
  const admin = await connect(server.url())
  await until(() => admin.query(`create database ${copy.name} template ${database.name}`), {
    what: 'the copy',
  })
  return {
    database,
    copy,
    receiver,
    admin,
    async [Symbol.asyncDispose]() {
      await admin.end()
      await receiver[Symbol.asyncDispose]()
    },
  }
}

test('a copy of production sends nothing until a person adopts it', async () => {
  await using at = await open()
  const sent = at.receiver.arrivals.length
  const copy = startWalhook(at.copy)
  expect((await copy.exited).code).toBe(1)
  expect(copy.stderr()).toContain('outbox: a copy')
  expect(copy.stderr()).toContain('walhook adopt --discard')

  expect(await runWalhook(at.copy, ['adopt'])).toMatchObject({ code: 2 })
  const discarded = await runWalhook(at.copy, ['adopt', '--discard'])
  expect(discarded).toMatchObject({ code: 0, stderr: '' })
  expect(discarded.stdout).toContain('Cancelled 1 pending deliveries, deactivated 1 webhooks.')
  await using psql = await connect(at.copy.url)
  expect(await readQueue(psql)).toEqual({ deliveries: 0, setAside: 0 })
  await using staging = startWalhook(at.copy)
  await staging.ready()
  await psql.query('insert into users values (2)')
  await until(async () => (await readEvents(psql)).includes('user 2 new'), { what: 'a change in the copy' })
  expect(at.receiver.arrivals).toHaveLength(sent)

  // Production is as it was.
  await using production = startWalhook(at.database)
  await production.ready()
  await using original = await connect(at.database.url)
  expect(await readQueue(original)).toMatchObject({ deliveries: 1 })
}, 240_000)

test('a database swapped by renaming is noticed, and continues after adoption', async () => {
  await using at = await open()
  await at.admin.query(`alter database ${at.database.name} rename to ${at.database.name}_former`)
  await at.admin.query(`alter database ${at.copy.name} rename to ${at.database.name}`)
  const refused = startWalhook(at.database)
  expect((await refused.exited).code).toBe(1)
  expect(refused.stderr()).toContain('outbox: a copy')

  expect(await runWalhook(at.database, ['adopt', '--continue'])).toMatchObject({ code: 0, stderr: '' })
  const other = { WALHOOK_SLOT: `${at.database.name}_b` }
  await using walhook = startWalhook(at.database, other)
  const { reason } = await walhook.logged('capture.state', { state: 'blocked' })
  expect(reason).toContain(`set WALHOOK_SLOT=${at.database.name}`)
  const plan = await runWalhook(at.database, ['resync'], other)
  expect(plan.stdout).toContain(`used the replication slot ${at.database.name} before`)
  expect(await runWalhook(at.database, ['resync', '--yes'], other)).toMatchObject({ code: 0, stderr: '' })
  await walhook.ready()
  await using psql = await connect(at.database.url)
  await until(async () => (await readEvents(psql)).includes('user 1 update'), { what: 'the resync' })
  const { rows } = await psql.query('select slot_name from walhook.positions')
  expect(rows).toEqual([{ slot_name: other.WALHOOK_SLOT }])
}, 240_000)
