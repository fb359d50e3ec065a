import { afterEach, expect, test, vi } from 'vitest'
import type { Backfill } from '../../src/domain/capture/backfill.ts'
import { pageCodes } from '../../src/domain/capture/page-failures.ts'
import { defaultMapping, type EntityMapping } from '../../src/domain/mapping/mapping.ts'
import { transaction } from '../../src/outbox/database/database.ts'
import { findBackfill } from '../../src/outbox/source/backfills.ts'
import { openGap } from '../../src/outbox/source/gaps.ts'
import { beginResyncs, openResyncs } from '../../src/outbox/source/resyncs.ts'
import { isDone, openBackfills } from '../support/backfill.ts'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { always } from '../support/injected-fault.ts'
import { startCapture } from '../support/run-capture.ts'
import { until } from '../support/wait.ts'

/** What is to fail: a step of a page, so many times, with an error of this SQLSTATE. */
const fault = await vi.hoisted(async () => (await import('../support/injected-fault.ts')).injectedFault())
const poison = 'poison'

vi.mock('../../src/capture/backfill/read-entity.ts', async original => {
  const real = await original<typeof import('../../src/capture/backfill/read-entity.ts')>()
  const showRows: typeof real.showRows = (db, catalogue, entity, rows, readList) => {
    fault.strike('read')
    return real.showRows(db, catalogue, entity, rows, readList)
  }
  return { ...real, showRows }
})
vi.mock('../../src/capture/map/result.ts', async original => {
  const real = await original<typeof import('../../src/capture/map/result.ts')>()
  const createResultWriter: typeof real.createResultWriter = catalogue => {
    const write = real.createResultWriter(catalogue)
    return (entity, row, related) => {
      if (row.values.includes(poison)) fault.strike('write')
      return write(entity, row, related)
    }
  }
  return { ...real, createResultWriter }
})
vi.mock('../../src/domain/event/event.ts', async original => {
  const real = await original<typeof import('../../src/domain/event/event.ts')>()
  const writeBody: typeof real.writeBody = event => {
    if (event.resultJson?.includes(poison)) fault.strike('body')
    return real.writeBody(event)
  }
  return { ...real, writeBody }
})
vi.mock('../../src/outbox/log/append.ts', async original => {
  const real = await original<typeof import('../../src/outbox/log/append.ts')>()
  const append: typeof real.append = (db, input) => {
    const bodies = 'add' in input.events ? input.events.values().body! : input.events.map(e => e.body).join()
    if (bodies.includes(poison)) fault.strike('append')
    return real.append(db, input)
  }
  return { ...real, append }
})
vi.mock('../../src/outbox/source/backfills.ts', async original => {
  const real = await original<typeof import('../../src/outbox/source/backfills.ts')>()
  const advanceBackfill: typeof real.advanceBackfill = (db, step) => {
    fault.strike('advance')
    return real.advanceBackfill(db, step)
  }
  return { ...real, advanceBackfill }
})
vi.mock('../../src/outbox/source/resyncs.ts', async original => {
  const real = await original<typeof import('../../src/outbox/source/resyncs.ts')>()
  const advanceResync: typeof real.advanceResync = (db, step, deletes) => {
    fault.strike('advance')
    return real.advanceResync(db, step, deletes)
  }
  return { ...real, advanceResync }
})

afterEach(() => fault.disarm())

const tables = `create table companies (id integer primary key);
  create table users (id integer primary key, name text);
  insert into users select i, case i when 3 then '${poison}' else 'sound' end from generate_series(1, 5) i;`

async function open(sql = tables, mapping: readonly EntityMapping[] = defaultMapping) {
  const database = await createTestDatabase({ hasOutbox: true })
  const psql = await connect(database.url)
  await psql.query(sql)
  const capture = await startCapture(database, mapping)
  const backfills = await openBackfills(database)
  await backfills.webhook('user.new', 'user.update', 'user.delete')
  const slotName = database.name.slice(0, 63)
  return {
    psql,
    capture,
    backfills,
    resyncs: () => openResyncs(backfills.outbox, slotName),
    async resync() {
      await openGap(backfills.outbox, { slotName, reason: 'slot missing', detail: 'dropped', fromLsn: 1n })
      await transaction(backfills.outbox.pool, tx => beginResyncs(tx, { slotName, entityTypes: ['user'] }))
    },
    async isResynced() {
      const { rows } = await psql.query('select from walhook.gaps where resynced_at is null')
      return rows.length === 0
    },
    async events() {
      const { rows } = await psql.query(
        `select action_type || ' ' || entity_id || coalesce(' without ' || omitted[1], '') as event
         from walhook.events order by id`,
      )
      return rows.map(({ event }): string => event)
    },
    async parked() {
      const { rows } = await psql.query(
        'select entity_id, reason from walhook.parked_changes order by parked_at, index_in_transaction',
      )
      return rows.map(({ entity_id, reason }) => `${entity_id}: ${reason}`)
    },
    async [Symbol.asyncDispose]() {
      await capture[Symbol.asyncDispose]()
      await backfills[Symbol.asyncDispose]()
      await psql.end()
      await database.drop()
    },
  }
}

