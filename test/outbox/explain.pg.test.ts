import { expect, test } from 'vitest'
import { explain } from '../../src/domain/explain.ts'
import { claim } from '../../src/outbox/claim.ts'
import { findEvent, listEvents } from '../../src/outbox/events.ts'
import { readExplainFacts } from '../../src/outbox/explain.ts'
import { updateWebhook } from '../../src/outbox/webhooks.ts'
import { eventIds, openTestOutbox, type TestOutbox } from '../support/open-outbox.ts'
import { cancelPage, claim, resend, retry, settle, settleAll, settlementOf } from '../support/sending.ts'

const everyUser = ['user.new', 'user.update', 'user.delete']

/** What is said of an event, a state for each webhook. */
async function states(at: TestOutbox, eventId: bigint): Promise<Record<number, string>> {
  const event = (await findEvent(at.outbox, eventId))!
  const found = await readExplainFacts(at.outbox, event, { webhookId: null, limit: 100 })
  return Object.fromEntries(found.map(({ webhookId, facts }) => [webhookId, explain(facts).state]))
}

test('an event is explained for each webhook by what stands in queue, log and history', async () => {
  await using at = await openTestOutbox()
  const wants = await at.webhook(everyUser)
  const others = {
    not_subscribed: await at.webhook(['user.new']),
    inactive_then: await at.webhook(everyUser, false),
    disabled_then: await at.webhook(everyUser),
    retrying: await at.webhook(everyUser),
    dead: await at.webhook(everyUser),
    cancelled: await at.webhook(everyUser),
    in_flight: await at.webhook(everyUser),
    due: await at.webhook(everyUser),
    inactive: await at.webhook(everyUser),
    disabled: await at.webhook(everyUser),
  }
  const disable = (id: number) =>
    at.outbox.pool.query(
      `update walhook.webhooks set disabled_at = now(), disabled_reason = 'Gone.' where id = $1`,
      [id],
    )
  await disable(others.disabled_then)
  await at.append('user 1 update')
  const made_later = await at.webhook(everyUser)
  const [eventId] = await eventIds(at)

  await settleAll(at, wants)
  await settleAll(at, others.retrying, retry(60_000))
  await settleAll(at, others.dead, { next: { state: 'dead' } })
  await claim(at, others.in_flight)
  const everything = { entity: null, eventId: null, upTo: eventId! }
  await cancelPage(at, { ...everything, webhookId: others.cancelled }, { after: null, limit: 10 })
  await disable(others.disabled)
  await updateWebhook(at.outbox, others.inactive, { isActive: false })
  // What it is now says nothing of what it was then.
  await updateWebhook(at.outbox, others.not_subscribed, { triggers: everyUser as never })
  await updateWebhook(at.outbox, others.inactive_then, { isActive: true })
  await updateWebhook(at.outbox, others.disabled_then, { isActive: true })
  await updateWebhook(at.outbox, wants, { isActive: false })

  expect(await states(at, eventId!)).toEqual({
    [wants]: 'delivered',
    [made_later]: 'made_later',
    ...Object.fromEntries(Object.entries(others).map(([state, id]) => [id, state])),
  })
})

test('behind which event it waits, and how that changes', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(everyUser)
  await at.append('user 1 new')
  await at.append('user 1 update', 'user 2 new')
  const [first, second, other] = await eventIds(at)
  const said = async (eventId: bigint) => {
    const event = (await findEvent(at.outbox, eventId))!
    return explain((await readExplainFacts(at.outbox, event, { webhookId, limit: 1 }))[0]!.facts)
  }
  expect(await said(second!)).toMatchObject({ state: 'behind', other: first })
  const lanes = await claim(at, webhookId)
  expect(await said(first!)).toMatchObject({ state: 'in_flight' })
  expect(await said(other!)).toMatchObject({ state: 'in_flight' })
  expect(await said(second!)).toMatchObject({ state: 'behind', other: first, until: null })
  await settle(at, ...lanes.map(lane => settlementOf(lane)))
  expect(await said(first!)).toMatchObject({ state: 'delivered', deliveredAt: expect.any(Date) })
  expect(await said(second!)).toMatchObject({ state: 'due' })

  // The older one, asked for while the newer one is in flight, is not what is in flight.
  const [lane] = await claim(at, webhookId)
  await resend(at, { webhookId, eventId: first! })
  expect(await said(first!)).toMatchObject({ state: 'behind', other: second, deliveredAt: expect.any(Date) })
  expect(await said(second!)).toMatchObject({ state: 'in_flight' })
  await settle(at, ...[settlementOf(lane!, { next: { state: 'dead' } })])
  expect(await said(second!)).toMatchObject({ state: 'dead' })
  await resend(at, { webhookId, eventId: second! })
  expect(await said(second!)).toMatchObject({ state: 'behind', other: first })
  for (let i = 0; i < 2; i++) await settleAll(at, webhookId)
  expect(await said(second!)).toMatchObject({ state: 'delivered' })
})

