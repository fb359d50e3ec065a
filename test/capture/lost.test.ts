import { afterAll, beforeAll, expect, test } from 'vitest'
import { settleHome } from '../../src/outbox/source/home.ts'
import { startCaptureProcess } from '../support/capture-process.ts'
import { connect } from '../support/connect.ts'
import { type OwnServer, openOwnServer } from '../support/own-database.ts'
import { readEvents } from '../support/read-outbox.ts'
import { startCapture } from '../support/run-capture.ts'
import { dropSlot, slotIsFree } from '../support/slot.ts'
import { until } from '../support/wait.ts'
import { adminToken, runWalhook, startWalhook } from '../support/walhook-process.ts'

let server: OwnServer
beforeAll(async () => {
  server = await openOwnServer({ max_replication_slots: '60', max_wal_senders: '60' })
})
afterAll(() => server[Symbol.asyncDispose]())

/** What delivers needs time to start, and has no part in it. */
const captureOnly = { WALHOOK_ROLES: 'capture,api' }

/** A source that was captured, up to its first event. Capture ended in order, or was killed: what does more starts slower. */
async function open(end: 'in order' | 'by SIGKILL' = 'in order') {
  const database = await server.database({ hasOutbox: true })
  const psql = await connect(database.url)
  await psql.query(
    'create table users (id integer primary key, name text); create table companies (id integer primary key)',
  )
  await settleHome(psql, { isSource: true })
  const stored = async () => {
    await psql.query(`insert into users values (1, 'stored')`)
    await until(async () => (await readEvents(psql)).length === 1, { what: 'the first event' })
  }
  if (end === 'in order') {
    await using _ = await startCapture(database)
    await stored()
  } else {
    const capture = startCaptureProcess(database)
    await capture.streaming
    await stored()
    await capture.kill()
  }
  await slotIsFree(psql, database.name)
  return { database, psql, slot: database.name, [Symbol.asyncDispose]: () => psql.end() }
}
type Opened = Awaited<ReturnType<typeof open>>

const drop = ({ psql, slot }: Opened) => dropSlot(psql, slot)

test.each<[string, string, (at: Opened) => Promise<unknown>]>([
  ['slot missing', 'was dropped', drop],
  [
    'slot moved',
    'has confirmed only up to',
    async ({ psql, slot }) => {
      await psql.query(`insert into users values (2, 'lost')`)
      await psql.query('select pg_replication_slot_advance($1, pg_current_wal_lsn())', [slot])
    },
  ],
  [
    'publication missing',
    'publication walhook was dropped',
    ({ psql }) => psql.query('drop publication walhook'),
  ],
  [
    'other cluster',
    'leads to the cluster',
    ({ psql }) => psql.query(`update walhook.positions set system_identifier = '7'`),
  ],
  [
    'other history',
    'was restored from a backup',
    ({ psql }) =>
      psql.query(`update walhook.positions set commit_lsn = 'FFFFFF/0', confirmed_lsn = 'FFFFFF/0'`),
  ],
])(
  '%s is a state of its own with failing readiness and one gap, and nothing is created again',
  async (reason, words, lose) => {
    await using at = await open()
    await lose(at)
    await using walhook = startWalhook(at.database, captureOnly)
    const { reason: told } = await walhook.logged('capture.state', { state: 'lost' })
    expect(told).toContain(reason)
    expect(told).toContain(words)
    expect(told).toContain('walhook resync')
    const readyz = await fetch(`${await walhook.url()}/readyz`, {
      headers: { authorization: `Bearer ${adminToken}` },
    })
    expect(readyz.status).toBe(503)
    expect(await readyz.text()).toContain(`lost: ${reason}`)

    // It has looked again by then.
    await until(() => walhook.log.filter(({ msg }) => msg === 'capture.failed').length >= 2, {
      what: 'the next try',
    })
    const gaps = await at.psql.query('select reason, from_lsn, to_lsn from walhook.gaps')
    expect(gaps.rows).toEqual([
      { reason, from_lsn: expect.stringMatching(/^[0-9A-F]+\/[0-9A-F]+$/), to_lsn: null },
    ])
    const made = await at.psql.query(
      'select (select count(*)::int from pg_replication_slots where slot_name = $1) as slots, (select count(*)::int from pg_publication) as publications',
      [at.slot],
    )
    expect(made.rows).toEqual([
      { slots: reason === 'slot missing' ? 0 : 1, publications: reason === 'publication missing' ? 0 : 1 },
    ])
    expect(await readEvents(at.psql)).toHaveLength(1)
  },
)

