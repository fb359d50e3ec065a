import { Client } from 'pg'
import { expect, inject, test } from 'vitest'
import { createTestDatabase } from './database.ts'
import { embeddedVersion } from './own-server.ts'
import { until } from './wait.ts'

async function connect(url: string): Promise<Client & AsyncDisposable> {
  const client = new Client({ connectionString: url })
  // The server ends connections to a database that is dropped.
  client.on('error', () => {})
  await client.connect()
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() })
}

test('each call gives a new empty database with logical replication, named after the file', async () => {
  const [one, two] = [await createTestDatabase(), await createTestDatabase()]
  expect(one.name).toMatch(/^walhook_test_[0-9a-f]{4}_database_[0-9a-f]{4}$/)
  expect(one.name).not.toBe(two.name)
  await using client = await connect(one.url)
  expect((await client.query('select current_database() as name')).rows).toEqual([{ name: one.name }])
  expect((await client.query('show wal_level')).rows).toEqual([{ wal_level: 'logical' }])
})

test('drop takes replication slots and open connections with it', async () => {
  const database = await createTestDatabase()
  await using admin = await connect(inject('postgres')!.url)
  await using idle = await connect(database.url)
  await idle.query("select pg_create_logical_replication_slot(current_database(), 'pgoutput')")
  const walsender = new Client({ connectionString: `${database.url}?replication=database` })
  walsender.on('error', () => {})
  await walsender.connect()
  const options = `proto_version '1', publication_names 'none'`
  const reading = walsender.query(`START_REPLICATION SLOT ${database.name} LOGICAL 0/0 (${options})`)
  reading.catch(() => {})
  const isActive = 'select active from pg_replication_slots where slot_name = $1'
  await until(async () => (await admin.query(isActive, [database.name])).rows[0]?.active, {
    what: 'an active slot',
  })
  await database.drop()
  const names = 'select datname from pg_database where datname = $1'
  expect((await admin.query(names, [database.name])).rows).toEqual([])
  const slots = 'select slot_name from pg_replication_slots where database = $1'
  expect((await admin.query(slots, [database.name])).rows).toEqual([])
})

test('until returns the value, or names the missing event', async () => {
  let calls = 0
  expect(await until(() => ++calls > 2 && `after ${calls}`, { what: 'three calls' })).toBe('after 3')
  const never = until(() => Promise.reject(new Error('not there')), { what: 'a ship', timeoutMs: 50 })
  await expect(never).rejects.toThrow('Waited 0.05 s for a ship; the last answer was Error: not there')
})

if (embeddedVersion === 'debian') {
  test('Debian’s PostgreSQL compiles expensive plans, as its package sets it', async () => {
    await using client = await connect(inject('postgres')!.url)
    const { rows } = await client.query(`
      select pg_jit_available() as available, current_setting('jit') as jit,
             current_setting('jit_above_cost') as above_cost`)
    expect(rows).toEqual([{ available: true, jit: 'on', above_cost: '100000' }])
    const plan = await client.query(
      'explain (analyze) select sum(i) from generate_series(1, 20000000) i limit 1',
    )
    expect(plan.rows.map(row => row['QUERY PLAN']).join('\n')).toContain('JIT:')
  })
}
