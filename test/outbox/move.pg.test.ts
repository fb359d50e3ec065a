import pg from 'pg'
import { expect, test, vi } from 'vitest'
import { firstIdAt } from '../../src/domain/value/time-id.ts'
import { parseSealKey } from '../../src/domain/webhook/seal.ts'
import { findMissedReplay } from '../../src/outbox/by-hand/replays.ts'
import { resendEvent } from '../../src/outbox/by-hand/resend.ts'
import { createCells } from '../../src/outbox/cells/cells.ts'
import { readCellPosition, readToCopy, storeCopied } from '../../src/outbox/cells/copy-log.ts'
import { moveWebhook, type Step } from '../../src/outbox/cells/move.ts'
import { type Outbox, openOutbox, transaction } from '../../src/outbox/database/database.ts'
import { dayMs, ensurePartitions } from '../../src/outbox/days/partitions.ts'
import { append, PositionMoved } from '../../src/outbox/log/append.ts'
import { addTestCell } from '../support/cells.ts'
import { setHostClock } from '../support/host-clock.ts'
import { openTestOutbox } from '../support/open-outbox.ts'
import { until } from '../support/wait.ts'

async function openTwo() {
  await using opened = new AsyncDisposableStack()
  const at = opened.use(await openTestOutbox())
  const cell = opened.use(await addTestCell(at, 'west'))
  const own: Outbox[] = []
  const cells = createCells({
    main: at.outbox,
    sealKey: parseSealKey(Buffer.alloc(32, 1).toString('base64'))!,
    open({ url, schema }) {
      own.push(openOutbox({ url, schema, maxConnections: 6, onError() {} }))
      return own.at(-1)!
    },
  })
  opened.defer(async () => {
    for (const outbox of own) await outbox[Symbol.asyncDispose]()
  })
  await cells.refresh()
  const resources = opened.move()
  return {
    ...{ at, cells },
    west: cell.outbox,
    /** Copies what main has. */
    async copy() {
      const position = await readCellPosition(cell.outbox)
      const page = await readToCopy(at.outbox, position, { limit: 1_000, maxBytes: 1_000_000 })
      await storeCopied(cell.outbox, position, page)
    },
    move: async (webhookId: number, to: string, onStep: (step: Step) => void | Promise<void> = () => {}) =>
      await moveWebhook(cells, { webhookId, to: await cells.named(to), holdMs: 0, onStep }),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

const rowsIn = async ({ pool }: Outbox, text: string) => (await pool.query(text)).rows

test('a move takes pending, ended and logged deliveries along, and leaves none', async () => {
  await using two = await openTwo()
  const { at, west } = two
  const id = await at.webhook(['user.new', 'user.update'])
  const [first] = await at.append('user 1 new', 'user 1 update', 'user 2 new', 'company 1 new')
  // It may have been sent, and was: the position is written late.
  await at.outbox.pool.query(
    'insert into walhook.streams select $1, share, settled_up_to, $2 from walhook.shares',
    [id, first],
  )
  await at.deliver(id, first!)
  await at.fill(1, { entityType: 'user', fromEntity: 9, onlyWebhookId: id })
  await two.copy()
  expect(await two.move(id, 'west')).toEqual({ ok: true, isMoved: true })
  const waits = `select entity_type || ' ' || entity_id as entity, due_at < 'infinity' as is_due from walhook.deliveries order by event_id`
  expect(await rowsIn(west, waits)).toEqual(
    ['user 1', 'user 2', 'user 9'].map(entity => ({ entity, is_due: true })),
  )
  expect(
    await rowsIn(
      west,
      'select d.event_id from walhook.deliveries d left join walhook.events e on e.id = d.event_id where e.id is null',
    ),
  ).toEqual([])
  const all = 'select count(*)::int as n from walhook.'
  for (const table of ['webhooks', 'attempts']) {
    expect([table, await rowsIn(west, all + table)]).toEqual([table, [{ n: 1 }]])
    expect([table, await rowsIn(at.outbox, all + table)]).toEqual([table, [{ n: 0 }]])
  }
  expect(await rowsIn(west, 'select moving_to from walhook.webhooks')).toEqual([{ moving_to: null }])
  expect((await two.cells.of(id)).name).toBe('west')
  expect(await two.move(id, 'west')).toEqual({ ok: true, isMoved: false })
})

test('a move is refused with a reason during a replay, and for an unknown webhook', async () => {
  await using two = await openTwo()
  const id = await two.at.webhook(['user.new'])
  await two.at.append('user 1 new')
  await two.copy()
  expect(await two.move(id + 1, 'west')).toEqual({ ok: false, why: 'no webhook' })
  const replay = `insert into walhook.replays (webhook_id, from_id, to_id, counted, is_exact, actor) values (${id}, 1, 2, 0, true, 'x')`
  async function atStep(step: Step) {
    if (step === 'held') await two.at.outbox.pool.query(replay)
  }
  expect(await two.move(id, 'west', atStep)).toEqual({ ok: false, why: 'replayed' })
  expect(await rowsIn(two.at.outbox, 'select moving_to from walhook.webhooks')).toEqual([{ moving_to: null }])
  expect(await rowsIn(two.at.outbox, 'select * from walhook.placements')).toEqual([])
  expect(await rowsIn(two.west, 'select id from walhook.webhooks')).toEqual([])
})

test('an append that waits for a move to main is refused, because its events would miss the webhook', async () => {
  await using two = await openTwo()
  const { at } = two
  const id = await at.webhook(['user.new'])
  await at.append('user 1 new')
  await two.copy()
  await two.move(id, 'west')
  // The position is locked, as by the move, and the version rises after the append has read it.
  const mover = await at.outbox.pool.connect()
  await mover.query('begin; select 1 from walhook.positions for update')
  const input = at.nextAppend('user 2 new')
  const appended = append(at.outbox.pool, input).catch((error: unknown) => error)
  const waiting = `select pid from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`
  await until(async () => (await rowsIn(at.outbox, waiting)).length === 1, { what: 'the append to wait' })
  await mover.query('select walhook.next_webhooks_version()')
  await mover.query(
    'update walhook.positions set webhooks_version = (select version from walhook.webhooks_version)',
  )
  await mover.query('commit')
  mover.release()
  expect(await appended).toBeInstanceOf(PositionMoved)
  const { webhooksVersion } = await append(at.outbox.pool, input)
  const [{ version }] = await rowsIn(at.outbox, 'select version from walhook.webhooks_version')
  expect(webhooksVersion).toBe(version)
})

test('events with large bodies are brought a few at a time', async () => {
  await using two = await openTwo()
  const { at, west } = two
  const id = await at.webhook(['user.new'])
  const ids = await at.append(...Array.from({ length: 20 }, (_, i) => `user ${i} new`))
  await at.outbox.pool.query(`update walhook.events set body = to_json(repeat('x', 1000000))`)
  for (const event of ids) await at.deliver(id, event)
  // The cell is younger than they are.
  await west.pool.query('update walhook.positions set last_event_id = $1', [ids.at(-1)])
  let longest = 0
  const query = vi.spyOn(pg.Client.prototype, 'query')
  expect(await two.move(id, 'west')).toMatchObject({ ok: true })
  for (const [config, values] of query.mock.calls as unknown as [{ values?: unknown[] }, unknown[]?][])
    for (const value of values ?? config?.values ?? [])
      if (typeof value === 'string') longest = Math.max(longest, value.length)
  query.mockRestore()
  expect(
    await rowsIn(west, 'select count(*)::int as n, min(length(body)) as length from walhook.events'),
  ).toEqual([{ n: 20, length: 1_000_002 }])
  expect(longest).toBeGreaterThan(1_000_000)
  expect(longest).toBeLessThan(8_000_000)
})

test('ended deliveries are copied before a webhook is held, and later changes follow', async () => {
  await using two = await openTwo()
  const { at, west } = two
  const id = await at.webhook(['user.new'])
  const [first, second, third] = await at.append('user 1 new', 'user 2 new', 'user 3 new')
  const { pool } = at.outbox
  await pool.query(
    `insert into walhook.ended_deliveries (webhook_id, event_id, entity_type, entity_id, state, attempts, ended_at)
     select $1, id, entity_type, entity_id, 'dead', 3, now() - interval '2 h' from walhook.events`,
    [id],
  )
  await pool.query('update walhook.shares set settled_up_to = $1', [third])
  await two.copy()
  const ended = async (of: Outbox) =>
    await rowsIn(
      of,
      'select event_id, state, attempts, ended_at from walhook.ended_deliveries order by event_id',
    )
  let copied: unknown[] = []
  let before: unknown[] = []
  const moved = await two.move(id, 'west', async step => {
    if (step === 'held') {
      copied = await ended(west)
      await pool.query(
        `update walhook.ended_deliveries set state = 'cancelled', ended_at = now() where event_id = $1`,
        [first],
      )
      const resent = await transaction(pool, client =>
        resendEvent(client, { webhookId: id, eventId: second! }),
      )
      expect(resent.state).toBe('queued')
    }
    if (step === 'copied') before = await ended(at.outbox)
  })
  expect(moved).toEqual({ ok: true, isMoved: true })
  expect(copied).toHaveLength(3)
  expect(before).toMatchObject([{ event_id: first, state: 'cancelled' }, { event_id: third }])
  expect(await ended(west)).toEqual(before)
  expect(await rowsIn(west, 'select event_id from walhook.deliveries')).toEqual([{ event_id: second }])
})

test('an ended replay of missed events says nothing about a later time off in the new cell', async () => {
  await using two = await openTwo()
  const { at, west } = two
  const id = await at.webhook(['user.new'])
  await at.outbox.pool.query(
    `insert into walhook.replays (webhook_id, from_id, to_id, from_version, to_version, counted, is_exact, state, ended_at, actor)
     values ($1, 1, 2, 3, 4, 0, true, 'done', now(), 'x'), ($1, 1, 2, 5, 6, 0, true, 'failed', now(), 'x')`,
    [id],
  )
  expect(await findMissedReplay(at.outbox.pool, id, 3)).not.toBe(null)
  expect(await two.move(id, 'west')).toMatchObject({ ok: true })
  expect(await rowsIn(west, 'select state from walhook.replays order by id')).toEqual([
    { state: 'done' },
    { state: 'failed' },
  ])
  expect(await findMissedReplay(west.pool, id, 3)).toBe(null)
})

test('the log of a webhook moves also where the clock of the mover is weeks behind', async () => {
  await using two = await openTwo()
  const { at, west } = two
  const id = await at.webhook(['user.new'])
  const [event] = await at.append('user 1 new')
  await at.deliver(id, event!)
  const oldest = Date.now() - 20 * dayMs
  for (const days of [0, 8, 16]) await ensurePartitions(at.outbox, oldest + days * dayMs)
  for (const days of [0, 3, 6, 9, 12, 15])
    await at.outbox.pool.query(
      `insert into walhook.attempts select (jsonb_populate_record(a, jsonb_build_object('id', $1::bigint))).*
       from walhook.attempts a order by id desc limit 1`,
      [firstIdAt(Math.floor(oldest + days * dayMs))],
    )
  await two.copy()
  using _clock = setHostClock(-19 * dayMs)
  expect(await two.move(id, 'west')).toMatchObject({ ok: true })
  expect(await rowsIn(west, 'select count(*)::int as n from walhook.attempts')).toEqual([{ n: 7 }])
})