test.each<[string, (at: Opened) => Promise<unknown>]>([
  [
    'advanced',
    ({ psql, slot }) =>
      psql.query('select pg_replication_slot_advance($1, pg_current_wal_insert_lsn())', [slot]),
  ],
  [
    'read by another program',
    ({ psql, slot }) =>
      psql.query(
        `select count(*) from pg_logical_slot_get_binary_changes($1, null, null, 'proto_version', '1', 'publication_names', 'walhook')`,
        [slot],
      ),
  ],
  [
    'dropped and made anew',
    async at => {
      await drop(at)
      await at.psql.query(`select pg_create_logical_replication_slot($1, 'pgoutput')`, [at.slot])
    },
  ],
])('after a SIGKILL, a slot that was %s behind one row is a gap', async (_how, move) => {
  await using at = await open('by SIGKILL')
  await at.psql.query(`insert into users values (2, 'lost')`)
  await move(at)
  await using walhook = startWalhook(at.database, captureOnly)
  const { reason } = await walhook.logged('capture.state', { state: 'lost' })
  expect(reason).toContain('slot moved')
})

test('an outbox that falls back to an older state, as to an asynchronous standby, is lost: slot moved', async () => {
  await using at = await open()
  await at.psql.query('create table before as table walhook.positions')
  const next = startWalhook(at.database, captureOnly)
  await next.ready()
  await at.psql.query(`insert into users values (2, 'forgotten')`)
  await until(async () => (await readEvents(at.psql)).length === 2, { what: 'the second event' })
  next.kill('SIGTERM')
  await next.exited
  await at.psql.query(`
    update walhook.positions p set commit_lsn = b.commit_lsn, confirmed_lsn = b.confirmed_lsn from before b`)
  await using walhook = startWalhook(at.database, captureOnly)
  const { reason } = await walhook.logged('capture.state', { state: 'lost' })
  expect(reason).toContain('slot moved')
})

test('a slot invalidated by PostgreSQL is lost, with the reason', async () => {
  await using at = await open()
  await at.psql.query(`alter system set max_slot_wal_keep_size = '1MB'`)
  await at.psql.query('select pg_reload_conf()')
  await until(
    async () => {
      await at.psql.query(
        `insert into users select i + (select max(id) from users), repeat('x', 500) from generate_series(1, 20000) i`,
      )
      await at.psql.query('select pg_switch_wal()')
      await at.psql.query('checkpoint')
      const { rows } = await at.psql.query(
        'select wal_status from pg_replication_slots where slot_name = $1',
        [at.slot],
      )
      return rows[0].wal_status === 'lost'
    },
    { what: 'the slot to be invalidated' },
  )
  await using walhook = startWalhook(at.database, captureOnly)
  const { reason } = await walhook.logged('capture.state', { state: 'lost' })
  expect(reason).toContain('max_slot_wal_keep_size')
  await at.psql.query('alter system reset max_slot_wal_keep_size')
  await at.psql.query('select pg_reload_conf()')
})

