import { expect, test } from 'vitest'
import { transaction } from '../../src/outbox/database/database.ts'
import { readDeliverySettings } from '../../src/outbox/holders/delivery-settings.ts'
import { deleteWebhook, findWebhook, updateWebhook } from '../../src/outbox/records/webhooks.ts'
import type { Settlement } from '../../src/outbox/settle/settle.ts'
import { openTestOutbox } from '../support/open-outbox.ts'
import { everyUser, holdUpLog, untilWaiting } from '../support/outbox-traffic.ts'
import { claim, retry, settle, settlementOf } from '../support/sending.ts'

type At = Awaited<ReturnType<typeof openTestOutbox>>
const later: Settlement['next'] = { state: 'retry', waitMs: 0, costsAttempt: true }

async function settleOne(at: At, webhookId: number, change: Parameters<typeof settlementOf>[1] = {}) {
  const [delivery] = await claim(at, webhookId, 1)
  return (await settle(at, settlementOf(delivery!, change))).disabled
}

/** As if it had failed for so long already. */
const failingFor = (at: At, webhookId: number, days: number) =>
  at.outbox.pool.query(
    `update walhook.webhooks set failing_since = now() - $2 * interval '1 day' where id = $1`,
    [webhookId, days],
  )

/** Which version of its row a webhook has: another one after every write. */
const versionOf = async (at: At, webhookId: number) =>
  (await at.outbox.pool.query('select xmin::text from walhook.webhooks where id = $1', [webhookId])).rows[0]
    .xmin

test("only a first failure and the first success after it write a webhook's health", async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  await at.append('user 1 new', 'user 2 new', 'user 3 new', 'user 4 new')
  const untouched = await versionOf(at, webhook)
  await settleOne(at, webhook)
  expect(await versionOf(at, webhook)).toBe(untouched)

  await settleOne(at, webhook, { next: later })
  const { failingSince } = (await findWebhook(at.outbox, webhook))!
  expect(Math.abs(Date.now() - failingSince!.getTime())).toBeLessThan(60_000)
  const noted = await versionOf(at, webhook)
  await settleOne(at, webhook, { next: later })
  expect(await versionOf(at, webhook)).toBe(noted)

  await settleOne(at, webhook)
  expect(await findWebhook(at.outbox, webhook)).toMatchObject({ failingSince: null, disabledAt: null })
})

test('one failing entity does not make a webhook failing', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  await at.append('user 1 new')
  await settleOne(at, webhook, { next: later, isFailing: false })
  expect(await findWebhook(at.outbox, webhook)).toMatchObject({ failingSince: null })
})

test.each<[string, number, Parameters<typeof settlementOf>[1], boolean]>([
  ['five days, and this delivery is dead', 5, { next: { state: 'dead' } }, true],
  [
    'five days, and this event waits for longer than all retries take',
    5,
    { next: later, isOverdue: true },
    true,
  ],
  ['five days, and nothing is lost yet', 5, { next: later }, false],
  ['four days', 4.9, { next: { state: 'dead' } }, false],
])('failing for %s', async (_what, days, change, isDisabled) => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  await at.append('user 1 new', 'user 2 new')
  await failingFor(at, webhook, days)
  const disabled = await settleOne(at, webhook, change)
  const reason = expect.stringContaining('for more than 5 days')
  expect(disabled).toEqual(isDisabled ? [{ webhookId: webhook, reason }] : [])
  expect(await findWebhook(at.outbox, webhook)).toMatchObject({
    failingSince: expect.any(Date),
    disabledAt: isDisabled ? expect.any(Date) : null,
    disabledReason: isDisabled ? reason : null,
  })
})

test('only deliveries that died since the webhook fails count', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  await at.append('user 1 new', 'user 2 new', 'user 3 new')
  await settleOne(at, webhook, { next: { state: 'dead' }, isFailing: false })
  await at.outbox.pool.query(`update walhook.ended_deliveries set ended_at = now() - interval '6 days'`)
  await failingFor(at, webhook, 5)
  expect(await settleOne(at, webhook, { next: later })).toEqual([])
  await at.outbox.pool.query(`update walhook.ended_deliveries set ended_at = now() - interval '1 day'`)
  expect(await settleOne(at, webhook, { next: later })).toHaveLength(1)
})

test('Retry-After holds the whole webhook, for every process, until another URL or a new activation', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  await at.append('user 1 new', 'user 2 new')
  const heldInMs = async () =>
    (await readDeliverySettings(at.outbox, { sinceVersion: -1, ids: new Set() })).webhooks.find(
      ({ id }) => id === webhook,
    )!.heldInMs
  await settleOne(at, webhook, { next: later, holdMs: 3_600_000 })
  expect(await heldInMs()).toBeGreaterThan(3_500_000)

  const held = await versionOf(at, webhook)
  await settleOne(at, webhook, { next: later, holdMs: 3_600_000 - 5_000 })
  expect(await versionOf(at, webhook)).toBe(held)

  await updateWebhook(at.outbox, webhook, { name: 'CRM 2', url: 'https://crm.example.com/', isActive: true })
  expect(await heldInMs()).toBeGreaterThan(3_500_000)
  await updateWebhook(at.outbox, webhook, { url: 'https://elsewhere.example.com/' })
  expect(await heldInMs()).toBe(null)
  expect(await findWebhook(at.outbox, webhook)).toMatchObject({ heldUntil: null, failingSince: null })
})

