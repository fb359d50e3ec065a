import { expect, test } from 'vitest'
import { shareOf } from '../../src/domain/delivery/share.ts'
import { claimBatches } from '../../src/outbox/aside/batches.ts'
import { blockedEntities, webhooksWithAside } from '../../src/outbox/aside/blocked.ts'
import { pickDue } from '../../src/outbox/aside/pick-due.ts'
import type { Delivery, Shipment } from '../../src/outbox/aside/shipment.ts'
import { giveBack } from '../../src/outbox/aside/taken.ts'
import { type Outbox, openOutbox } from '../../src/outbox/database/database.ts'
import { dayMs } from '../../src/outbox/days/partitions.ts'
import { settle } from '../../src/outbox/settle/settle.ts'
import { openTestOutbox, type TestOutbox } from '../support/open-outbox.ts'
import { allShares, holderOf, retry, settlementOf } from '../support/sending.ts'
import { keepStatistics } from '../support/statistics.ts'
import { until } from '../support/wait.ts'

const waiting = 10_000
const some = 60
const tables = ['deliveries', 'batches', 'events', 'streams', 'ended_deliveries', 'attempts']
const named = tables.map(table => `walhook.${table}`)

/**
 * How many rows were read so far, and pages of indexes. An index that begins with something else than what is looked for reads
 * pages without end and finds one entry in them.
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

/** Rows that are due, of entities of their own, each with another one behind it. */
async function fill(
  at: TestOutbox,
  webhookId: number,
  count: number,
  { name, inDays = 0 }: { name: string; inDays?: number },
): Promise<void> {
  const client = await at.outbox.pool.connect()
  await client.query(
    `with e as (
       insert into walhook.events (id, share, webhooks_version, commit_lsn, index_in_transaction, entity_type, entity_id,
                                   action_type, committed_at, body)
       select walhook.new_time_id() + ($4::bigint << 20), walhook.share_of('user', $3 || n), 0, '0/1', n, 'user', $3 || n,
              'new', now(), '{}'
       from generate_series(1, 2) turn, generate_series(1, $2::int) n
       returning entity_type, entity_id, id, share
     )
     insert into walhook.deliveries (webhook_id, share, entity_type, entity_id, event_id, due_at)
     select $1, share, entity_type, entity_id, id,
            case when row_number() over (partition by entity_id order by id) = 1 then now() else 'infinity' end
     from e`,
    [webhookId, count, name, inDays * dayMs],
  )
  // What it read itself is told now, and not after the first look.
  await client.query('select pg_stat_force_next_flush()')
  client.release()
}

type Turn = {
  readonly queue: Outbox
  readonly webhookId: number
  readonly holderId: number
  readonly name: string
  readonly count: number
}
const batch = { maxEvents: 10, maxWaitMs: 0 }

const pick = async ({ queue, webhookId, holderId }: Turn) =>
  (await pickDue(queue, { holderId, webhookId, shares: allShares, limit: some })).deliveries

const picked =
  (change?: Parameters<typeof settlementOf>[1]) =>
  async (turn: Turn): Promise<number> => {
    const deliveries = await pick(turn)
    const settlements = deliveries.map(delivery => settlementOf(delivery, change))
    const { isFenced } = await settle(turn.queue, turn.holderId, { settlements, aside: [] })
    return isFenced ? 0 : deliveries.length
  }

const batched =
  (change?: Parameters<typeof settlementOf>[1]) =>
  async ({ queue, webhookId, holderId }: Turn): Promise<number> => {
    const { shipments } = await claimBatches(queue, {
      holderId,
      webhookId,
      shares: allShares,
      batch,
      mode: 'every',
      readUpTo: () => 2n ** 62n,
      limit: some / batch.maxEvents,
    })
    const settlements = shipments.map(shipment => ({
      ...settlementOf(shipment.deliveries[0], change),
      shipment,
    }))
    await settle(queue, holderId, { settlements, aside: [] })
    return shipments.flatMap(({ deliveries }) => deliveries).length
  }

/** Newer than everything that waits, for deliveries that have no row. */
let newest: bigint[] = []
let fromLog = 0

async function addNewest(at: TestOutbox, inDays: number): Promise<void> {
  const { rows } = await at.outbox.pool.query(
    `insert into walhook.events (id, share, webhooks_version, commit_lsn, index_in_transaction, entity_type, entity_id,
                                 action_type, committed_at, body)
     select walhook.new_time_id() + ($2::bigint << 20), 0, 0, '0/1', n, 'user', 'newest ' || n, 'update', now(), '{}'
     from generate_series(1, $1::int) n
     returning id`,
    [6 * some, inDays * dayMs],
  )
  newest = rows.map(({ id }) => id)
}

/** A delivery of the log, which has no row. */
const streamed = (webhookId: number, entityId: string): Delivery => ({
  webhookId,
  share: shareOf('user', entityId),
  entityType: 'user',
  entityId,
  eventId: newest[++fromLog % newest.length]!,
  attempts: 0,
  isManual: false,
  actionType: 'update',
  asNew: false,
  asDelete: false,
  withPrevious: false,
  body: '{}',
})

