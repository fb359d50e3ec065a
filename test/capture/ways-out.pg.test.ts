import { afterEach, expect, test, vi } from 'vitest'
import { beginResync, givingUp } from '../../src/capture/backfill/resync.ts'
import { createCapture } from '../../src/capture/capture.ts'
import type { CaptureState } from '../../src/capture/continuity/state.ts'
import { openSource } from '../../src/capture/source/source.ts'
import { captureCodes } from '../../src/domain/capture/capture-code.ts'
import { defaultMapping, type EntityMapping } from '../../src/domain/mapping/mapping.ts'
import { openOutbox } from '../../src/outbox/database/database.ts'
import { migrate } from '../../src/outbox/database/migrate.ts'
import { ensurePartitions } from '../../src/outbox/days/partitions.ts'
import { silentLog } from '../../src/runtime/log.ts'
import { supervise } from '../../src/runtime/service.ts'
import { connect } from '../support/connect.ts'
import { createTestDatabase } from '../support/database.ts'
import { always } from '../support/injected-fault.ts'
import { until } from '../support/wait.ts'

/** What is to fail: a step of the way, once or always, with an error of this SQLSTATE. */
const fault = await vi.hoisted(async () => (await import('../support/injected-fault.ts')).injectedFault())

const poison = 'poison'
const holds = (values: readonly unknown[]) => values.includes(poison)

vi.mock('../../src/capture/stream/decode.ts', async original => {
  const real = await original<typeof import('../../src/capture/stream/decode.ts')>()
  return {
    ...real,
    expectKnown(tag: string) {
      if (tag === 'T') fault.strike('a message')
      real.expectKnown(tag)
    },
  }
})
/** A message that is damaged: its last value ends early. */
vi.mock('../../src/capture/stream/message-queue.ts', async original => {
  const real = await original<typeof import('../../src/capture/stream/message-queue.ts')>()
  const createMessageQueue: typeof real.createMessageQueue = () => {
    const queue = real.createMessageQueue()
    return {
      ...queue,
      shift() {
        const message = queue.shift()
        if (!message.includes(poison)) return message
        try {
          fault.strike('decode')
          return message
        } catch {
          return message.subarray(0, -3)
        }
      },
    }
  }
  return { ...real, createMessageQueue }
})
vi.mock('../../src/outbox/log/event-columns.ts', async original => {
  const real = await original<typeof import('../../src/outbox/log/event-columns.ts')>()
  const openEventColumns: typeof real.openEventColumns = () => {
    const columns = real.openEventColumns()
    return {
      ...columns,
      add(event) {
        if (event.body.includes(poison)) fault.strike('gather')
        columns.add(event)
      },
    }
  }
  return { ...real, openEventColumns }
})
vi.mock('../../src/domain/capture/fold.ts', async original => {
  const real = await original<typeof import('../../src/domain/capture/fold.ts')>()
  const fold: typeof real.fold = (earlier, step, isSameRow) => {
    if ('row' in step && holds(step.row)) fault.strike('fold')
    return real.fold(earlier, step, isSameRow)
  }
  return { ...real, fold }
})
vi.mock('../../src/capture/map/result.ts', async original => {
  const real = await original<typeof import('../../src/capture/map/result.ts')>()
  const createResultWriter: typeof real.createResultWriter = catalogue => {
    const write = real.createResultWriter(catalogue)
    return (entity, row, related) => {
      if (holds(row.values)) fault.strike('write')
      return write(entity, row, related)
    }
  }
  return { ...real, createResultWriter }
})
vi.mock('../../src/capture/map/read-back.ts', async original => {
  const real = await original<typeof import('../../src/capture/map/read-back.ts')>()
  const readRelated: typeof real.readRelated = (db, catalogue, related, owners) => {
    if (owners.includes('2')) fault.strike('read back')
    return real.readRelated(db, catalogue, related, owners)
  }
  return { ...real, readRelated }
})
vi.mock('../../src/capture/source/read-catalogue.ts', async original => {
  const real = await original<typeof import('../../src/capture/source/read-catalogue.ts')>()
  const readCatalogue: typeof real.readCatalogue = (source, mapping) => {
    fault.strike('catalogue')
    return real.readCatalogue(source, mapping)
  }
  return { ...real, readCatalogue }
})
vi.mock('../../src/outbox/log/append.ts', async original => {
  const real = await original<typeof import('../../src/outbox/log/append.ts')>()
  const append: typeof real.append = (db, input) => {
    if ('add' in input.events && input.events.values().body?.includes(poison)) fault.strike('append')
    return real.append(db, input)
  }
  return { ...real, append }
})
vi.mock('../../src/outbox/log/position.ts', async original => {
  const real = await original<typeof import('../../src/outbox/log/position.ts')>()
  const noteConfirmed: typeof real.noteConfirmed = (outbox, slotName, at) => {
    fault.strike('confirm')
    return real.noteConfirmed(outbox, slotName, at)
  }
  return { ...real, noteConfirmed }
})

