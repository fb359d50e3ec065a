import { expect, test } from 'vitest'
import { openSource } from '../../src/capture/source/source.ts'
import { openOutbox } from '../../src/outbox/database/database.ts'
import { sessionSettings } from '../../src/outbox/database/session-settings.ts'
import { connect } from '../support/connect.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { asFormatted, everyType, inGoldenForm, rowsOfEveryType, withBytes } from '../support/every-type.ts'
import { setEverythingOdd } from '../support/odd-settings.ts'
import { refusal } from '../support/refusal.ts'
import { startCapture } from '../support/run-capture.ts'
import { startTestReceiver } from '../support/test-receiver.ts'
import { until } from '../support/wait.ts'
import { adminToken, runWalhook, startWalhook } from '../support/walhook-process.ts'

/** The role is dropped first: it is the server's, not the database's. */
async function openOddDatabase(tables: string) {
  const database = await createTestDatabase()
  const psql = await connect(database.url)
  await psql.query(tables)
  const odd = await setEverythingOdd(psql, database)
  await psql.query(`alter table users owner to ${odd.role}; alter table companies owner to ${odd.role}`)
  return {
    database,
    psql,
    odd,
    async [Symbol.asyncDispose]() {
      await psql.query(`reassign owned by ${odd.role} to current_user; drop owned by ${odd.role}`)
      await psql.query(`alter database ${database.name} reset all; drop role ${odd.role}`)
      await psql.end()
      await database.drop()
    },
  }
}

const tables =
  'create table users (id integer primary key, at timestamptz); create table companies (id integer primary key)'

async function shown(url: string): Promise<Record<string, string>[]> {
  await using outbox = openOutbox({ url, maxConnections: 1, onError() {} })
  await using source = openSource({ url, onError() {} })
  const statement = `select name, current_setting(name, true) as value from unnest($1::text[]) as name`
  const names = [...Object.keys(sessionSettings), 'synchronous_commit', 'enable_nestloop']
  const results = await Promise.all([outbox, source].map(({ pool }) => pool.query(statement, [names])))
  return results.map(({ rows }) => Object.fromEntries(rows.map(({ name, value }) => [name, value])))
}

test("every connection has the same settings, whatever the role's and database's are", async () => {
  await using at = await openOddDatabase(tables)
  expect(at.odd.unset).toEqual([])
  expect(Object.keys(at.odd.set).length).toBeGreaterThan(100)
  await using as = await connect(at.odd.url)
  expect((await as.query('show datestyle')).rows).toEqual([{ DateStyle: 'German, DMY' }])
  for (const settings of await shown(at.odd.url)) {
    const known = Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== null))
    const wanted = { ...sessionSettings, synchronous_commit: 'on', enable_nestloop: 'on' }
    expect(wanted).toMatchObject(known)
    expect(Object.keys(known).length).toBeGreaterThan(40)
  }
})

test.each(['local', 'remote_apply'])('synchronous_commit=%s of the server is respected', async value => {
  await using at = await openOddDatabase(tables)
  await at.psql.query(`alter role ${at.odd.role} set synchronous_commit = ${value}`)
  await at.psql.query(`alter database ${at.database.name} reset synchronous_commit`)
  for (const settings of await shown(at.odd.url)) expect(settings.synchronous_commit).toBe(value)
})

test('every type matches the golden file under odd settings, also with options in the URL', async () => {
  await using at = await openOddDatabase(everyType)
  const url = new URL(at.odd.url)
  url.searchParams.set('options', '-c datestyle=SQL,DMY -c extra_float_digits=-15')
  url.searchParams.set('client_encoding', 'LATIN1')
  url.searchParams.set('statement_timeout', '1')
  await using capture = await startCapture({ url: url.href, name: at.database.name }, [
    ...withBytes,
    ...asFormatted,
  ])
  await at.psql.query(`set lc_monetary = 'C'`)
  for (const row of rowsOfEveryType) await at.psql.query(`insert into users values (${row})`)
  await at.psql.query('alter table users alter words set storage external')
  await at.psql.query('update users set small = 7 where id = 3')
  await capture.caughtUp()
  await expect(await inGoldenForm(capture)).toMatchFileSnapshot('../capture/types.golden.txt')
})

const paths = ['', '/1', '/1/log', '/1/secret', '/1/test']
const pages = ['/events', '/health', '/audit', '/tokens', ...paths.map(path => `/couplings${path}`)]
const calls = [
  '/api/status',
  '/api/webhooks',
  '/api/webhooks/1',
  '/api/webhooks/1/log',
  '/api/events',
  '/api/audit',
]

test('deliveries, pages, API and commands work under odd settings', async () => {
  await using at = await openOddDatabase(tables)
  await using receiver = await startTestReceiver()
  const database = { url: at.odd.url, name: at.database.name }
  expect(await runWalhook(database, ['migrate'])).toMatchObject({ code: 0, stderr: '' })
  await using walhook = startWalhook(database)
  await walhook.ready()
  const triggers = ['user.new', 'user.update']
  await walhook.api('POST', '/api/webhooks', { name: 'CRM', url: receiver.url, triggers })
  await at.psql.query(`insert into users values (1, '2019-11-05 07:56:15+00')`)
  // Longer than a statement, a transaction or a rest may take there.
  await at.psql.query(`begin; update users set at = '2020-01-01 00:00:00+00'; select pg_sleep(2); commit`)
  await until(() => receiver.arrivals.length >= 2, { what: 'both changes' })
  expect(receiver.arrivals.map(({ body }) => JSON.parse(body).result.at)).toEqual([
    '2019-11-05T07:56:15Z',
    '2020-01-01T00:00:00Z',
  ])

  const log = await until(
    async () => {
      const { data } = (await walhook.api('GET', '/api/webhooks/1/log')) as {
        data: Record<string, unknown>[]
      }
      return data.length >= 2 && data
    },
    { what: 'both in the log' },
  )
  for (const { started_at: startedAt } of log) {
    expect(startedAt).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/)
    expect(Math.abs(Date.parse(String(startedAt)) - Date.now())).toBeLessThan(120_000)
  }
  for (const call of calls) await walhook.api('GET', call)

  const url = await walhook.url()
  const loggedIn = await fetch(`${url}/login`, {
    method: 'POST',
    redirect: 'manual',
    headers: { 'sec-fetch-site': 'same-origin', origin: url },
    body: new URLSearchParams({ token: adminToken }),
  })
  const cookie = loggedIn.headers.get('set-cookie')!.split(';')[0]!
  for (const page of pages) {
    const answer = await fetch(`${url}${page}`, { headers: { cookie } })
    expect([page, answer.status]).toEqual([page, 200])
  }
  const check = await runWalhook(database, ['check'])
  expect(check.stdout).not.toMatch(/^error/m)
  expect(await runWalhook(database, ['token', '--list'])).toMatchObject({ code: 0, stderr: '' })
  expect(receiver.arrivals.length).toBe(2)
  expect(walhook.log.filter(({ level }) => level === 'error')).toEqual([])
})

test('a setting without effect is reported, with the statement that fixes it', async () => {
  await using at = await openOddDatabase(tables)
  await at.psql.query(`alter role ${at.odd.role} set session_replication_role = replica`)
  const database: TestDatabase = { ...at.database, url: at.odd.url }
  const [line] = await refusal(database)
  expect(line).toMatch(/^DATABASE_URL: setting session_replication_role: replica, and only a superuser may/)
  const mend = line!.split('run: ')[1]!
  await at.psql.query(mend)
  for (const settings of await shown(at.odd.url)) expect(settings.row_security).toBe('off')
})
