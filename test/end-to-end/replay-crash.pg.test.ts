import { expect, test } from 'vitest'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { startTestReceiver } from '../support/test-receiver.ts'
import { until } from '../support/wait.ts'
import { startWalhook } from '../support/walhook-process.ts'

const users = 2_500
/** What the test holds, and the replay waits for in the middle of its second page. */
const held = 840_084

test('a process killed in the middle of a replay leaves complete pages, and another one sends the rest', async () => {
  await using database = await createTestDatabase({ hasOutbox: true })
  await using receiver = await startTestReceiver()
  await using psql = await connect(database.url)
  await psql.query(`
    create table users (id integer primary key, version integer);
    create table companies (id integer primary key)`)
  const first = startWalhook(database)
  await first.ready()
  const { id } = await first.api('POST', '/api/webhooks', {
    name: 'CRM',
    url: receiver.url,
    triggers: ['user.new'],
  })
  await psql.query(`insert into users select i, 1 from generate_series(1, ${users}) i`)
  const sent = () => new Set(receiver.arrivals.map(({ entityId }) => entityId))
  await until(() => sent().size === users, { what: 'all events to arrive' })
  const waiting = async () =>
    (await psql.query('select count(*)::int as n from walhook.deliveries where webhook_id = $1', [id]))
      .rows[0].n
  await until(async () => (await waiting()) === 0, { what: 'the queue to be empty' })

  await psql.query(`
    create function walhook.wait_in_test() returns trigger language plpgsql as $$
    begin perform pg_advisory_xact_lock(${held}); return new; end $$;
    create trigger wait_in_test before update of looked_at on walhook.replays
      for each row when (new.looked_at > 1500) execute function walhook.wait_in_test()`)
  await psql.query(`select pg_advisory_lock(${held})`)
  const before = receiver.arrivals.length
  const replay = await first.api('POST', `/api/webhooks/${id}/replays`, { from: new Date(0).toISOString() })
  expect(replay).toMatchObject({ counted: users, is_exact: true })
  await until(
    async () => {
      const { rows } = await psql.query(
        `select from pg_locks where locktype = 'advisory' and objid = ${held} and not granted`,
      )
      return rows.length === 1
    },
    { what: 'the second page to wait' },
  )
  first.kill('SIGKILL')
  await first.exited
  await psql.query(`select pg_advisory_unlock(${held})`)
  await until(
    async () => {
      const { rows } = await psql.query(
        `select from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'`,
      )
      return rows.length === 0
    },
    { what: 'the connections of the killed process to end' },
  )
  // The page that had its place written and was not committed is not there, neither its place nor what it queued.
  const stood = (await psql.query('select looked_at, queued, state from walhook.replays')).rows[0]
  expect(stood).toEqual({ looked_at: 999, queued: 999, state: 'running' })
  const { rows: noted } = await psql.query(
    `select count(distinct event_id)::int as n from (
       select event_id from walhook.deliveries where webhook_id = $1
       union all select event_id from walhook.attempts where webhook_id = $1 and trigger = 'manual') of_replay`,
    [id],
  )
  expect(noted[0].n).toBe(999)
  await psql.query('drop trigger wait_in_test on walhook.replays')

  await using second = startWalhook(database)
  await second.ready()
  const path = `/api/webhooks/${id}/replays/${replay.id}`
  await until(async () => (await second.api('GET', path)).state === 'done', {
    what: 'the other process to end it',
    timeoutMs: 120_000,
  })
  expect(await second.api('GET', path)).toMatchObject({ looked_at: users, queued: users, problem: null })
  const again = () => new Set(receiver.arrivals.slice(before).map(({ entityId }) => entityId))
  await until(() => again().size === users, { what: 'each event to arrive again' })
})