afterEach(() => fault.disarm())

const notes = {
  field: 'notes',
  table: { schema: 'public', name: 'notes' },
  owner: 'user_id',
  columns: ['word'],
  plain: true,
}
const mapping: readonly EntityMapping[] = [{ ...defaultMapping[0]!, related: [notes] }]

/** Captures, started again after each failure as `serve` does, and sooner. */
async function open() {
  const database = await createTestDatabase({ hasOutbox: true })
  const psql = await connect(database.url)
  await psql.query(`create table users (id integer primary key, name text);
    create table notes (id integer primary key, user_id integer, word text); alter table notes replica identity full;
    create table others (text text)`)
  const source = openSource({ url: database.url, onError() {} })
  const outbox = openOutbox({ url: database.url, maxConnections: 4, onError() {} })
  await migrate(outbox)
  await ensurePartitions(outbox, Date.now())
  const options = { slotName: database.name.slice(0, 63), publicationName: 'walhook', mapping }
  let stop = new AbortController()
  let over = Promise.resolve()
  let state: () => CaptureState = () => ({ state: 'starting', reason: null })

  function start() {
    stop = new AbortController()
    const capture = createCapture({
      ...{ source, outbox, ...options, log: silentLog },
      nowMs: () => Date.now(),
      // A probe that comes through shows that capture is well again.
      probeIntervalMs: 500,
      onStored() {},
    })
    state = capture.state
    const pace = { minDelayMs: 20, maxDelayMs: 50, onFailure() {} }
    over = supervise(capture, { ...pace, signal: stop.signal })
  }
  async function end() {
    stop.abort()
    await over
  }
  start()
  await until(() => state().state === 'streaming', { what: 'capture' })

  return {
    psql,
    state: () => state(),
    start,
    end,
    async events() {
      const { rows } = await psql.query(
        `select action_type || ' ' || entity_id as event from walhook.events order by id`,
      )
      return rows.map(({ event }) => event)
    },
    async parked() {
      const { rows } = await psql.query('select entity_id, reason from walhook.parked_changes')
      return rows.map(({ entity_id, reason }) => `${entity_id}: ${reason}`)
    },
    async forceResync() {
      const occasion = await givingUp(outbox, options.slotName)
      return await beginResync(source, outbox, occasion!, { ...options, onWaiting() {} })
    },
    async [Symbol.asyncDispose]() {
      await end()
      await psql.end()
      await outbox[Symbol.asyncDispose]()
      await source[Symbol.asyncDispose]()
      await database.drop()
    },
  }
}

/** Three transactions, of which the second has what fails; and so much WAL of others that it is confirmed by itself. */
async function write(psql: { query(text: string): Promise<unknown> }) {
  await psql.query(`insert into users values (1, 'before')`)
  await psql.query(`insert into users values (2, '${poison}'), (3, 'beside')`)
  await psql.query(`insert into users values (4, 'after')`)
  await psql.query(`select pg_logical_emit_message(true, 'another', repeat('x', 2000000))`)
}

/** What is confirmed with an append needs no note of its own. Much WAL that follows, and is none of ours, needs one. */
async function writeWhatIsNoted(at: Awaited<ReturnType<typeof open>>) {
  await until(async () => (await at.events()).length === 4, { what: 'the events' })
  await at.psql.query('insert into others select repeat(md5(i::text), 50) from generate_series(1, 1500) i')
}
const all = ['new 1', 'new 2', 'new 3', 'new 4']

