import { expect, test } from 'vitest'
import { connect } from '../support/connect.ts'
import { dropSlot } from '../support/slot.ts'
import { startTestReceiver } from '../support/test-receiver.ts'
import { hasUpgrade, startUpgradableServer } from '../support/upgradable-server.ts'
import { until } from '../support/wait.ts'
import { runWalhook, startWalhook } from '../support/walhook-process.ts'

test('pg_upgrade from 17 to 18 by the guide: pending events are delivered, and every row is resynced', async ({
  skip,
}) => {
  if (!hasUpgrade) skip('pg_upgrade of PostgreSQL 17 and 18 is not here: .ci/run installs it')
  await using server = await startUpgradableServer()
  {
    await using admin = await connect(server.url)
    await admin.query('create database app')
  }
  const place = new URL(server.url)
  place.pathname = '/app'
  const before = { url: place.href, name: 'walhook' }
  let accepts = false
  await using receiver = await startTestReceiver(({ entityId }) => (accepts || entityId === '1' ? 204 : 500))
  const told = (id: string) => receiver.arrivals.filter(({ entityId }) => entityId === id)
  const env = { WALHOOK_RETRY_SCHEDULE: Array(50).fill('2s').join(',') }

  {
    await using walhook = startWalhook(before, env)
    await using psql = await connect(before.url)
    await psql.query(`create table users (id integer primary key, name text);
      create table companies (id integer primary key)`)
    await walhook.ready()
    const triggers = ['user.new', 'user.update']
    await walhook.api('POST', '/api/webhooks', { name: 'A', url: receiver.url, triggers })
    await psql.query(`insert into users values (1, 'delivered'), (2, 'pending')`)
    await until(() => told('1').length === 1 && told('2').length > 0, { what: 'the first requests' })
    walhook.kill('SIGTERM')
    await walhook.exited
  }
  await server.stop()
  const refused = await server.upgrade()
  expect(refused.code).toBe(1)
  expect(refused.output).toContain('replication slots')

  await server.startOld()
  {
    await using psql = await connect(before.url)
    await dropSlot(psql, 'walhook')
  }
  await server.stop()
  const upgraded = await server.upgrade()
  expect(upgraded.output).toContain('Upgrade Complete')
  const after = { ...before, url: await server.startNew(before.url) }
  expect((await runWalhook(after, ['serve'])).stderr).toContain('walhook adopt')
  for (const command of [
    ['adopt', '--continue'],
    ['resync', '--yes'],
  ])
    expect(await runWalhook(after, command)).toMatchObject({ code: 0, stderr: '' })

  accepts = true
  await using walhook = startWalhook(after, env)
  await walhook.ready()
  await using psql = await connect(after.url)
  await psql.query(`insert into users values (3, 'after')`)
  await until(() => told('3').length > 0, { what: 'what is written from here on' })
  const open = async () => (await psql.query('select from walhook.gaps where resynced_at is null')).rowCount
  await until(async () => (await open()) === 0, { what: 'the resync' })
  await until(() => told('1').at(-1)!.actionType === 'update', { what: 'the row that was delivered before' })
  const actions = () => [...new Map(told('2').map(each => [each.messageId, each.actionType])).values()]
  await until(() => actions().length === 2, { what: 'what was pending, and the row anew' })
  expect(actions()).toEqual(['new', 'update'])
  expect((await psql.query('select reason from walhook.gaps')).rows).toEqual([{ reason: 'other cluster' }])
})
