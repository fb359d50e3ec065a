import { expect, test } from 'vitest'
import { orderTableResyncs, tableGapsOf } from '../../src/capture/backfill/resync-tables.ts'
import { defaultMapping } from '../../src/domain/mapping/mapping.ts'
import { maxInARow } from '../../src/domain/value/streak.ts'
import { openOutbox } from '../../src/outbox/database/database.ts'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { startCapture } from '../support/run-capture.ts'
import { until } from '../support/wait.ts'

const rows = 200

/** A table whose rows must be read, and can't be read where `n` is 0: a virtual column is in no WAL. */
async function open() {
  const database = await createTestDatabase({ hasOutbox: true })
  const psql = await connect(database.url)
  await psql.query(`create table companies (id integer primary key);
    create table users (id integer primary key, n integer, share integer generated always as (100 / n) virtual)`)
  const outbox = openOutbox({ url: database.url, maxConnections: 2, onError() {} })
  const slotName = database.name.slice(0, 63)
  const gaps = () => tableGapsOf(outbox, slotName, 'user')
  const count = async (sql: string) => (await psql.query(sql)).rows[0].n as number
  return {
    psql,
    gaps,
    capture: () => startCapture(database),
    parked: () => count('select count(*)::int as n from walhook.parked_changes'),
    events: () => count(`select count(*)::int as n from walhook.events where entity_type = 'user'`),
    last: () =>
      count(`select count(*)::int as n from (select distinct on (entity_id) body from walhook.events
        where entity_type = 'user' order by entity_id, id desc) e where body like '%"share":50%'`),
    order: async () => orderTableResyncs(outbox, await gaps(), { slotName, mapping: defaultMapping }),
    async [Symbol.asyncDispose]() {
      await outbox[Symbol.asyncDispose]()
      await psql.end()
      await database.drop()
    },
  }
}

async function hasVirtualColumns(): Promise<boolean> {
  await using database = await createTestDatabase({ hasOutbox: true })
  await using psql = await connect(database.url)
  const { rows } = await psql.query(`select current_setting('server_version_num')::int as version`)
  return rows[0].version >= 180000
}

test('a table that has become unreadable is one gap, not a parked change for each row', async ({ skip }) => {
  skip(!(await hasVirtualColumns()), 'virtual generated columns are of PostgreSQL 18')
  await using at = await open()
  {
    await using capture = await at.capture()
    await at.psql.query(`insert into users select i, 1 from generate_series(1, ${rows}) i`)
    await capture.caughtUp()
    expect(await at.events()).toBe(rows)
    // In one transaction, in another, and one by one.
    await at.psql.query('update users set n = 0 where id <= 120')
    await at.psql.query('update users set n = 0 where id > 120')
    for (let id = 1; id <= 20; id++) await at.psql.query('update users set n = 0 where id = $1', [id])
    await capture.caughtUp()
    expect(await at.parked()).toBe(maxInARow)
    expect(await at.gaps()).toMatchObject([
      {
        entityType: 'user',
        tableName: '"public"."users"',
        reason: 'rows unreadable',
        detail: expect.stringContaining('division by zero'),
        toLsn: expect.any(BigInt),
      },
    ])
    await until(() => capture.state().state === 'gap', { what: 'the gap to be told' })
    expect(capture.state()).toMatchObject({
      code: 'capture.table_gap',
      reason: expect.stringContaining('walhook resync --entity user'),
      mend: expect.stringContaining('walhook resync --entity'),
    })
  }
  // Nothing is set aside anew by a process that comes after.
  const before = (await at.gaps())[0]!.toLsn!
  await using capture = await at.capture()
  await at.psql.query('update users set n = 0')
  await capture.caughtUp()
  expect(await at.parked()).toBe(maxInARow)
  expect((await at.gaps())[0]!.toLsn).toBeGreaterThan(before)

  // What a person does: mend the cause, then resync.
  await at.psql.query('update users set n = 2')
  await at.order()
  await until(async () => (await at.gaps()).length === 0, { what: 'the gap to end', timeoutMs: 30_000 })
  await until(() => capture.state().state === 'streaming', { what: 'the state to be well' })
  expect(await at.last()).toBe(rows)
  // A single row that can't be read is set aside again.
  await at.psql.query('update users set n = 0 where id = 1')
  await capture.caughtUp()
  expect(await at.parked()).toBe(maxInARow + 1)
  expect(await at.gaps()).toEqual([])
})
