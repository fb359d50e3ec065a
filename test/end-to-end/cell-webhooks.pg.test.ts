import { expect, test } from 'vitest'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { untilLogged } from '../support/sample-site.ts'
import { startTestReceiver } from '../support/test-receiver.ts'
import { until } from '../support/wait.ts'
import { adminToken, runWalhook, startWalhook, type WalhookProcess } from '../support/walhook-process.ts'

const key = (byte: number) => Buffer.alloc(32, byte).toString('base64')
const tables = `
  create table users (id integer primary key, version integer);
  create table companies (id integer primary key);`

test('a webhook in a cell gets events and its backfill, and signs after a change of the key', {
  timeout: 180_000, // three processes, one after another
}, async () => {
  await using database = await createTestDatabase({ hasOutbox: true })
  await using cellDatabase = await createTestDatabase({ hasOutbox: true })
  await using ofMain = await startTestReceiver(async () => 204)
  await using ofWest = await startTestReceiver(async () => 204)
  await using psql = await connect(database.url)
  await psql.query(tables)
  await psql.query('insert into users values (1, 0)')
  const make = async (walhook: WalhookProcess, name: string, { url }: { url: string }) =>
    await walhook.api('POST', '/api/webhooks', { name, url, triggers: ['user.new'] })
  const secrets = { WALHOOK_SECRET_KEY: key(1) }
  {
    await using walhook = startWalhook(database, secrets)
    await walhook.ready()
    await make(walhook, 'main', ofMain)
    const added = await runWalhook(database, ['cell', 'add', 'west', '--database', cellDatabase.url], secrets)
    expect(added).toMatchObject({ code: 0, stderr: '' })
    await until(
      async () => (await (await fetch(`${await walhook.url()}/readyz`)).text()).includes('cell:west'),
      {
        what: 'the cell',
      },
    )
    const made = (await make(walhook, 'west', ofWest)) as { id: number }
    const listed = await runWalhook(database, ['cell', 'list'], secrets)
    expect(listed.stdout).toMatch(/^west +walhook +1 /m)

    await psql.query('insert into users values (2, 0)')
    await until(() => ofMain.arrivals.length === 1 && ofWest.arrivals.length === 1, {
      what: 'both webhooks',
    })
    await walhook.api('PATCH', `/api/webhooks/${made.id}`, { is_active: false })
    const { id } = await walhook.api('POST', '/api/backfills', { entity_type: 'user', webhook_id: made.id })
    const reason = async () => (await walhook.api('GET', `/api/backfills/${id}`)).reason
    await until(async () => (await reason()) === `webhook ${made.id} is not active`, {
      what: 'the backfill to wait for the webhook of the cell',
    })
    await walhook.api('PATCH', `/api/webhooks/${made.id}`, { is_active: true })
    // What is not settled when the process ends is sent again, and counted twice below.
    await untilLogged({ walhook }, made.id, 3)
    expect(ofWest.arrivals).toHaveLength(3)
    expect(ofMain.arrivals).toHaveLength(1)
    const headers = { authorization: `Bearer ${adminToken}` }
    const metrics = await (await fetch(`${await walhook.url()}/metrics`, { headers })).text()
    expect(metrics).toContain('walhook_cell_away{cell="west"} 0')
    expect(metrics).toContain('walhook_cell_events_behind{cell="west"} ')
  }
  const both = { WALHOOK_SECRET_KEY: key(2), WALHOOK_SECRET_KEY_OLD: key(1) }
  expect(await runWalhook(database, ['rekey'], both)).toEqual({
    code: 0,
    stdout: expect.stringMatching(/^re-encrypted webhooks: 2, /),
    stderr: '',
  })
  await using walhook = startWalhook(database, { WALHOOK_SECRET_KEY: key(2) })
  await walhook.ready()
  await psql.query('insert into users values (3, 0)')
  await until(() => ofMain.arrivals.length === 2 && ofWest.arrivals.length === 4, {
    what: 'both under the new key',
  })
})
