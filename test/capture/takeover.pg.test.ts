import { expect, test } from 'vitest'
import { newLink } from '../../src/capture/link.ts'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { startCapture } from '../support/run-capture.ts'
import { dropSlot } from '../support/slot.ts'
import { until } from '../support/wait.ts'
import { startWalhook } from '../support/walhook-process.ts'

const timeoutMs = 120_000

/** Two walhooks on one slot, of which the first captures and the second stands by. */
async function open() {
  const database = await createTestDatabase({ hasOutbox: true })
  const psql = await connect(database.url)
  await psql.query(
    `create table companies (id integer primary key); create table users (id integer primary key, name text)`,
  )
  const start = () => startWalhook(database, { WALHOOK_ROLES: 'capture' })
  const first = start()
  await first.logged('capture.state', { state: 'streaming' })
  const second = start()
  await second.logged('capture.state', { state: 'standing by' })
  return {
    psql,
    first,
    second,
    slot: database.name.slice(0, 63),
    async events(): Promise<string[]> {
      const { rows } = await psql.query(
        `select entity_type || ' ' || entity_id || ' ' || action_type as event from walhook.events order by id`,
      )
      return rows.map(({ event }) => event)
    },
    /** Kills the first while it can do nothing, after something was done that it has had no chance to notice. */
    async killAfter(sql: readonly string[]) {
      first.kill('SIGSTOP')
      for (const statement of sql) await psql.query(statement)
      first.kill('SIGKILL')
      await first.exited
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([first[Symbol.asyncDispose](), second[Symbol.asyncDispose]()])
      await psql.end()
      await database.drop()
    },
  }
}

test(
  'a takeover detects a table that left the publication, although the earlier process saw nothing',
  async () => {
    await using at = await open()
    await at.killAfter([
      'alter publication walhook drop table users',
      `insert into users values (1, 'lost')`,
      'alter publication walhook add table users',
      `insert into users values (2, 'told')`,
    ])
    await at.second.logged('capture.gap', { table: '"public"."users"', reason: 'table unpublished' })
    await until(async () => (await at.events()).length > 0, { what: 'the change after' })
    expect(await at.events()).toEqual(['user 2 new'])
  },
  timeoutMs,
)

test(
  'a takeover checks the mapping again: a renamed table blocks it, with a fix that works, and nothing is lost',
  async () => {
    await using at = await open()
    await at.killAfter([`insert into users values (1, 'before')`, 'alter table users rename to people'])
    const { reason, code } = await at.second.logged('capture.state', { state: 'blocked' })
    expect(code).toBe('capture.source_problem')
    const mend = 'alter table "public"."people" rename to "users";'
    expect(reason).toContain(mend)
    await at.psql.query(`insert into people values (2, 'meanwhile')`)
    await at.psql.query(mend)
    await at.second.logged('capture.state', { state: 'streaming' })
    await until(async () => (await at.events()).length === 2, { what: 'both changes' })
    expect(await at.events()).toEqual(['user 1 new', 'user 2 new'])
    expect((await at.psql.query('select from walhook.gaps')).rowCount).toBe(0)
  },
  timeoutMs,
)

test(
  'a takeover checks the publication again: a dropped one is a loss of everything',
  async () => {
    await using at = await open()
    await at.killAfter(['drop publication walhook'])
    const { reason } = await at.second.logged('capture.state', { state: 'lost' })
    expect(reason).toContain('publication missing')
  },
  timeoutMs,
)

test(
  'a takeover checks the slot again: a re-created one is a loss of everything',
  async () => {
    await using at = await open()
    at.second.kill('SIGSTOP')
    await at.killAfter([`insert into users values (1, 'lost')`])
    await dropSlot(at.psql, at.slot)
    await at.psql.query(`select pg_create_logical_replication_slot($1, 'pgoutput')`, [at.slot])
    at.second.kill('SIGCONT')
    const { reason } = await at.second.logged('capture.state', { state: 'lost' })
    expect(reason).toContain('slot moved')
    expect(await at.events()).toEqual([])
  },
  timeoutMs,
)

test('a standby begins as soon as the slot is free', async () => {
  await using database = await createTestDatabase({ hasOutbox: true })
  await using psql = await connect(database.url)
  await psql.query(
    `create table companies (id integer primary key); create table users (id integer primary key, name text)`,
  )
  const first = await startCapture(database)
  // By itself it would not try again while this test runs.
  const link = { ...newLink(), standbyPollMs: 10 * timeoutMs }
  await using second = await startCapture(database, undefined, undefined, undefined, link)
  expect(second.state().state).toBe('standing by')
  await first[Symbol.asyncDispose]()
  link.slotFreed()
  await until(() => second.state().state === 'streaming', { what: 'the second one to capture' })
})