const operations: Record<string, (turn: Turn) => Promise<number>> = {
  delivered: picked(),
  'tried again': picked(retry(60_000)),
  dead: picked({ next: { state: 'dead' } }),
  async 'given back'(turn) {
    const deliveries = await pick(turn)
    await giveBack(turn.queue, { ...turn, deliveries })
    return deliveries.length
  },
  'in batches': batched(),
  'batches again': batched(retry(0)),
  async 'from the log, tried again'({ queue, webhookId, holderId, count }) {
    const deliveries = Array.from({ length: count }, (_, i) => streamed(webhookId, `log ${fromLog} ${i}`))
    const settlements = deliveries.map(delivery => {
      const shipment: Shipment = { webhookId, batchId: null, isAside: false, deliveries: [delivery] }
      return { ...settlementOf(delivery, retry(60_000)), shipment }
    })
    return (await settle(queue, holderId, { settlements, aside: [] })).isFenced ? 0 : count
  },
  async 'behind what waits'({ queue, webhookId, holderId, name, count }) {
    const deliveries = Array.from({ length: count }, (_, i) => streamed(webhookId, `${name}${i + 1}`))
    const aside = deliveries.map(delivery => ({ ...delivery, dueInMs: null, takenBy: null }))
    const { left } = await settle(queue, holderId, { settlements: [], aside })
    // Nothing of it is due: all of it is behind others.
    return left.length === 0 ? count : 0
  },
  async 'asked about'({ queue, webhookId, name, count }) {
    const entityIds = Array.from({ length: count }, (_, i) => `${name}${i + 1}`)
    const { blocked } = await blockedEntities(queue, {
      webhookIds: entityIds.map(() => webhookId),
      entityTypes: entityIds.map(() => 'user'),
      entityIds,
    })
    expect((await webhooksWithAside(queue, allShares)).length).toBeGreaterThan(0)
    return blocked.filter(is => is).length
  },
}

/**
 * What the statistics say when the plans are made. `rested`: there was work, it is done, and ANALYZE has seen an empty queue
 * with the pages of that work: then any way through the queue seems to cost nothing.
 */
const ages: Record<string, { first: number; known: 'analyzed' | 'nothing' | 'rested' }> = {
  none: { first: 0, known: 'analyzed' },
  '100': { first: 100, known: 'analyzed' },
  many: { first: 20_000, known: 'analyzed' },
  'one row': { first: 1, known: 'analyzed' },
  'nothing known': { first: 0, known: 'nothing' },
  'none after a rest': { first: 0, known: 'rested' },
}

test.each(Object.keys(ages))('plans made for a queue of %s stay cheap for a long one', async age => {
  await using at = await openTestOutbox()
  const { first, known } = ages[age]!
  // One connection, so that its plans are those of the beginning.
  await using queue = openOutbox({ url: at.database.url, maxConnections: 1, onError() {}, plans: 'by index' })
  const webhooks = {
    plain: await at.webhook(['user.new']),
    batching: await at.webhook(['user.new'], true, { batch }),
  }
  const holderId = await holderOf(at)
  const both = async (count: number, rows: { name: string; inDays?: number }) => {
    for (const webhookId of Object.values(webhooks)) await fill(at, webhookId, count, rows)
  }
  const turnOf = (operation: string, name: string, count: number): Turn => {
    const webhookId = operation.includes('batch') ? webhooks.batching : webhooks.plain
    return { queue, webhookId, holderId, name, count }
  }
  await keepStatistics(at)
  await both(first, { name: 'early ' })
  if (known === 'rested') {
    await both(800, { name: 'done ' })
    await at.outbox.pool.query('delete from walhook.deliveries')
    await at.outbox.pool.query(`analyze ${named.join(', ')}`)
  } else if (known === 'analyzed') await at.outbox.pool.query(`vacuum analyze ${named.join(', ')}`)
  for (const [name, operation] of Object.entries(operations)) {
    await both(2, { name: `two, ${name} ` })
    await addNewest(at, 0)
    await operation(turnOf(name, `two, ${name} `, 2))
  }

  // After midnight: of the new day's events nothing was there when the plans were made.
  await both(waiting, { name: 'late ', inDays: 1 })
  await addNewest(at, 1)
  for (const [name, operation] of Object.entries(operations))
    for (const which of ['first', 'next']) {
      await goneForAll(at)
      const before = await read(at, queue)
      const done = await operation(turnOf(name, 'late ', some))
      const after = await read(at, queue)
      // Of batches not all are full.
      expect(done, name).toBeGreaterThanOrEqual(name.includes('batch') ? some / 2 : some)
      expect(after.rows - before.rows, `rows, ${name}, ${which}`).toBeLessThan(60 * some)
      expect(after.pages - before.pages, `pages, ${name}, ${which}`).toBeLessThan(60 * some)
    }
})
