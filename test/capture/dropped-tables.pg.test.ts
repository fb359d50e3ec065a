import { expect, test } from 'vitest'
import { orderTableResyncs, tableGapsOf } from '../../src/capture/backfill/resync-tables.ts'
import { CaptureBlocked } from '../../src/capture/continuity/state.ts'
import { defaultMapping } from '../../src/domain/mapping/mapping.ts'
import { type Outbox, openOutbox } from '../../src/outbox/database/database.ts'
import { openBackfills } from '../support/backfill.ts'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { type RunningCapture, startCapture } from '../support/run-capture.ts'
import { until } from '../support/wait.ts'

const table = 'create table companies (id integer primary key, name text)'

/** A database that was captured for a while, with one company told. */
async function open() {
  const database = await createTestDatabase({ hasOutbox: true })
  const psql = await connect(database.url)
  await psql.query(`${table}; create table users (id integer primary key, name text)`)
  {
    await using capture = await startCapture(database)
    await psql.query(`insert into companies values (1, 'told')`)
    await capture.caughtUp()
  }
  const outbox: Outbox = openOutbox({ url: database.url, maxConnections: 2, onError() {} })
  const slotName = database.name.slice(0, 63)
  const gaps = async () => await tableGapsOf(outbox, slotName, 'company')
  return {
    database,
    psql,
    capture: () => startCapture(database),
    gapIs: (reason: string) =>
      until(async () => (await gaps()).some(gap => gap.reason === reason && gap.toLsn !== null), {
        what: `the gap "${reason}"`,
      }),
    /** Waits until the columns of the second table of that name are known. */
    isKnown: () =>
      until(
        async () => {
          const { rows } = await psql.query(
            `select count(distinct table_oid)::int as n from walhook.source_columns where table_name = 'companies'`,
          )
          return rows[0].n === 2
        },
        { what: 'the new table to be known' },
      ),
    /** As `walhook resync --entity company --yes`; returns when the gap has ended. */
    async resync() {
      await orderTableResyncs(outbox, await gaps(), { slotName, mapping: defaultMapping })
      await until(async () => (await gaps()).length === 0, { what: 'the gap to end' })
    },
    async [Symbol.asyncDispose]() {
      await outbox[Symbol.asyncDispose]()
      await psql.end()
      await database.drop()
    },
  }
}

const companies = async (capture: RunningCapture) =>
  (await capture.events()).filter(event => event.startsWith('company'))

test('a table dropped before the start and created again later is sent by a resync', async () => {
  await using at = await open()
  await at.psql.query('drop table companies')
  await using capture = await at.capture()
  await at.gapIs('table dropped')
  // Nothing is written once it is captured: no relation in the stream announces it.
  await at.psql.query(
    `begin; ${table}; insert into companies values (2, 'anew'); alter publication walhook add table companies; commit`,
  )
  await at.gapIs('table replaced')
  await at.resync()
  expect(await companies(capture)).toEqual([
    'company 1 new {"id":1,"name":"told"}',
    'company 2 new {"id":2,"name":"anew"}',
    'company 1 delete',
  ])
})

test('a dropped table does not keep a resync or a backfill waiting', async () => {
  await using at = await open()
  await using capture = await at.capture()
  await using backfills = await openBackfills(at.database)
  await backfills.webhook('company.new')
  await at.psql.query('drop table companies')
  await at.gapIs('table dropped')
  await at.resync()
  await at.psql.query(`insert into users values (1, 'goes on')`)
  await capture.caughtUp()
  expect(await capture.events()).toEqual([
    'company 1 new {"id":1,"name":"told"}',
    'user 1 new {"id":1,"name":"goes on"}',
  ])
  const failed = await backfills.is(
    await backfills.start({ entityType: 'company' }),
    ({ state }) => state === 'failed',
  )
  expect(failed).toMatchObject({ code: 'page.entity_gone', reason: expect.stringContaining('was dropped') })
})

test('a re-created table, seen before its first change and then renamed, does not count as dropped', async () => {
  await using at = await open()
  await using capture = await at.capture()
  await at.psql.query(
    `begin; drop table companies; ${table}; alter publication walhook add table companies; commit`,
  )
  await at.isKnown()
  await at.psql.query('alter table companies rename to companies_old')
  await expect(capture.over).rejects.toThrow(
    'run: alter table "public"."companies_old" rename to "companies";',
  )
})

test('a re-created table, seen before it could be captured and then renamed, does not count as dropped', async () => {
  await using at = await open()
  await at.psql.query(`begin; drop table companies; ${table}; commit`)
  await expect(at.capture()).rejects.toThrow(CaptureBlocked)
  await at.psql.query('alter table companies rename to companies_old')
  await expect(at.capture()).rejects.toThrow(
    'run: alter table "public"."companies_old" rename to "companies";',
  )
})
