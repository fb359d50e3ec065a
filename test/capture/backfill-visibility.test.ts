import { afterAll, beforeAll, expect, test } from 'vitest'
import { defaultMapping } from '../../src/domain/mapping/mapping.ts'
import { isDone, openBackfills } from '../support/backfill.ts'
import { connect } from '../support/connect.ts'
import { linked } from '../support/open-mapper.ts'
import { type OwnServer, openOwnServer } from '../support/own-database.ts'
import { startCapture } from '../support/run-capture.ts'
import { until } from '../support/wait.ts'

let server: OwnServer
beforeAll(async () => {
  server = await openOwnServer()
})
afterAll(() => server[Symbol.asyncDispose]())

async function open() {
  const database = await server.database({ hasOutbox: true })
  const psql = await connect(database.url)
  // No commit waits for a standby but the one that shall.
  await psql.query('set synchronous_commit = local')
  await psql.query(`alter database ${database.name} set synchronous_commit = local`)
  await psql.query(`
    create table users (id integer primary key, name text, version integer);
    create table companies (id integer primary key);
    insert into users select i, 'old', 1 from generate_series(1, 3) i`)
  const backfills = await openBackfills(database)
  await backfills.outbox.pool.query('select')
  const setStandby = async (sql: string) => {
    await psql.query(sql)
    await psql.query('select pg_reload_conf()')
  }
  return {
    database,
    psql,
    backfills,
    /**
     * Commits a change for which a standby would have to answer, and there is none: it is in the WAL, is decoded and
     * stored, and nobody sees it. Returns what lets it end.
     */
    async commitUnseen(change: string) {
      await setStandby(`alter system set synchronous_standby_names = 'nobody'`)
      const writer = await connect(database.url)
      await writer.query('set synchronous_commit = on')
      const waits = `select from pg_stat_activity where wait_event = 'SyncRep' and datname = current_database()`
      // The new setting reaches a session between two of its statements.
      await until(
        async () =>
          (await writer.query('show synchronous_standby_names')).rows[0].synchronous_standby_names ===
          'nobody',
        { what: 'the setting' },
      )
      const commit = writer.query(change)
      await until(async () => (await psql.query(waits)).rowCount === 1, { what: 'the commit to wait' })
      return {
        async end() {
          await setStandby('alter system reset synchronous_standby_names')
          await commit
          await writer.end()
        },
      }
    },
    /** The stream announces a table with its first change, which capture waits to see. This one makes no event. */
    async announceUsers(capture: { caughtUp(): Promise<void> }) {
      await psql.query(
        `begin; insert into users values (99, 'gone', 1); delete from users where id = 99; commit`,
      )
      await capture.caughtUp()
    },
    async stored(line: string) {
      await until(
        async () =>
          (await psql.query('select from walhook.events where body like $1', [`%${line}%`])).rowCount === 1,
        { what: `the event ${line}` },
      )
    },
    async [Symbol.asyncDispose]() {
      await setStandby('alter system reset synchronous_standby_names')
      await backfills[Symbol.asyncDispose]()
      await psql.end()
    },
  }
}

const unseen = /^transactions that were open or not yet visible when reading began must end first/

test('a page does not undo a stored change that is not yet visible', async () => {
  await using at = await open()
  await using capture = await startCapture(at.database)
  await at.announceUsers(capture)
  await at.backfills.webhook('user.new', 'user.update')
  const id = await at.backfills.start({ rowsPerSecond: 1 })
  await at.backfills.is(id, ({ rowsDone }) => rowsDone === 1, 'the first page')
  const hanging = await at.commitUnseen(`update users set name = 'newer', version = 2 where id = 2`)
  await at.stored('"newer"')
  // Another one gets a higher id, and is seen: the one that hangs is among those in progress.
  await at.psql.query(`update users set version = 3 where id = 1`)
  await at.backfills.is(id, ({ reason }) => unseen.test(reason ?? ''), 'the backfill to wait')
  expect(await capture.events()).toHaveLength(3)
  await hanging.end()
  await at.backfills.is(id, isDone)
  expect(await capture.events()).toEqual([
    'user 1 new {"id":1,"name":"old","version":1}',
    'user 2 update {"id":2,"name":"newer","version":2}',
    'user 1 update {"id":1,"name":"old","version":3}',
    'user 2 new {"id":2,"name":"newer","version":2}',
    'user 3 new {"id":3,"name":"old","version":1}',
  ])
})

test('a page does not undo a change that an earlier process stored before the backfill', async () => {
  await using at = await open()
  let hanging: Awaited<ReturnType<typeof at.commitUnseen>>
  {
    await using first = await startCapture(at.database)
    await at.announceUsers(first)
    await at.backfills.webhook('user.new', 'user.update')
    hanging = await at.commitUnseen(`update users set name = 'newer', version = 2 where id = 1`)
    await at.stored('"newer"')
  }
  await using capture = await startCapture(at.database)
  const id = await at.backfills.start()
  await at.backfills.is(id, ({ reason }) => unseen.test(reason ?? ''), 'the backfill to wait')
  expect(await capture.events()).toHaveLength(1)
  await hanging.end()
  await at.backfills.is(id, isDone)
  expect(await capture.events()).toEqual([
    'user 1 update {"id":1,"name":"newer","version":2}',
    'user 1 new {"id":1,"name":"newer","version":2}',
    'user 2 new {"id":2,"name":"old","version":1}',
    'user 3 new {"id":3,"name":"old","version":1}',
  ])
})

test('a long transaction delays no page of a running backfill', async () => {
  await using at = await open()
  await using capture = await startCapture(at.database)
  await at.backfills.webhook('user.new')
  const id = await at.backfills.start({ rowsPerSecond: 1 })
  await at.backfills.is(id, ({ rowsDone }) => rowsDone === 1, 'the first page')
  await using writer = await connect(at.database.url)
  await writer.query(`begin; update users set version = 9 where id = 3`)
  await at.backfills.is(id, isDone)
  await writer.query('commit')
  await capture.caughtUp()
  expect((await capture.events()).at(-1)).toBe('user 3 update {"id":3,"name":"old","version":9}')
})

test('reading back waits until the change is visible; a stop does not wait', async () => {
  await using at = await open()
  await at.psql.query(
    'create table user_companies (user_id integer, company_id integer, primary key (user_id, company_id))',
  )
  const start = () =>
    startCapture(at.database, [
      {
        ...defaultMapping[0]!,
        related: [{ ...linked, table: { schema: 'public', name: 'user_companies' } }],
      },
    ])
  let hanging: Awaited<ReturnType<typeof at.commitUnseen>>
  {
    await using _first = await start()
    hanging = await at.commitUnseen('insert into user_companies values (1, 5)')
    // It was brought, and either told too early or waited for.
    const hasCome = `
      select from walhook.events
      union all select from pg_stat_activity
      where datname = current_database() and application_name = 'walhook source' and query like '%pg_current_snapshot()%'`
    await until(async () => ((await at.psql.query(hasCome)).rowCount ?? 0) > 0, { what: 'it to have come' })
  }
  await using capture = await start()
  await at.psql.query(`update users set version = 2 where id = 2`)
  await hanging.end()
  await capture.caughtUp()
  expect(await capture.events()).toEqual([
    'user 1 update {"id":1,"name":"old","version":1,"companies":[5]}',
    'user 2 update {"id":2,"name":"old","version":2,"companies":[]}',
  ])
})