async function isBefore18(): Promise<boolean> {
  await using database = await createTestDatabase({ hasOutbox: true })
  await using psql = await connect(database.url)
  const { rows } = await psql.query(`select current_setting('server_version_num')::int as version`)
  return rows[0].version < 180000
}

const sound = [1, 2, 4, 5].map(id => `new ${id}`)
const all = [1, 2, 3, 4, 5].map(id => `new ${id}`)

test.each(['read', 'write', 'body', 'append', 'advance'])(
  'a single failure in the step "%s" of a page loses nothing',
  async step => {
    await using at = await open()
    fault.arm(step, 1)
    await at.backfills.is(await at.backfills.start(), isDone)
    expect(fault.hits).toBe(1)
    expect(await at.events()).toEqual(all)
    expect(await at.parked()).toEqual([])
  },
)

test.each<[string, string | null, string]>([
  ['write', null, '3: its event cannot be written: injected into write'],
  ['body', null, '3: its event cannot be written: injected into body'],
  ['append', '22000', '3: the outbox refuses the event: injected into append (22000)'],
])(
  'a row that always fails in the step "%s" of a page is set aside by backfill and resync',
  async (step, code, parked) => {
    await using at = await open()
    fault.arm(step, always, code)
    const { rowsDone } = await at.backfills.is(await at.backfills.start(), isDone)
    expect(rowsDone).toBe(5)
    expect(await at.events()).toEqual(sound)
    expect(await at.parked()).toEqual([parked])
    // Receivers know it from before: it is there, whatever can be told of it, and no delete.
    fault.disarm()
    await at.psql.query(`update users set name = name where id = 3`)
    await at.capture.caughtUp()
    fault.arm(step, always, code)
    await at.resync()
    await until(at.isResynced, { what: 'the resync' })
    expect((await at.events()).slice(5)).toEqual([1, 2, 4, 5].map(id => `update ${id}`))
    // Once as a row that is there, and once as one that seems to be gone.
    expect(await at.parked()).toEqual([parked, parked, parked])
  },
)

test.each(['read', 'advance'])(
  'a backfill whose page always fails in the step "%s" ends with a code and a fix; capture and the next backfill continue',
  async step => {
    await using at = await open()
    fault.arm(step, always)
    const failed = await at.backfills.is(
      await at.backfills.start(),
      ({ state }: Backfill) => state === 'failed',
      'the backfill to fail',
    )
    expect(failed).toMatchObject({ code: 'page.failed' })
    expect(failed.reason).toContain(`injected into ${step}`)
    expect(failed.reason).toContain('at the first row')
    expect(pageCodes['page.failed'].mend).toContain('walhook backfill')
    expect(fault.hits).toBe(3)
    await at.psql.query(`insert into users values (6, 'since')`)
    await at.capture.caughtUp()
    expect(at.capture.state().state).toBe('streaming')
    expect(await at.events()).toEqual(['new 6'])
    fault.disarm()
    await at.backfills.is(await at.backfills.start(), isDone)
    expect(await at.events()).toEqual(['new 6', ...all, 'new 6'])
  },
)

test('a resync whose page always fails keeps its gap open with a code, and continues once fixed', async () => {
  await using at = await open()
  fault.arm('advance', always)
  await at.resync()
  const waiting = await until(async () => (await at.resyncs()).find(({ code }) => code !== null), {
    what: 'the code',
  })
  expect(waiting).toMatchObject({ code: 'page.failed', state: 'waiting' })
  expect(waiting.reason).toContain('injected into advance')
  expect(await at.events()).toEqual([])
  fault.disarm()
  await until(at.isResynced, { what: 'the resync' })
  expect(await at.events()).toEqual(all)
})

test('a lost link and a lock are retried forever', async () => {
  await using at = await open()
  fault.arm('read', always, '57P01')
  const id = await at.backfills.start()
  const waiting = await at.backfills.is(id, ({ code }) => code === 'page.unavailable', 'the code')
  expect(waiting.state).toBe('waiting')
  Object.assign(fault, { code: '55P03' })
  await at.backfills.is(id, ({ code }) => code === 'page.timed_out', 'the other code')
  fault.disarm()
  expect(await at.backfills.is(id, isDone)).toMatchObject({ code: null, reason: null })
})

