import { expect, test } from 'vitest'
import { backfillReceivers } from '../../src/outbox/backfills.ts'
import { couplingFigures } from '../../src/outbox/couplings.ts'
import { countWaiting } from '../../src/outbox/queue-depth.ts'
import { openTestOutbox } from '../support/open-outbox.ts'
import { countRows } from '../support/row-counter.ts'

const others = 20_000

test("what waits for a webhook is counted without reading through others' queues", async () => {
  await using at = await openTestOutbox()
  const [busy, quiet] = [await at.webhook(['user.new']), await at.webhook(['user.new'])]
  await at.outbox.pool.query(
    `insert into walhook.deliveries (webhook_id, entity_type, entity_id, event_id)
     select $1, 'user', n::text, n from generate_series(1, $2::int) n`,
    [busy, others],
  )
  await at.outbox.pool.query('analyze walhook.deliveries')

  const { outbox, rows } = countRows(at.outbox)
  expect(await countWaiting(outbox, quiet, 1_000)).toEqual({ count: 0, isExact: true })
  expect(await countWaiting(outbox, busy, 1_000)).toEqual({ count: 1_000, isExact: false })
  expect((await couplingFigures(outbox, [quiet], Date.now())).get(quiet)!.waiting).toBe(0)
  const receivers = await backfillReceivers(outbox, { webhookId: quiet, trigger: 'user.new', countTo: 1_000 })
  expect(receivers).toMatchObject([{ waiting: 0 }])
  expect(rows.size).toBe(3)
  for (const [statement, count] of rows) expect(count, statement).toBeLessThan(5 * 1_001)
})
