import { expect, test } from 'vitest'
import type { Batching, Mode } from '../../src/domain/webhook.ts'
import { claim } from '../../src/outbox/claim.ts'
import { type Outbox, openOutbox } from '../../src/outbox/database.ts'
import { release } from '../../src/outbox/lanes.ts'
import { dayMs } from '../../src/outbox/partitions.ts'
import { settle } from '../../src/outbox/settle.ts'
import { openTestOutbox, retry, settlementOf, type TestOutbox } from '../support/open-outbox.ts'
import { until } from '../support/wait.ts'

const waiting = 10_000
const lanes = 50
const tables = ['lanes', 'deliveries', 'events']

/**
 * How many rows of the queue were read so far, and pages of its indexes. An index that begins with something else than what is
 * looked for reads pages without end and finds one entry in them.
 */
async function read(at: TestOutbox, queue: Outbox): Promise<{ rows: number; pages: number }> {
  await queue.pool.query('select pg_stat_force_next_flush()')
  const { rows } = await at.outbox.pool.query(
    `select (select sum(seq_tup_read) from pg_stat_user_tables where schemaname = 'walhook' and relname ~ $1)
          + (select sum(idx_tup_read) from pg_stat_user_indexes where schemaname = 'walhook' and relname ~ $1) as rows,
            (select sum(idx_blks_hit + idx_blks_read) from pg_statio_user_indexes
             where schemaname = 'walhook' and relname ~ $1) as pages`,
    [`^(${tables.join('|')})(_|$)`],
  )
  return { rows: Number(rows[0].rows), pages: Number(rows[0].pages) }
}

/**
 * Waits until nobody can need rows any more that were deleted before: until then their index entries are read again and
 * again. Old are a snapshot in this database, as of an autoanalyze, and a transaction that writes in any.
 */
async function goneForAll(at: TestOutbox): Promise<void> {
  const { rows } = await at.outbox.pool.query('select pg_snapshot_xmax(pg_current_snapshot()) as next')
  const gone = `select pg_snapshot_xmin(pg_current_snapshot()) >= $1::xid8 and not exists (
    select from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and backend_xmin is not null) as is_gone`
  await until(async () => (await at.outbox.pool.query(gone, [rows[0].next])).rows[0].is_gone, {
    what: 'older snapshots and transactions to end',
    timeoutMs: 50_000,
  })
}

async function fill(
  at: TestOutbox,
  webhookId: number,
  count: number,
  { name, perLane = 1, inDays = 0 }: { name: string; perLane?: number | undefined; inDays?: number },
): Promise<void> {
  const client = await at.outbox.pool.connect()
  await client.query(
    `with e as (
       insert into walhook.events (id, commit_lsn, index_in_transaction, entity_type, entity_id, action_type, committed_at, body)
       select walhook.new_time_id() + ($5::bigint << 20), '0/1', n, 'user', $3 || n, 'new', now(), '{}' from generate_series(1, $2::int) n, generate_series(1, $4::int)
       returning entity_type, entity_id, id
     ), d as (
       insert into walhook.deliveries (webhook_id, entity_type, entity_id, event_id) select $1, e.* from e
     )
     insert into walhook.lanes (webhook_id, entity_type, entity_id) select distinct $1::int, entity_type, entity_id from e`,
    [webhookId, count, name, perLane, inDays * dayMs],
  )
  // What it read itself is told now, and not after the first look.
  await client.query('select pg_stat_force_next_flush()')
  client.release()
}

type Case = {
  readonly name: string
  readonly fate?: Parameters<typeof settlementOf>[1]
  readonly mode?: Mode
  readonly batch?: Batching
  readonly perLane?: number
  readonly isGivenBack?: boolean
}

const cases: readonly Case[] = [
  { name: 'delivered' },
  { name: 'tried again', fate: retry(60_000) },
  { name: 'dead', fate: { next: { state: 'dead' } } },
  { name: 'given back', isGivenBack: true },
  { name: 'only the latest state', mode: 'latest', perLane: 3 },
  { name: 'in batches', batch: { maxEvents: 10, maxWaitMs: 0 } },
  { name: 'batches again', batch: { maxEvents: 10, maxWaitMs: 0 }, fate: retry(0) },
]

/**
 * What the statistics say when the plans are made. `rested`: there was work, it is done, and ANALYZE has seen an empty queue
 * with the pages of that work: then any way through the queue seems to cost nothing.
 */
const queues = [
  { queue: 'none', first: 0 },
  { queue: '100', first: 100 },
  { queue: 'one row', first: 1 },
  { queue: 'nothing known', first: 0, isUnknown: true },
  { queue: 'none after a rest', first: 0, isRested: true },
]
const named = tables.map(table => `walhook.${table}`)

test.each(cases.flatMap(each => queues.map(queue => ({ ...each, ...queue }))))(
  'plans made for a queue of $queue read no more of a long one: $name',
  async ({ first, isUnknown, isRested, fate, mode = 'every', batch = null, perLane, isGivenBack }) => {
    await using at = await openTestOutbox()
    // One connection, so that its plans are those of the beginning.
    await using queue = openOutbox({
      url: at.database.url,
      maxConnections: 1,
      onError() {},
      plans: 'by index',
    })
    const webhookId = await at.webhook(['user.new'], true, { mode, batch })
    let leases = 0
    const settleSome = async (fate?: Case['fate']): Promise<number> => {
      const lease = `00000000-0000-4000-9000-${String(++leases).padStart(12, '0')}`
      const limit = lanes / (batch?.maxEvents ?? 1)
      const input = { webhookId, mode, batch, limit, lease, leaseMs: 60_000 } as const
      const { shipments } = await claim(queue, input)
      if (isGivenBack) {
        const held = shipments.flatMap(({ deliveries }) => deliveries)
        await release(queue, held)
        return held.length
      }
      const settled = await settle(
        queue,
        shipments.map(shipment => ({ ...settlementOf(shipment.deliveries[0], fate), shipment })),
      )
      return settled.flatMap(({ shipment }) => shipment.deliveries).length
    }
    for (const table of ['lanes', 'deliveries'])
      await at.outbox.pool.query(`alter table walhook.${table} set (autovacuum_enabled = off)`)
    await fill(at, webhookId, first, { name: 'early ', perLane })
    if (isRested) {
      await fill(at, webhookId, 800, { name: 'done ', perLane })
      await at.outbox.pool.query('delete from walhook.lanes; delete from walhook.deliveries')
      await at.outbox.pool.query(`analyze ${named.join(', ')}`)
      await goneForAll(at)
    } else if (!isUnknown) await at.outbox.pool.query(`vacuum analyze ${named.join(', ')}`)
    await at.append('user 1 new', 'user 2 new')
    expect(await settleSome()).toBe(Math.min(first + 2, lanes))

    // After midnight: of the new day's events nothing was there when the plans were made.
    await fill(at, webhookId, waiting, { name: 'late ', perLane, inDays: 1 })
    for (const which of ['first', 'next']) {
      const before = await read(at, queue)
      expect(await settleSome(fate)).toBe(lanes)
      const after = await read(at, queue)
      expect(after.rows - before.rows, `rows, ${which}`).toBeLessThan(40 * lanes)
      expect(after.pages - before.pages, `pages, ${which}`).toBeLessThan(40 * lanes)
    }
  },
)