test('a table renamed during streaming blocks capture, by name, and nothing is lost once it is back', async () => {
  await using at = await open()
  await using walhook = startWalhook(at.database, captureOnly)
  await walhook.ready()
  await at.psql.query('alter table users rename to people')
  await at.psql.query(`insert into people values (2, 'while it had another name')`)
  const { reason } = await walhook.logged('capture.state', { state: 'blocked' })
  expect(reason).toContain('table "public"."users": missing')
  const readyz = `${await walhook.url()}/readyz`
  // It is kept for a second.
  await until(async () => (await fetch(readyz)).status === 503, { what: 'readiness to be red' })
  await at.psql.query('alter table people rename to users')
  await walhook.ready()
  await at.psql.query(`insert into users values (3, 'after')`)
  await until(async () => (await readEvents(at.psql)).length === 3, { what: 'the changes' })
  expect(await readEvents(at.psql)).toEqual(['user 1 new', 'user 2 new', 'user 3 new'])
})

test('a re-created table blocks capture until it is published, and then has a gap', async () => {
  await using at = await open()
  await using walhook = startWalhook(at.database, captureOnly)
  await walhook.ready()
  await at.psql.query('drop table users; create table users (id integer primary key, name text)')
  const { reason } = await walhook.logged('capture.state', { state: 'blocked' })
  expect(reason).toContain('alter publication walhook add table "public"."users"')
  await at.psql.query('insert into companies values (1)')
  await at.psql.query('alter publication walhook add table users')
  await at.psql.query(`insert into users values (9, 'new table')`)
  await until(async () => (await readEvents(at.psql)).includes('user 9 new'), {
    what: 'a change of the new table',
  })
  expect(await readEvents(at.psql)).toEqual(['user 1 new', 'company 1 new', 'user 9 new'])
  expect((await fetch(`${await walhook.url()}/readyz`)).status).toBe(503)
  const plan = await runWalhook(at.database, ['resync', '--entity', 'user'])
  expect(plan.stdout).toContain('table replaced')
  expect(await runWalhook(at.database, ['resync', '--entity', 'user', '--yes'])).toMatchObject({ code: 0 })
  await walhook.ready()
  expect((await readEvents(at.psql)).slice(3)).toEqual(['user 9 update', 'user 1 delete'])
})

test('a resync announces what it will do, then sends all rows and deletes, and capture continues', async () => {
  await using at = await open()
  await at.psql.query(`insert into companies values (1)`)
  await using walhook = startWalhook(at.database, captureOnly)
  await walhook.ready()
  await at.psql.query(`insert into users values (2, 'to be deleted'), (3, 'stays')`)
  await until(async () => (await readEvents(at.psql)).length === 4, { what: 'the events before' })
  expect((await runWalhook(at.database, ['resync'])).stdout).toMatch(/^Nothing is lost/)

  walhook.kill('SIGTERM')
  await walhook.exited
  await drop(at)
  await at.psql.query(`update users set name = 'while nobody read' where id = 1`)
  await at.psql.query(`delete from users where id = 2`)
  await at.psql.query(`insert into users values (4, 'while nobody read')`)
  await using next = startWalhook(at.database, captureOnly)
  await next.logged('capture.state', { state: 'lost' })

  const plan = await runWalhook(at.database, ['resync'])
  expect(plan.stdout).toContain('slot missing')
  expect(plan.stdout).toContain('walhook resync --yes')
  expect(await readEvents(at.psql)).toHaveLength(4)

  const done = await runWalhook(at.database, ['resync', '--yes'])
  expect(done).toMatchObject({ code: 0, stderr: '' })
  await next.logged('resync.ended', { entity_type: 'user' })
  await next.logged('resync.ended', { entity_type: 'company' })
  await at.psql.query(`update users set name = 'after' where id = 3`)
  await until(async () => (await readEvents(at.psql)).length >= 10, { what: 'the change after' })
  const told = (await readEvents(at.psql, 'name')).slice(4)
  expect(told.filter(line => line.startsWith('user'))).toEqual([
    'user 1 update while nobody read',
    'user 3 update stays',
    'user 4 new while nobody read',
    'user 2 delete',
    'user 3 update after',
  ])
  expect(told).toContain('company 1 update undefined')
  const gaps = await at.psql.query(
    'select to_lsn is not null as ended, resynced_at is not null as resynced from walhook.gaps',
  )
  expect(gaps.rows).toEqual([{ ended: true, resynced: true }])
})