test('activating a disabled webhook resets its health', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  await at.append('user 1 new', 'user 2 new')
  await failingFor(at, webhook, 6)
  await settleOne(at, webhook, { next: { state: 'dead' }, holdMs: 60_000 })
  const before = (await findWebhook(at.outbox, webhook))!
  expect(before).toMatchObject({ disabledAt: expect.any(Date), heldUntil: expect.any(Date) })
  expect(await updateWebhook(at.outbox, webhook, { isActive: true })).toMatchObject({
    disabledAt: null,
    disabledReason: null,
    failingSince: null,
    heldUntil: null,
  })
})

test('a response from a former URL does not count for the webhook', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  await at.append('user 1 new')
  const [delivery] = await claim(at, webhook)
  await updateWebhook(at.outbox, webhook, { url: 'https://elsewhere.example.com/' })
  await settle(at, settlementOf(delivery!, { next: later, holdMs: 60_000, disable: 'It answered 410 Gone.' }))
  expect(await findWebhook(at.outbox, webhook)).toMatchObject({
    disabledAt: null,
    failingSince: null,
    heldUntil: null,
  })
})

test('deleting a webhook waits for its settlement without a deadlock', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  await at.append('user 1 new')
  await failingFor(at, webhook, 1)
  const [delivery] = await claim(at, webhook)
  // Between its locks and its writes.
  const letGo = await holdUpLog(at)
  const settled = settle(at, settlementOf(delivery!))
  await untilWaiting(at, 1, 'the settlement to wait for the log')
  const deleted = transaction(at.outbox.pool, client => deleteWebhook(client, webhook))
  await untilWaiting(at, 2, 'the deletion to wait for the settlement')
  await letGo()
  expect((await settled).isFenced).toBe(false)
  expect(await deleted).toBe(true)
  expect(await at.queue()).toEqual([])
})

/** As if all that is noted of its failing had been noted so long before. */
const longAgo = (at: At, webhookId: number, days: number) =>
  at.outbox.pool.query(
    `update walhook.webhooks set failing_since = failing_since - $2 * interval '1 day',
       failed_at = failed_at - $2 * interval '1 day', next_try_at = next_try_at - $2 * interval '1 day',
       activated_at = activated_at - interval '30 days'
     where id = $1`,
    [webhookId, days],
  )

test('walhook was stopped for six days: the failures after that do not disable the webhook', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  await at.append('user 1 new', 'user 2 new', 'user 3 new')
  await settleOne(at, webhook, retry(5_000))
  await longAgo(at, webhook, 6)
  expect(await settleOne(at, webhook, { next: { state: 'dead' } })).toEqual([])
  expect(await settleOne(at, webhook, { next: { state: 'dead' } })).toEqual([])
  const after = (await findWebhook(at.outbox, webhook))!
  expect(after.failingTime!.failedForMs).toBeLessThan(60_000)
  expect(after.disabledAt).toBeNull()
})

test('failing on schedule for five days disables a webhook', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  await at.append(...Array.from({ length: 7 }, (_, i) => `user ${i + 1} new`))
  await settleOne(at, webhook, retry(86_400_000))
  for (let day = 1; day < 5; day++) {
    await longAgo(at, webhook, 1)
    expect(await settleOne(at, webhook, { ...retry(86_400_000), isOverdue: true })).toEqual([])
  }
  await longAgo(at, webhook, 1)
  expect(await settleOne(at, webhook, { next: { state: 'dead' } })).toHaveLength(1)
})

test('a 410 to a request sent before the activation does not disable the webhook again', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  await at.append('user 1 new', 'user 2 new')
  const [old, young] = await claim(at, webhook)
  const gone = (delivery: typeof old) =>
    settlementOf(delivery!, { next: later, disable: 'It answered 410 Gone.', holdMs: 60_000 })
  const underWay = gone(old)
  await updateWebhook(at.outbox, webhook, { isActive: false })
  await updateWebhook(at.outbox, webhook, { isActive: true })
  await settle(at, underWay)
  expect(await findWebhook(at.outbox, webhook)).toMatchObject({
    disabledAt: null,
    heldUntil: null,
    failingSince: null,
  })
  await settle(at, gone(young))
  expect(await findWebhook(at.outbox, webhook)).toMatchObject({ disabledAt: expect.any(Date) })
})

test('a success after more than a minute of failing is reported', async () => {
  await using at = await openTestOutbox()
  const webhook = await at.webhook(everyUser)
  await at.append('user 1 new', 'user 2 new', 'user 3 new')
  const deliver = async () => {
    const [delivery] = await claim(at, webhook, 1)
    return (await settle(at, settlementOf(delivery!))).recovered
  }
  await settleOne(at, webhook, retry(60_000))
  expect(await deliver()).toEqual([])
  await failingFor(at, webhook, 1)
  expect(await deliver()).toEqual([webhook])
})
