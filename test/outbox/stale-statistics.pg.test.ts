import { expect, test } from 'vitest'
import { busyWebhooks } from '../../src/outbox/busy.ts'
import { cancelSome, type LaneKey } from '../../src/outbox/cancel.ts'
import { claim } from '../../src/outbox/claim.ts'
import { transaction } from '../../src/outbox/database.ts'
import { replay } from '../../src/outbox/replay.ts'
import { resendEvent } from '../../src/outbox/resend.ts'
import { settle } from '../../src/outbox/settle.ts'
import { openTestOutbox, settlementOf } from '../support/open-outbox.ts'
import { countRows } from '../support/row-counter.ts'

const lanes = 20_000
const batch = 100

/**
 * A burst fills the queue of a webhook of which the statistics say that it has none: the planner believes so until the
 * next ANALYZE, and is tempted to read the whole queue once for each lane of a claim.
 */
test('no statement on the queue reads the whole of it, however wrong the statistics are', async () => {
  await using at = await openTestOutbox()
  const { pool } = at.outbox
  const [quiet, burst] = [
    await at.webhook(['user.new']),
    await at.webhook(['user.new'], true, { mode: 'latest' }),
  ]
  await at.append('user 1 new', 'user 2 new')
  for (const table of ['lanes', 'deliveries'])
    await pool.query(`alter table walhook.${table} set (autovacuum_enabled = off)`)
  const fill = (webhookId: number) =>
    pool.query(`
      insert into walhook.events (id, commit_lsn, index_in_transaction, entity_type, entity_id, action_type, committed_at, body)
      select (select max(id) from walhook.events) + i, '0/1', i, 'user', (1000 + i)::text, 'new', now(), '{}'
      from generate_series(1, ${webhookId === quiet ? lanes : 0}) i;
      insert into walhook.deliveries (webhook_id, entity_type, entity_id, event_id)
      select ${webhookId}, entity_type, entity_id, id from walhook.events where entity_id::int > 1000;
      insert into walhook.lanes (webhook_id, entity_type, entity_id)
      select ${webhookId}, entity_type, entity_id from walhook.events where entity_id::int > 1000`)
  await fill(quiet)
  await pool.query(`delete from walhook.deliveries where webhook_id = ${burst}`)
  await pool.query(`delete from walhook.lanes where webhook_id = ${burst}`)
  await pool.query('analyze')
  await fill(burst)

  const { outbox, rows } = countRows(at.outbox)
  await busyWebhooks(outbox)
  const company = { maxEvents: batch, maxWaitMs: 0 }
  for (const how of [
    { mode: 'every', batch: null },
    { mode: 'latest', batch: null },
    { mode: 'every', batch: company },
  ] as const) {
    const lease = crypto.randomUUID()
    const { shipments } = await claim(outbox, {
      ...how,
      webhookId: burst,
      limit: how.batch ? 2 : batch,
      lease,
      leaseMs: 60_000,
    })
    expect(shipments.flatMap(({ deliveries }) => deliveries).length).toBeGreaterThanOrEqual(batch)
    const settlements = shipments.slice(0, 2).map(shipment => {
      const settlement = settlementOf(shipment.deliveries[0])
      return { ...settlement, shipment }
    })
    await settle(outbox, settlements)
  }
  const all = { webhookId: burst, entity: null, eventId: null, upTo: 2n ** 62n }
  let after: LaneKey | null = null
  for (let i = 0; i < 2; i++)
    after = (await transaction(outbox.pool, client => cancelSome(client, all, { after, limit: batch }))).next
  const entity = { entityType: 'user', entityId: '15000' }
  await transaction(outbox.pool, client =>
    cancelSome(client, { ...all, entity }, { after: null, limit: batch }),
  )
  const { rows: events } = await pool.query(
    `select event_id from walhook.ended_deliveries where webhook_id = ${burst} limit ${batch}`,
  )
  const ids = events.map(({ event_id }) => event_id as bigint)
  for (const source of [
    { of: 'ids', ids } as const,
    { of: 'failed', from: new Date(0), to: new Date('2199-01-01') } as const,
  ])
    await replay(
      outbox,
      { webhookId: burst, source, after: null, pageEvents: batch },
      { isTimeOver: () => false, onQueued: async () => {} },
    )
  await transaction(outbox.pool, client => resendEvent(client, { webhookId: burst, eventId: ids[0]! }))

  const greedy = [...rows].filter(([, count]) => count > lanes / 4)
  expect(greedy).toEqual([])
  expect(rows.size).toBeGreaterThan(15)
})
