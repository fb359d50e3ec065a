import { expect, test } from 'vitest'
import { createCopier } from '../../src/delivery/cells/copier.ts'
import { readCellPosition, readToCopy, storeCopied } from '../../src/outbox/cells/copy-log.ts'
import type { SetBack } from '../../src/outbox/cells/set-back.ts'
import type { Outbox } from '../../src/outbox/database/database.ts'
import { ensurePartitions } from '../../src/outbox/days/partitions.ts'
import { dropOldDays } from '../../src/outbox/days/retention.ts'
import { insertWebhook } from '../../src/outbox/records/webhooks.ts'
import { addTestCell } from '../support/cells.ts'
import { startCopierProcess } from '../support/copier-process.ts'
import { openTestOutbox, type TestOutbox } from '../support/open-outbox.ts'
import { until } from '../support/wait.ts'

const columns = `id, share, commit_lsn, index_in_transaction, entity_type, entity_id, action_type, committed_at, body, previous,
  changed, omitted, tenant, tenant_before, only_webhook_id`
const logOf = async ({ pool }: Pick<Outbox, 'pool'>) =>
  (await pool.query(`select ${columns} from walhook.events order by id`)).rows
const all = { limit: 1_000, maxBytes: 1_000_000 }
const webhookIn = (outbox: Outbox, id: number) =>
  insertWebhook(outbox, {
    id,
    name: 'CRM',
    url: 'https://crm.example.com/',
    isActive: true,
    triggers: ['user.new'],
    secret: 'v1:sealed',
  })

/** Runs a copier until `isDone`. */
async function copyUntil(
  at: TestOutbox,
  cell: Parameters<typeof createCopier>[0]['cell'],
  isDone: () => Promise<boolean>,
) {
  const stop = new AbortController()
  const copier = createCopier({ main: at.outbox, cell })
  const running = copier.run(stop.signal)
  await until(async () => (await isDone()) || null, { what: 'the copy' }).finally(() => stop.abort())
  await running
}

test('the whole log is copied with its ids and values, and copying resumes where it ended', async () => {
  await using at = await openTestOutbox()
  await using cell = await addTestCell(at, 'a')
  const [first] = await at.append('user 1 new acme', 'user 2 update acme bravo')
  await at.outbox.pool.query(
    `update walhook.events set previous = '{"a":"ä\\u0000"}', changed = '{"a b",c}', omitted = '{x,"y\\"z"}' where id = $1`,
    [first],
  )
  let position = await readCellPosition(cell.outbox)
  position = (await storeCopied(cell.outbox, position, await readToCopy(at.outbox, position, all)))!
  expect(await logOf(cell.outbox)).toEqual(await logOf(at.outbox))
  await at.append('user 3 new')
  position = (await storeCopied(
    cell.outbox,
    position,
    await readToCopy(at.outbox, position, { ...all, limit: 1 }),
  ))!
  expect(await logOf(cell.outbox)).toEqual(await logOf(at.outbox))
  expect((await readToCopy(at.outbox, position, all)).events).toEqual([])
})

test('an event for one webhook is copied to its cell only, an alert to none, and the position passes both', async () => {
  await using at = await openTestOutbox()
  await using cell = await addTestCell(at, 'a')
  const stale = await readCellPosition(cell.outbox)
  await webhookIn(cell.outbox, 7)
  await at.fill(2, { onlyWebhookId: 7 })
  await at.fill(2, { onlyWebhookId: 8 })
  const { last } = await at.fill(2, { onlyWebhookId: 0 })
  // A page that was read before the webhook came lacks its events: it is not stored.
  expect(await storeCopied(cell.outbox, stale, await readToCopy(at.outbox, stale, all))).toBe(null)
  await copyUntil(at, cell, async () => (await readCellPosition(cell.outbox)).copiedUpTo === last)
  expect((await logOf(cell.outbox)).map(({ only_webhook_id }) => only_webhook_id)).toEqual([7, 7])
})

test('of two copiers one stores a page, and a page from before a new webhook is not stored', async () => {
  await using at = await openTestOutbox()
  await using cell = await addTestCell(at, 'a')
  await at.append('user 1 new')
  const position = await readCellPosition(cell.outbox)
  const page = await readToCopy(at.outbox, position, all)
  const stored = await Promise.all([1, 2].map(() => storeCopied(cell.outbox, position, page)))
  expect(stored.filter(one => one === null)).toHaveLength(1)
  expect(await logOf(cell.outbox)).toHaveLength(1)
})

