import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EntityMapping } from '../../src/domain/mapping/mapping.ts'
import { connect } from '../support/connect.ts'
import { type OwnServer, openOwnServer } from '../support/own-database.ts'
import { startCapture } from '../support/run-capture.ts'
import { until } from '../support/wait.ts'

let server: OwnServer
beforeAll(async () => {
  server = await openOwnServer()
})
afterAll(() => server[Symbol.asyncDispose]())

const users: EntityMapping = {
  entityType: 'user',
  table: { schema: 'public', name: 'users' },
  key: 'id',
  fields: { include: null, omit: [], rename: {} },
  related: [
    {
      field: 'companies',
      table: { schema: 'public', name: 'user_companies' },
      owner: 'user_id',
      columns: ['company_id'],
      plain: true,
    },
  ],
  sendsUnchanged: false,
}

/** A database in which no commit waits for a standby but the one that shall. */
async function open() {
  const database = await server.database()
  const psql = await connect(database.url)
  await psql.query('set synchronous_commit = local')
  await psql.query(`alter database ${database.name} set synchronous_commit = local`)
  await psql.query(`
    create table users (id integer primary key, name text, shouted text generated always as (upper(name)) stored);
    create table user_companies (user_id integer, company_id integer, primary key (user_id, company_id))`)
  const setStandbys = async (names: string) => {
    await psql.query(`alter system set synchronous_standby_names = '${names}'`)
    await psql.query('select pg_reload_conf()')
  }
  return {
    database,
    psql,
    /**
     * Commits something for which a standby would have to answer, and there is none: it is in the WAL, and nobody sees
     * it. Returns what lets it end.
     */
    async commitUnseen(sql: string) {
      await setStandbys('nobody')
      const writer = await connect(database.url)
      await writer.query('set synchronous_commit = on')
      const isSet = async () =>
        (await writer.query('show synchronous_standby_names')).rows[0].synchronous_standby_names === 'nobody'
      await until(isSet, { what: 'the setting' })
      const commit = writer.query(`begin; ${sql}; commit`)
      const waits = `select from pg_stat_activity where wait_event = 'SyncRep' and datname = current_database()`
      await until(async () => (await psql.query(waits)).rowCount === 1, { what: 'the commit to wait' })
      return async () => {
        await setStandbys('')
        await commit
        await writer.end()
      }
    },
    async [Symbol.asyncDispose]() {
      await setStandbys('')
      await psql.end()
    },
  }
}

test('the catalogue read for a change is never older than the change, although WAL arrives before visibility', async () => {
  await using at = await open()
  await using capture = await startCapture(at.database, [users])
  const end = await at.commitUnseen(
    `create domain age as integer; alter table users add age age;
     insert into users (id, name, age) values (1, 'a', 33); insert into user_companies values (1, 5)`,
  )
  const asks = `select from pg_stat_activity where query like '%pg_current_snapshot()%' and pid <> pg_backend_pid()
                and application_name = 'walhook source'`
  await until(async () => (await at.psql.query(asks)).rowCount !== 0, { what: 'capture to wait for it' })
  expect(await capture.events()).toEqual([])
  await end()
  await capture.caughtUp()
  expect(await capture.events()).toEqual([
    'user 1 new {"id":1,"name":"a","shouted":"A","age":33,"companies":[5]}',
  ])
})

test('after a stop while a change is not yet visible, the next start sends it', async () => {
  await using at = await open()
  let stopped: Promise<void>
  let end: () => Promise<void>
  {
    await using capture = await startCapture(at.database, [users])
    stopped = capture.over
    end = await at.commitUnseen(`insert into users values (1, 'a'); insert into user_companies values (1, 5)`)
  }
  await expect(stopped).resolves.toBeUndefined()
  await end()
  await using next = await startCapture(at.database, [users])
  await next.caughtUp()
  expect(await next.events()).toEqual(['user 1 new {"id":1,"name":"a","shouted":"A","companies":[5]}'])
})