test('an event that a constraint of the outbox refuses is set aside, by the stream and by a backfill', async () => {
  await using at = await open(`${tables} update users set name = 'sound'`)
  await at.psql.query(
    'alter table walhook.events add constraint small check (octet_length(body) < 1000) not valid',
  )
  await at.psql.query(`update users set name = repeat('x', 1000) where id = 3`)
  await at.psql.query(`update users set name = 'after' where id = 4`)
  await at.capture.caughtUp()
  expect(await at.events()).toEqual(['update 4'])
  await at.backfills.is(await at.backfills.start(), isDone)
  expect((await at.events()).slice(1)).toEqual(sound)
  const [byStream, byBackfill, ...more] = await at.parked()
  expect(byStream).toMatch(/^3: the outbox refuses the event: .*"small" \(23514\)/)
  expect(byBackfill).toBe(byStream)
  expect(more).toEqual([])
})

test('a row whose JSON is longer than a string is set aside, by the stream and by a backfill', async () => {
  await using at = await open(`${tables} update users set name = 'sound'`)
  // Each character takes six in JSON, and a string holds 2^29.
  await at.psql.query(`update users set name = repeat(chr(1), 90000000) where id = 3`)
  await at.psql.query(`update users set name = 'after' where id = 4`)
  await at.capture.caughtUp()
  expect(await at.events()).toEqual(['update 4'])
  const parked = '3: its event cannot be written: Invalid string length'
  expect(await at.parked()).toEqual([parked])
  await at.backfills.is(await at.backfills.start(), isDone, 'the backfill to be done', 240_000)
  expect((await at.events()).slice(1)).toEqual(sound)
  expect(await at.parked()).toEqual([parked, parked])
}, 360_000)

test('a row that raises an error when read is set aside, and a row with such a list is sent without it', async ({
  skip,
}) => {
  const notes = {
    table: { schema: 'public', name: 'notes' },
    owner: 'user_id',
    columns: ['ratio'],
    plain: true,
  }
  const mapping = [{ ...defaultMapping[0]!, related: [{ ...notes, field: 'notes' }] }]
  skip(await isBefore18(), 'virtual generated columns are of PostgreSQL 18')
  await using at = await open(
    `create table users (id integer primary key, part integer, ratio integer generated always as (100 / part) virtual);
     create table notes (id integer, user_id integer, part integer, primary key (user_id, id),
                         ratio integer generated always as (100 / part) virtual);
     insert into users values (1, 1), (2, 0), (3, 3), (4, 4);
     insert into notes values (1, 1, 1), (3, 3, 0), (4, 4, 4)`,
    mapping,
  )
  const parked = '2: its row cannot be read: division by zero (22012)'
  await at.backfills.is(await at.backfills.start(), isDone)
  expect(await at.events()).toEqual(['new 1', 'new 3 without notes', 'new 4'])
  expect(await at.parked()).toEqual([parked])
  await at.psql.query('update users set id = id')
  await at.capture.caughtUp()
  expect((await at.events()).slice(3)).toEqual(['update 1', 'update 3 without notes', 'update 4'])
  const byStream = `2: its event cannot be written: ${parked.slice(3)}`
  expect(await at.parked()).toEqual([parked, byStream])
  // What is looked for because nothing was told of it is there, and not gone.
  await at.resync()
  await until(at.isResynced, { what: 'the resync' })
  expect((await at.events()).slice(6)).toEqual(['update 1', 'update 3 without notes', 'update 4'])
  expect((await findBackfill(at.backfills.outbox, 1))?.state).toBe('done')
})

test('if no row can be read, the backfill fails with a reason instead of setting all aside, and can be started again', async ({
  skip,
}) => {
  skip(await isBefore18(), 'virtual generated columns are of PostgreSQL 18')
  await using at = await open(
    `create table companies (id integer primary key);
     create table users (id integer primary key, part integer, ratio integer generated always as (100 / part) virtual);
     insert into users select i, 0 from generate_series(1, 500) i`,
  )
  const failed = await at.backfills.is(
    await at.backfills.start(),
    ({ state }: Backfill) => state === 'failed',
    'the backfill to fail',
    120_000,
  )
  expect(failed).toMatchObject({ code: 'page.failed' })
  expect(failed.reason).toContain('cannot be sent: its row cannot be read: division by zero (22012)')
  expect(failed.rowsDone).toBeLessThan(60)
  expect(await at.parked()).toHaveLength(failed.rowsDone)
  await at.psql.query('update users set part = 1')
  await at.backfills.is(await at.backfills.start(), isDone)
  expect((await at.events()).filter(event => event.startsWith('new'))).toHaveLength(500)
}, 200_000)