test('copiers that are killed repeatedly copy every event once, in order', {
  timeout: 120_000,
}, async () => {
  await using at = await openTestOutbox()
  await using cell = await addTestCell(at, 'a')
  const place = { url: at.database.url, schema: cell.outbox.schema, name: cell.name }
  const copied = async () => (await readCellPosition(cell.outbox)).copiedUpTo
  let last = 0n
  for (let kill = 0; kill < 8; kill++) {
    const before = await copied()
    ;({ last } = await at.fill(5_000))
    const one = startCopierProcess(at.outbox, place)
    const other = startCopierProcess(at.outbox, place)
    // In the middle of its pages, some of which are under way.
    await until(async () => (await copied()) > before || null, { what: 'a page' })
    await Promise.all([one.kill(), other.kill()])
    const log = await cell.outbox.pool.query('select count(*)::int as n, max(id) as last from walhook.events')
    expect(log.rows[0].last).toBe(await copied())
  }
  await copyUntil(at, cell, async () => (await copied()) === last)
  const ids = async (outbox: Outbox) => (await logOf(outbox)).map(({ id }) => id)
  expect(await ids(cell.outbox)).toEqual(await ids(at.outbox))
})

test('a second copier stands by, and takes over when the first is gone', async () => {
  await using at = await openTestOutbox()
  await using cell = await addTestCell(at, 'a')
  const idsIn = async (outbox: Outbox) => (await logOf(outbox)).map(({ id }) => id)
  const copied = async () => (await idsIn(cell.outbox)).length
  let winner = -1
  const copiers = [0, 1].map(which => {
    const stop = new AbortController()
    const onCopied = () => {
      winner = which
    }
    const running = createCopier({ main: at.outbox, cell, onCopied }).run(stop.signal)
    return { stop, running }
  })
  // Both have read the same page, and wait to store it.
  const { pool } = cell.outbox
  const client = await pool.connect()
  await client.query('begin; select 1 from walhook.positions for update')
  const first = await at.append('user 1 new', 'user 2 new')
  const waiting = `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`
  await until(async () => (await pool.query(waiting)).rows.length === 2, { what: 'both to wait' })
  await client.query('commit')
  client.release()
  await until(() => winner >= 0, { what: 'the first page' })
  copiers[winner]!.stop.abort()
  await copiers[winner]!.running
  const more = await at.append('user 3 new')
  await until(async () => (await copied()) === first.length + more.length, { what: 'the other one to go on' })
  for (const { stop, running } of copiers) {
    stop.abort()
    await running
  }
})

test('main keeps the days that a cell lacks, and drops them once the copy is recorded', async () => {
  await using at = await openTestOutbox()
  await using cell = await addTestCell(at, 'a')
  const [, last] = await at.append('user 1 new', 'user 2 new')
  const nowMs = Date.now() + 31 * 86_400_000
  await ensurePartitions(at.outbox, nowMs)
  const drop = () => dropOldDays(at.outbox, nowMs, { logDays: 30, eventsDays: 30 })
  const { held } = await drop()
  expect(held.map(({ webhookIds, cells }) => [webhookIds, cells])).toEqual([[[], ['a']]])
  await copyUntil(at, cell, async () => {
    const { rows } = await at.outbox.pool.query('select copied_up_to as id from walhook.cells')
    return rows[0].id === last
  })
  expect((await drop()).held).toEqual([])
  expect(await logOf(at.outbox)).toEqual([])
  expect(await logOf(cell.outbox)).toHaveLength(2)
})

test('a cell that is set back while nothing happens is noticed, and gets what it lacks', async () => {
  await using at = await openTestOutbox()
  await using cell = await addTestCell(at, 'a')
  const [first, , last] = await at.append('user 1 new', 'user 2 new', 'user 3 new')
  const found: SetBack[] = []
  const stop = new AbortController()
  const copier = createCopier({ main: at.outbox, cell, onSetBack: one => found.push(one) })
  const running = copier.run(stop.signal)
  const noted = async () => {
    const { rows } = await at.outbox.pool.query('select copied_up_to as id from walhook.cells')
    return rows[0].id
  }
  try {
    await until(async () => (await noted()) === last, { what: 'the copy to be noted' })
    // A webhook that main has elsewhere is there again.
    await webhookIn(cell.outbox, 7)
    await cell.outbox.pool.query(
      `with gone as (delete from walhook.events where id > $1)
       update walhook.positions set last_event_id = $1, commit_lsn = '0/0'`,
      [first],
    )
    await until(() => found.length > 0, { what: 'the cell to be looked at' })
    await until(async () => (await logOf(cell.outbox)).length === 3, { what: 'the log to be whole' })
  } finally {
    stop.abort()
    await running
  }
  expect(found).toMatchObject([{ webhooksLeft: [7], daysLost: [] }])
  expect((await cell.outbox.pool.query('select from walhook.webhooks')).rowCount).toBe(0)
})
