import { expect, test } from 'vitest'
import { claimBatches } from '../../src/outbox/aside/batches.ts'
import { latestOf } from '../../src/outbox/aside/latest.ts'
import { pickDue } from '../../src/outbox/aside/pick-due.ts'
import { cancelRows, skipWaiting } from '../../src/outbox/by-hand/cancel.ts'
import { replay } from '../../src/outbox/by-hand/replay.ts'
import { resendEvent } from '../../src/outbox/by-hand/resend.ts'
import { transaction } from '../../src/outbox/database/database.ts'
import { settle } from '../../src/outbox/settle/settle.ts'
import { openTestOutbox } from '../support/open-outbox.ts'
import { countRows } from '../support/row-counter.ts'
import { allShares, holderOf, settlementOf } from '../support/sending.ts'
import { keepStatistics } from '../support/statistics.ts'

const many = 20_000
const some = 100

/**
 * A burst fills the rows of a webhook of which the statistics say that it has none: the planner believes so until the next ANALYZE,
 * and is tempted to read all rows once for each that it looks for.
 */
test('no statement reads the whole queue, however wrong the statistics are', async () => {
  await using at = await openTestOutbox()
  const { pool } = at.outbox
  const [quiet, burst] = [await at.webhook(['user.new']), await at.webhook(['user.new'])]
  const holderId = await holderOf(at)
  await keepStatistics(at)
  const { last } = await at.fill(many)
  const setAside = (webhookId: number) =>
    pool.query(
      `insert into walhook.deliveries (webhook_id, share, entity_type, entity_id, event_id, due_at)
       select $1, share, entity_type, entity_id, id, now() from walhook.events`,
      [webhookId],
    )
  await setAside(quiet)
  await pool.query('update walhook.shares set settled_up_to = $1', [last])
  await pool.query('analyze')
  await setAside(burst)

  const { outbox, rows } = countRows(at.outbox)
  const pick = () => pickDue(outbox, { holderId, webhookId: burst, shares: allShares, limit: some })
  const { deliveries } = await pick()
  expect(deliveries.length).toBe(some)
  const readUpTo = () => last
  const { send } = await latestOf(outbox, { holderId, webhookId: burst, deliveries, readUpTo })
  await settle(outbox, holderId, { settlements: send.map(each => settlementOf(each)), aside: [] })
  const failed = (await pick()).deliveries.map(each => settlementOf(each, { next: { state: 'dead' } }))
  await settle(outbox, holderId, { settlements: failed, aside: [] })
  const batch = { maxEvents: some, maxWaitMs: 0 }
  const { shipments } = await claimBatches(outbox, {
    ...{ holderId, webhookId: burst, shares: allShares, batch, mode: 'every', readUpTo, limit: 1 },
  })
  const batched = shipments.map(shipment => ({ ...settlementOf(shipment.deliveries[0]), shipment }))
  expect(batched.length).toBe(1)
  await settle(outbox, holderId, { settlements: batched, aside: [] })

  const all = { webhookId: burst, entity: null, eventId: null, upTo: last }
  const inOne = <T>(work: Parameters<typeof transaction<T>>[1]) => transaction(outbox.pool, work)
  for (let i = 0; i < 2; i++) await inOne(client => cancelRows(client, all, some))
  const entity = { entityType: 'user', entityId: '15000' }
  await inOne(client => cancelRows(client, { ...all, entity }, some))
  await inOne(client => skipWaiting(client, { ...all, entity }))
  const { rows: ended } = await pool.query(
    `select event_id from walhook.ended_deliveries where webhook_id = $1 limit $2`,
    [burst, some],
  )
  const ids: bigint[] = ended.map(({ event_id }) => event_id)
  for (const source of [
    { of: 'ids', ids } as const,
    { of: 'failed', from: new Date(0), to: new Date('2199-01-01') } as const,
  ])
    await replay(
      outbox,
      { webhookId: burst, source, after: null, pageEvents: some },
      { isTimeOver: () => false, onQueued: async () => {} },
    )
  await inOne(client => resendEvent(client, { webhookId: burst, eventId: ids[0]! }))

  // Through several nodes of a plan, a page of each share is counted several times.
  const greedy = [...rows].filter(([, count]) => count > 0.9 * many)
  expect(greedy).toEqual([])
  expect(rows.size).toBeGreaterThan(15)
})