test.each(['fold', 'write', 'gather', 'read back', 'catalogue', 'append', 'confirm'])(
  'a single failure in the step "%s" loses nothing',
  async step => {
    await using at = await open()
    fault.arm(step, 1)
    await write(at.psql)
    if (step === 'confirm') await writeWhatIsNoted(at)
    await until(async () => (await at.events()).length === 4, { what: 'the events' })
    expect(await at.events()).toEqual(all)
    expect(await at.parked()).toEqual([])
    await until(() => fault.hits === 1, { what: 'the failure' })
    await until(() => at.state().state === 'streaming', { what: 'capture to be well' })
  },
)

test.each<[string, string | null, string]>([
  ['fold', null, 'null: a row of "public"."users": it cannot be sent: injected into fold'],
  ['write', null, '2: its event cannot be written: injected into write'],
  ['append', '22000', '2: the outbox refuses the event: injected into append (22000)'],
  [
    'decode',
    null,
    'null: a row of "public"."users": its message cannot be read: a message of the stream ends early',
  ],
])('a row that always fails in the step "%s" is set aside', async (step, code, parked) => {
  await using at = await open()
  fault.arm(step, always, code)
  await write(at.psql)
  await until(async () => (await at.events()).includes('new 4'), { what: 'the events' })
  expect(await at.events()).toEqual(all.filter(event => event !== 'new 2'))
  expect(await at.parked()).toEqual([parked])
})

test('a related list that cannot be read for one entity is omitted there', async () => {
  await using at = await open()
  fault.arm('read back', always, 'XX001')
  await write(at.psql)
  await until(async () => (await at.events()).length === 4, { what: 'the events' })
  const { rows } = await at.psql.query(
    'select entity_id, omitted from walhook.events where omitted is not null',
  )
  expect(rows).toEqual([{ entity_id: '2', omitted: ['notes'] }])
})

test.each([
  ['catalogue', 'capture.cannot_read'],
  ['gather', 'capture.cannot_read'],
  ['read back', 'capture.cannot_read'],
  ['append', 'capture.cannot_store'],
  ['confirm', 'capture.cannot_store'],
] as const)(
  'a permanent failure, in the step "%s", has a code and a fix, and capture continues once it is fixed',
  async (step, code) => {
    await using at = await open()
    fault.arm(step, always)
    await write(at.psql)
    if (step === 'confirm') await writeWhatIsNoted(at)
    await until(() => at.state().code !== undefined, { what: 'a code' })
    const { state, reason, mend } = at.state()
    expect({ state, code: at.state().code, mend }).toEqual({
      state: 'blocked',
      code,
      mend: captureCodes[code].mend,
    })
    expect(reason).toContain(`injected into ${step}`)
    // What has the code keeps it while it is tried again.
    const hits = fault.hits
    await until(() => fault.hits > hits + 1, { what: 'further tries' })
    expect(at.state().code).toBe(code)
    fault.disarm()
    await until(async () => (await at.events()).length === 4, { what: 'the events' })
    expect(await at.events()).toEqual(all)
    await until(() => at.state().state === 'streaming', { what: 'capture to be well' })
    expect(at.state().code).toBeUndefined()
  },
)

test('a position that cannot be read is skipped by a forced resync, as its fix says', async () => {
  await using at = await open()
  await at.psql.query(`insert into users values (1, 'before'), (2, 'gone')`)
  await until(async () => (await at.events()).length === 2, { what: 'the events' })
  fault.arm('a message', always)
  await at.psql.query(`insert into users values (3, 'stored before the place')`)
  await at.psql.query('truncate users')
  await at.psql.query(`insert into users values (1, 'after')`)
  await until(() => at.state().code === 'capture.cannot_read', { what: 'the code' })
  expect(await at.events()).toEqual(['new 1', 'new 2', 'new 3'])
  expect(at.state().mend).toContain('walhook resync --force --yes')
  await at.end()
  expect(await at.forceResync()).toMatchObject({ ok: true })
  at.start()
  await until(async () => (await at.events()).length === 6, { what: 'the resync' })
  expect((await at.events()).slice(3).toSorted()).toEqual(['delete 2', 'delete 3', 'update 1'])
  const { rows } = await at.psql.query('select reason from walhook.gaps')
  expect(rows).toEqual([{ reason: 'given up' }])
  await until(() => at.state().state === 'streaming', { what: 'capture to be well' })
})
