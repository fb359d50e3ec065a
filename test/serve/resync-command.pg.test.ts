import { expect, test } from 'vitest'
import { parseLsn } from '../../src/domain/value/lsn.ts'
import { openOutbox } from '../../src/outbox/database/database.ts'
import { openGap } from '../../src/outbox/source/gaps.ts'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { startCapture } from '../support/run-capture.ts'
import { dropSlot } from '../support/slot.ts'
import { until } from '../support/wait.ts'
import { runWalhook } from '../support/walhook-process.ts'

/** A database that was captured for a while, by nobody at the moment. */
async function open() {
  const database = await createTestDatabase({ hasOutbox: true })
  const psql = await connect(database.url)
  await psql.query(
    `create table companies (id integer primary key); create table users (id integer primary key, name text)`,
  )
  {
    await using capture = await startCapture(database)
    await psql.query(`insert into companies values (1); insert into users values (1, 'a')`)
    await capture.caughtUp()
  }
  const run = async (...args: string[]) => await runWalhook(database, args)
  return {
    psql,
    run,
    slotName: database.name.slice(0, 63),
    outboxUrl: database.url,
    capture: () => startCapture(database),
    async check() {
      const { stdout } = await run('check', '--json')
      return JSON.parse(stdout) as {
        level: string
        code: string
        what: string
        found: string
        mend: string
      }[]
    },
    async gaps() {
      const { rows } = await psql.query(
        `select reason, table_name, from_lsn, resynced_at is not null as is_over from walhook.gaps order by id`,
      )
      return rows.map(row => ({ ...row, from_lsn: parseLsn(row.from_lsn) }))
    },
    async walEnd() {
      return parseLsn((await psql.query('select pg_current_wal_lsn() as lsn')).rows[0].lsn)
    },
    async [Symbol.asyncDispose]() {
      await psql.end()
      await database.drop()
    },
  }
}

test('resync --force names what it skips before it does it; without --force nothing is lost', async () => {
  await using at = await open()
  expect(await at.run('resync', '--yes')).toMatchObject({
    code: 0,
    stdout: 'Nothing is lost: no gap is open.\n',
  })
  const told = await at.run('resync', '--force')
  expect(told).toMatchObject({ code: 0, stderr: '' })
  expect(told.stdout).toContain('A forced resync skips the changes')
  expect(told.stdout).toContain('To start it: walhook resync --force --yes')
  expect(await at.gaps()).toEqual([])
  await at.psql.query(`insert into users values (2, 'given up')`)
  const done = await at.run('resync', '--force', '--yes')
  expect(done).toMatchObject({ code: 0, stderr: '' })
  expect(await at.gaps()).toMatchObject([{ reason: 'given up', table_name: null, is_over: false }])
  await using capture = await at.capture()
  await until(async () => (await at.gaps())[0]!.is_over, { what: 'the resync' })
  await capture.caughtUp()
  expect((await capture.events()).slice(2).toSorted()).toEqual([
    'company 1 update {"id":1}',
    'user 1 update {"id":1,"name":"a"}',
    'user 2 new {"id":2,"name":"given up"}',
  ])
})

test.each<[string, (at: Awaited<ReturnType<typeof open>>) => Promise<unknown>]>([
  ['slot missing', at => dropSlot(at.psql, at.slotName)],
  [
    'other cluster',
    at => at.psql.query(`update walhook.captured set facts = facts || '{"systemIdentifier": "7"}'`),
  ],
])(
  '%s, while walhook was stopped: check and resync report it before a start has recorded it',
  async (reason, lose) => {
    await using at = await open()
    await lose(at)
    await at.psql.query(`insert into users values (2, 'lost')`)
    expect(await at.check()).toContainEqual(
      expect.objectContaining({ level: 'error', code: 'gap_to_come', mend: 'run: walhook resync' }),
    )
    const told = await at.run('resync')
    expect(told).toMatchObject({ code: 0, stderr: '' })
    expect(told.stdout).toMatch(new RegExp(`^Changes are lost since [0-9A-F]+/[0-9A-F]+: ${reason}, `))
    expect(await at.gaps()).toEqual([])
    expect(await at.run('resync', '--yes')).toMatchObject({ code: 0, stderr: '' })
    expect(await at.gaps()).toMatchObject([{ reason, table_name: null, is_over: false }])
    await using capture = await at.capture()
    await until(async () => (await at.gaps())[0]!.is_over, { what: 'the resync' })
    await capture.caughtUp()
    expect(await capture.events()).toContain('user 2 new {"id":2,"name":"lost"}')
  },
)

test('a loss during a resync is reported, and the next resync ends both', async () => {
  await using at = await open()
  await dropSlot(at.psql, at.slotName)
  expect(await at.run('resync', '--yes')).toMatchObject({ code: 0, stderr: '' })
  expect((await at.run('resync')).stdout).toContain('is running')
  await dropSlot(at.psql, at.slotName)
  expect((await at.run('resync')).stdout).toMatch(/^Changes are lost since .* slot missing/)
  expect(await at.run('resync', '--yes')).toMatchObject({ code: 0, stderr: '' })
  await using _capture = await at.capture()
  await until(async () => (await at.gaps()).every(({ is_over }) => is_over), { what: 'the resync' })
})