test('what a process that died has claimed is on its way until its lease ends, and then due', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(everyUser)
  await at.append('user 1 new')
  const [eventId] = await eventIds(at)
  await claim(at, webhookId)
  expect(await states(at, eventId!)).toEqual({ [webhookId]: 'in_flight' })
  await at.outbox.pool.query(`update walhook.lanes set leased_until = now() - interval '1 second'`)
  expect(await states(at, eventId!)).toEqual({ [webhookId]: 'due' })
})

test('updates of none of the wanted fields', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(everyUser)
  await updateWebhook(at.outbox, webhookId, { updateFields: ['user.email'] })
  await at.append('user 1 update')
  const [eventId] = await eventIds(at)
  await at.outbox.pool.query(`delete from walhook.deliveries; delete from walhook.lanes;
    update walhook.events set changed = '{name}'`)
  await updateWebhook(at.outbox, webhookId, { updateFields: null })
  expect(await states(at, eventId!)).toEqual({ [webhookId]: 'no_wanted_field' })
})

test("an entity's events come newest first, in pages", async () => {
  await using at = await openTestOutbox()
  await at.append('user 1 new', 'user 2 new', 'company 1 new')
  await at.append('user 1 update')
  await at.append('user 1 delete')
  const entity = { entityType: 'user', entityId: '1' }
  const page = async (before: bigint | null, which: typeof entity | null = entity) =>
    await listEvents(at.outbox, { entity: which, limit: 2, before })
  const newest = await page(null)
  expect(newest.map(({ actionType }) => actionType)).toEqual(['delete', 'update'])
  expect((await page(newest[1]!.id)).map(({ actionType }) => actionType)).toEqual(['new'])
  expect(await page(null, { entityType: 'user', entityId: '9' })).toEqual([])
  expect((await page(newest[1]!.id, null)).map(({ entityType }) => entityType)).toEqual(['company', 'user'])
})

test('the history of a webhook holds each change of what decides, and nothing else; it goes with the webhook', async () => {
  await using at = await openTestOutbox()
  const id = await at.webhook(everyUser)
  await updateWebhook(at.outbox, id, { name: 'ERP', url: 'https://erp.example.com/' })
  await updateWebhook(at.outbox, id, { isActive: false })
  await updateWebhook(at.outbox, id, { triggers: ['user.new'] })
  await updateWebhook(at.outbox, id, { updateFields: ['user.email'] })
  const { rows } = await at.outbox.pool.query(
    'select is_active, triggers, update_fields from walhook.webhook_states order by since',
  )
  expect(rows).toEqual([
    { is_active: true, triggers: everyUser, update_fields: null },
    { is_active: false, triggers: everyUser, update_fields: null },
    { is_active: false, triggers: ['user.new'], update_fields: null },
    { is_active: false, triggers: ['user.new'], update_fields: ['user.email'] },
  ])
  await at.outbox.pool.query('delete from walhook.webhooks')
  expect(await at.count('webhook_states')).toBe(0)
})

test('all of a batch is in flight together', async () => {
  await using at = await openTestOutbox()
  const batch = { maxEvents: 10, maxWaitMs: 0 }
  const webhookId = await at.webhook(everyUser, true, { batch })
  await at.append('user 1 new')
  await at.append('user 1 update')
  const ids = await eventIds(at)
  const { shipments } = await claim(at.outbox, {
    webhookId,
    mode: 'every',
    batch,
    limit: 1,
    lease: crypto.randomUUID(),
    leaseMs: 60_000,
  })
  expect(shipments[0]!.deliveries).toHaveLength(2)
  for (const eventId of ids) {
    expect(await states(at, eventId)).toEqual({ [webhookId]: 'in_flight' })
    expect(await resend(at, { webhookId, eventId })).toEqual({ state: 'in_flight' })
  }
  await settle(at, ...[{ ...settlementOf(shipments[0]!.deliveries[0]), shipment: shipments[0]! }])
  expect(await at.queue()).toEqual([])
})
