import { expect, test } from 'vitest'
import { transaction } from '../../src/outbox/database.ts'
import { replay } from '../../src/outbox/replay.ts'
import { settle } from '../../src/outbox/settle.ts'
import type { ClaimedDelivery } from '../../src/outbox/shipment.ts'
import { deleteWebhook } from '../../src/outbox/webhooks.ts'
import {
  eventIds,
  openTestOutbox,
  resend,
  retry,
  settlementOf,
  type TestOutbox,
} from '../support/open-outbox.ts'
import { everyUser, holdUp, untilWaiting } from '../support/outbox-traffic.ts'

/** What locks a webhook and then its lanes, as a deletion must; and what comes of it beside one. */
const others: [
  string,
  (at: TestOutbox, webhookId: number, held: ClaimedDelivery) => Promise<unknown>,
  unknown,
][] = [
  ['a settlement', (at, _, held) => settle(at.outbox, [settlementOf(held, retry(0))]), []],
  ['an append', at => at.append('user 1 update'), 0],
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
    const [held] = await at.claim(webhookId)
    const letGo = await holdUp(at, 'select from walhook.lanes for update')
    const deleted = transaction(at.outbox.pool, client => deleteWebhook(client, webhookId))
    await untilWaiting(at, 1, 'the deletion to wait for the lane')
    const acted = act(at, webhookId, held!)
    await untilWaiting(at, 2, 'the other one to wait')
    await letGo()
    expect(await deleted).toBe(true)
    expect(await acted).toEqual(outcome)
    expect(await at.queue()).toEqual([])
  },
)

test('a settlement that may change the health of a webhook that is being deleted holds no lane while it waits', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(everyUser)
  await at.append('user 1 new')
  const [held] = await at.claim(webhookId)
  const letGo = await holdUp(at, 'select from walhook.webhooks for share')
  const deleted = transaction(at.outbox.pool, client => deleteWebhook(client, webhookId))
  await untilWaiting(at, 1, 'the deletion to wait for the webhook')
  const settled = settle(at.outbox, [settlementOf(held!, retry(0))])
  await untilWaiting(at, 2, 'the settlement to wait behind it')
  await letGo()
  expect(await deleted).toBe(true)
  expect(await settled).toEqual([])
})

test('what a claim holds of a webhook that is deleted is settled as by one who has lost his lease', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(everyUser)
  await at.append('user 1 new', 'user 2 new', 'user 3 new')
  const [first, ...rest] = await at.claim(webhookId)
  const deleted = transaction(at.outbox.pool, client => deleteWebhook(client, webhookId))
  const claims = Array.from({ length: 5 }, () => at.claim(webhookId))
  const settled = settle(at.outbox, [settlementOf(first!)])
  await Promise.all([deleted, settled, ...claims])
  expect(
    await settle(
      at.outbox,
      rest.map(lane => settlementOf(lane)),
    ),
  ).toEqual([])
  expect(await at.queue()).toEqual([])
})
