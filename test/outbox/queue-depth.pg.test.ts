import { expect, test } from 'vitest'
import { skipWaiting } from '../../src/outbox/by-hand/cancel.ts'
import { countSkipped } from '../../src/outbox/by-hand/count-skipped.ts'
import { transaction } from '../../src/outbox/database/database.ts'
import { webhookFigures } from '../../src/outbox/reading/couplings.ts'
import { countWaiting } from '../../src/outbox/reading/queue-depth.ts'
import { queueDepth } from '../../src/outbox/reading/queue-total.ts'
import { countWebhooks } from '../../src/outbox/reading/webhook-states.ts'
import { updateWebhook } from '../../src/outbox/records/webhooks.ts'
import { backfillReceivers } from '../../src/outbox/source/backfills.ts'
import { openTestOutbox, type TestOutbox } from '../support/open-outbox.ts'
import { countRows } from '../support/row-counter.ts'
import { leaveBehind, setAsideMany } from '../support/waiting.ts'

const others = 100_000

test("a webhook's pending rows are counted without reading those of others", async () => {
  await using at = await openTestOutbox()
  const [busy, quiet] = [await at.webhook(['user.new']), await at.webhook(['user.new'])]
  await setAsideMany(at, busy, others)
  await passAll(at)
  await at.outbox.pool.query('analyze walhook.deliveries')

  const { outbox, rows } = countRows(at.outbox)
  expect(await countWaiting(outbox, quiet, 1_000)).toEqual({ count: 0, isExact: true })
  expect(await countWaiting(outbox, busy, 1_000)).toEqual({ count: 1_000, isExact: false })
  expect((await webhookFigures(outbox, [quiet], Date.now())).get(quiet)!.waiting.count).toBe(0)
  const receivers = await backfillReceivers(outbox, { webhookId: quiet, trigger: 'user.new', countTo: 1_000 })
  expect(receivers).toMatchObject([{ waiting: 0 }])
  expect(rows.size).toBe(3)
  for (const [statement, count] of rows) expect(count, statement).toBeLessThan(8 * 1_001)
})

test('pending events in the log are counted, up to the requested limit', async () => {
  await using at = await openTestOutbox()
  const [behind, quiet] = [await at.webhook(['user.new']), await at.webhook(['user.new'])]
  await leaveBehind(at, behind, 700)
  expect(await countWaiting(at.outbox, behind, 1_000)).toEqual({ count: 700, isExact: true })
  await leaveBehind(at, behind, others)
  await at.outbox.pool.query('analyze walhook.events')
  const { outbox, rows } = countRows(at.outbox)
  expect(await countWaiting(outbox, behind, 1_000)).toEqual({ count: 1_000, isExact: false })
  expect(await countWaiting(outbox, quiet, 1_000)).toEqual({ count: 0, isExact: true })
  const depth = await queueDepth(outbox)
  expect(depth).toMatchObject({ setAside: 0, streamsBehind: 1 })
  expect(depth.deliveries / others).toBeCloseTo(1, 1)
  for (const [statement, count] of rows) expect(count, statement).toBeLessThan(50_000)
})

test('an event is pending only for webhooks that wanted it when it came', async () => {
  await using at = await openTestOutbox()
  const [one, other] = [await at.webhook(['user.new', 'user.update']), await at.webhook(['user.new'])]
  await at.append('user 1 new', 'user 2 update', 'company 3 new')
  await updateWebhook(at.outbox, other, { isActive: false })
  await at.append('user 4 new')
  await updateWebhook(at.outbox, other, { isActive: true })
  await at.fill(1, { fromEntity: 5, onlyWebhookId: one })
  const count = async (id: number) => (await countWaiting(at.outbox, id, 100)).count
  expect([await count(one), await count(other)]).toEqual([4, 1])
  expect(await queueDepth(at.outbox)).toMatchObject({ deliveries: 5 })
})

test('each share is counted from its own position, also by a cancellation', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(['user.new'])
  const ids = await at.append(...Array.from({ length: 40 }, (_, i) => `user ${i} new`))
  const upTo = ids.at(-1)!
  for (const share of [0, 7, 3]) {
    await at.outbox.pool.query('update walhook.shares set settled_up_to = $1 where share = $2', [upTo, share])
    const left = await at.count(
      'events',
      '(select settled_up_to from walhook.shares s where s.share = events.share) < id',
    )
    expect((await countWaiting(at.outbox, webhookId, 100)).count).toBe(left)
    const waiting = { webhookId, entity: null, eventId: null, upTo }
    const { skipped } = await transaction(at.outbox.pool, client => skipWaiting(client, waiting))
    expect(await countSkipped(at.outbox.pool, skipped!, () => false)).toBe(left)
    await at.outbox.pool.query('delete from walhook.skips')
  }
})

