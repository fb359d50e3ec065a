import { expect, test } from 'vitest'
import type { Delivery } from '../../src/outbox/aside/shipment.ts'
import { replay } from '../../src/outbox/by-hand/replay.ts'
import { transaction } from '../../src/outbox/database/database.ts'
import { lockAllHolders } from '../../src/outbox/database/fence.ts'
import { deleteLeftovers, deleteWebhook } from '../../src/outbox/records/webhooks.ts'
import { eventIds, openTestOutbox, type TestOutbox } from '../support/open-outbox.ts'
import { everyUser, holdUp, untilWaiting } from '../support/outbox-traffic.ts'
import { claim, pull, resend, retry, settle, settlementOf } from '../support/sending.ts'
import { leaveBehind } from '../support/waiting.ts'

const remove = (at: TestOutbox, webhookId: number) =>
  transaction(at.outbox.pool, async client => {
    await lockAllHolders(client)
    return await deleteWebhook(client, webhookId)
  })

/** What else works on a webhook and what waits for it; and what comes of it beside a deletion. */
const others: [
  string,
  (at: TestOutbox, webhookId: number, held: Delivery) => Promise<unknown>,
  object | undefined,
][] = [
  ['a settlement', (at, _, held) => settle(at, settlementOf(held, retry(0))), { isFenced: false }],
  ['a stream', (at, webhookId) => pull(at, webhookId), undefined],
  [
    'a resend',
    async (at, webhookId) => await resend(at, { webhookId, eventId: (await eventIds(at))[0]! }),
    { state: 'no_webhook' },
  ],
  [
    'a replay',
    (at, webhookId) =>
      replay(
        at.outbox,
        {
          webhookId,
          source: { of: 'range', from: 0n, to: 2n ** 62n, triggers: null },
          after: null,
          pageEvents: 10,
        },
        { isTimeOver: () => false, onQueued: async () => {} },
      ),
    { state: 'no_webhook' },
  ],
]

test.each(others)(
  'a deletion and %s never wait for each other, and nothing is left',
  async (_what, act, outcome) => {
    await using at = await openTestOutbox()
    const webhookId = await at.webhook(everyUser)
    await at.append('user 1 new')
    const [held] = await claim(at, webhookId)
    await at.append('user 1 update', 'user 2 new')
    const letGo = await holdUp(at, 'select from walhook.webhooks for update')
    const deleted = remove(at, webhookId)
    await untilWaiting(at, 1, 'the deletion to wait for the webhook')
    const acted = act(at, webhookId, held!)
    await untilWaiting(at, 2, 'the other one to wait')
    await letGo()
    expect(await deleted).toBe(true)
    const came = await acted
    if (outcome !== undefined) expect(came).toMatchObject(outcome)
    await deleteLeftovers(at.outbox)
    for (const table of ['deliveries', 'batches', 'ended_deliveries', 'skips', 'webhook_states'])
      expect([table, await at.count(table)]).toEqual([table, 0])
    expect(await at.queue()).toEqual([])
  },
)

test('requests in flight of a deleted webhook are logged, and leave no rows', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(everyUser)
  await at.append('user 1 new', 'user 2 new', 'user 3 new')
  const [first, ...rest] = await claim(at, webhookId)
  const deleted = remove(at, webhookId)
  const settled = settle(at, settlementOf(first!))
  await Promise.all([deleted, settled])
  await settle(at, ...rest.map(each => settlementOf(each, retry(0))))
  await deleteLeftovers(at.outbox)
  expect(await at.count('deliveries')).toBe(0)
  expect(await at.count('attempts')).toBe(3)
})

test('only rows of deleted webhooks are cleaned up, in pages of any size', async () => {
  await using at = await openTestOutbox()
  const [gone, stays] = [await at.webhook(everyUser), await at.webhook(everyUser)]
  await at.append(...Array.from({ length: 30 }, (_, i) => `user ${i} new`))
  await pull(at, gone)
  await pull(at, stays)
  await leaveBehind(at, gone, 3)
  expect(await remove(at, gone)).toBe(true)
  expect(await remove(at, gone)).toBe(false)
  expect(await at.count('streams', `webhook_id = ${gone}`)).toBe(0)
  expect(await at.count('deliveries', `webhook_id = ${gone}`)).toBe(30)
  await deleteLeftovers(at.outbox)
  expect(await at.count('deliveries', `webhook_id = ${gone}`)).toBe(0)
  expect(await at.count('deliveries', `webhook_id = ${stays}`)).toBe(30)
})