test('before the first capture, resync reports exactly that', async () => {
  await using at = await open()
  expect(await at.run('adopt', '--discard')).toMatchObject({ code: 0, stderr: '' })
  const told = await at.run('resync', '--yes')
  expect(told).toMatchObject({ code: 0, stdout: expect.stringContaining('Nothing is captured yet') })
})

test("the gap of resync --force begins at each table's last sound position, although others were stored beyond", async () => {
  await using at = await open()
  const wellLsn = await at.walEnd()
  await at.psql.query('alter publication walhook drop table users')
  await at.psql.query(`insert into users values (2, 'lost')`)
  await at.psql.query('alter publication walhook add table users')
  // As a process leaves it that stores changes of other tables and is killed before it looks.
  await at.psql.query('update walhook.positions set commit_lsn = pg_current_wal_lsn()')
  expect(await at.run('resync', '--force', '--yes')).toMatchObject({ code: 0, stderr: '' })
  const [gap] = await at.gaps()
  expect(gap).toMatchObject({ reason: 'given up' })
  expect(gap!.from_lsn <= wellLsn).toBe(true)
})

test.each<[string, string, string]>([
  [
    'another schema',
    'create schema app; alter table users set schema app',
    'alter table "app"."users" set schema "public";',
  ],
  ['another name', 'alter table users rename to people', 'alter table "public"."people" rename to "users";'],
])('a table that has %s blocks a resync, with a fix that works as written', async (_what, move, mend) => {
  await using at = await open()
  await at.psql.query(move)
  const state = await at.check()
  expect(state.find(({ code }) => code === 'table_moved')?.mend).toContain(`run: ${mend}`)
  await using outbox = openOutbox({ url: at.outboxUrl, maxConnections: 1, onError() {} })
  await openGap(outbox, { slotName: at.slotName, reason: 'slot missing', detail: 'dropped', fromLsn: 1n })
  const refused = await at.run('resync', '--yes')
  expect(refused.code).toBe(1)
  expect(refused.stderr).toContain(mend)
  await at.psql.query(mend)
  expect(await at.run('resync', '--yes')).toMatchObject({ code: 0, stderr: '' })
})

test('a resync of a table that is not captured yet reports the reason', async () => {
  await using at = await open()
  await at.psql.query(
    `insert into walhook.gaps (slot_name, entity_type, table_name, reason, detail, from_lsn)
     values ('${at.slotName}', 'user', '"public"."users"', 'table unpublished', 'it has left the publication', '0/1')`,
  )
  await at.psql.query('alter publication walhook drop table users')
  const refused = await at.run('resync', '--entity', 'user', '--yes')
  expect(refused.code).toBe(1)
  expect(refused.stderr).toContain('run: alter publication walhook add table "public"."users";')
  await at.psql.query('alter publication walhook add table users')
  expect((await at.run('resync', '--entity', 'user', '--yes')).stderr).toContain(
    'start walhook if it is stopped',
  )
})

test('check reports unreadable gaps, and skips them if there is no outbox yet', async () => {
  await using at = await open()
  await at.psql.query(`update walhook.captured set facts = facts - 'tables'`)
  expect((await at.check()).find(({ code }) => code === 'gaps_unread')).toMatchObject({ level: 'warning' })
  await at.psql.query('drop schema walhook cascade')
  expect((await at.check()).filter(({ code }) => code === 'gaps_unread')).toEqual([])
})

test("check does not wait for locks on walhook's tables, and reports them", async () => {
  await using at = await open()
  await at.psql.query('begin; lock table walhook.gaps, walhook.captured')
  const said = await at.check()
  await at.psql.query('rollback')
  expect(said.find(({ code }) => code === 'gaps_unread')?.found).toContain('lock timeout')
})

test('check reports a dropped mapped table as a coming gap, and not as missing', async () => {
  await using at = await open()
  await at.psql.query('drop table companies')
  const before = await at.check()
  expect(before.filter(({ level }) => level === 'error')).toEqual([])
  expect(before.filter(({ code }) => code === 'mapping_lost' || code === 'gap_to_come')).toMatchObject([
    { what: 'entity company: table "public"."companies" was dropped' },
    {
      what: 'table "public"."companies", changes for entity company',
      mend: expect.stringContaining('--entity company'),
    },
  ])
  {
    await using capture = await at.capture()
    await until(() => capture.state().state === 'gap', { what: 'the gap' })
    expect(capture.state()).toMatchObject({ code: 'capture.table_gap' })
    await at.psql.query(`insert into users values (2, 'goes on')`)
    await capture.caughtUp()
    expect((await capture.events()).at(-1)).toBe('user 2 new {"id":2,"name":"goes on"}')
  }
  expect(await at.gaps()).toMatchObject([{ reason: 'table dropped', table_name: '"public"."companies"' }])
  const gap = (await at.check()).find(({ code }) => code === 'gap')
  expect(gap).toMatchObject({ level: 'error', mend: 'run: walhook resync --entity company' })
  expect(await at.run('resync', '--entity', 'company', '--yes')).toMatchObject({ code: 0, stderr: '' })
  await using _capture = await at.capture()
  await until(async () => (await at.gaps())[0]!.is_over, { what: 'the gap to end' })
  expect((await at.check()).filter(({ level }) => level === 'error')).toEqual([])
})