test('finished events after the position are not pending, and a row is counted once', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(['user.new'])
  const ids = await at.append(...Array.from({ length: 6 }, (_, i) => `user ${i} new`))
  const count = async () => await countWaiting(at.outbox, webhookId, 100)
  expect(await count()).toEqual({ count: 6, isExact: true })

  await at.outbox.pool.query(
    `insert into walhook.deliveries (webhook_id, share, entity_type, entity_id, event_id, due_at)
     select $1, share, entity_type, entity_id, id, now() from walhook.events where id = $2`,
    [webhookId, ids[0]],
  )
  expect(await count()).toEqual({ count: 6, isExact: true })
  await at.outbox.pool.query(
    `insert into walhook.ended_deliveries (webhook_id, event_id, entity_type, entity_id, state, attempts)
     values ($1, $2, 'user', '1', 'dead', 3)`,
    [webhookId, ids[1]],
  )
  expect(await count()).toEqual({ count: 5, isExact: true })
  await at.outbox.pool.query(
    `insert into walhook.skips (webhook_id, entity_type, entity_id, after_id, up_to)
     values ($1, 'user', '2', $2::bigint - 1, $2)`,
    [webhookId, ids[2]],
  )
  expect(await count()).toEqual({ count: 4, isExact: true })
  await at.deliver(webhookId, ids[3]!)
  await at.deliver(webhookId, ids[4]!, { inBatch: true })
  // It may have been sent only where its stream may have sent it.
  expect(await count()).toEqual({ count: 4, isExact: true })
  await at.outbox.pool.query(
    `insert into walhook.streams select $1, share, settled_up_to, $2 from walhook.shares`,
    [webhookId, ids[5]],
  )
  expect(await count()).toEqual({ count: 2, isExact: true })
  expect(await queueDepth(at.outbox)).toMatchObject({
    deliveries: 2,
    setAside: 1,
    lanes: 1,
    streamsBehind: 1,
  })
})

test('with few wanted events among many others, the count is a lower bound', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(['company.new'])
  await at.append('company 1 new')
  await at.fill(5_000)
  expect(await countWaiting(at.outbox, webhookId, 1_000)).toEqual({ count: 1, isExact: false })
  expect(await countWaiting(at.outbox, webhookId, 10_000)).toEqual({ count: 1, isExact: true })
})

test('the age of the oldest pending event covers active webhooks only', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(['user.new'])
  expect(await queueDepth(at.outbox)).toMatchObject({ deliveries: 0, oldestPendingMs: 0 })
  await leaveBehind(at, webhookId, 3)
  await until1ms()
  expect((await queueDepth(at.outbox)).oldestPendingMs).toBeGreaterThan(0)
  await updateWebhook(at.outbox, webhookId, { isActive: false })
  expect(await queueDepth(at.outbox)).toMatchObject({ deliveries: 3, oldestPendingMs: 0 })
})

test('with many webhooks behind in a long log, the count is estimated', async () => {
  await using at = await openTestOutbox()
  const ids = await Promise.all(Array.from({ length: 20 }, () => at.webhook(['user.new'])))
  await at.outbox.pool.query('update walhook.webhooks set is_active = false where id = $1', [ids[0]])
  await at.fill(30_000)
  await at.outbox.pool.query('analyze walhook.events')
  const { deliveries } = await queueDepth(at.outbox)
  expect(deliveries).toBeGreaterThan(0.8 * 19 * 30_000)
  expect(deliveries).toBeLessThan(1.2 * 19 * 30_000)
  await leaveBehindOthers(at, ids.slice(0, 5))
  const estimate = (await queueDepth(at.outbox)).deliveries
  expect(estimate).toBeGreaterThan(0.6 * 5 * 30_000)
  expect(estimate).toBeLessThan(1.4 * 5 * 30_000)
})

/** All that keep up have passed what there is. */
async function passAll(at: TestOutbox): Promise<void> {
  await at.outbox.pool.query('update walhook.shares set settled_up_to = (select max(id) from walhook.events)')
}

async function leaveBehindOthers(at: TestOutbox, ids: readonly number[]): Promise<void> {
  await at.outbox.pool.query(
    `insert into walhook.streams select id, share, settled_up_to, settled_up_to from walhook.shares, unnest($1::int[]) id`,
    [ids],
  )
  await passAll(at)
}

const until1ms = () => new Promise(resolve => setTimeout(resolve, 2))

test('each webhook is in one state', async () => {
  await using at = await openTestOutbox()
  const set = (columns: string) => async () => {
    const id = await at.webhook(['user.new'])
    await at.outbox.pool.query(`update walhook.webhooks set ${columns} where id = $1`, [id])
  }
  const disabled = "disabled_at = now(), disabled_reason = 'Gone.'"
  const failing = 'failing_since = now()'
  const off = 'is_active = false'
  for (const state of [
    'name = name',
    failing,
    off,
    `${off}, ${failing}`,
    disabled,
    `${disabled}, ${failing}`,
  ])
    await set(state)()
  await set(`${disabled}, ${off}`)()
  expect(await countWebhooks(at.outbox)).toEqual({ active: 1, failing: 1, inactive: 2, disabled: 3 })
})
