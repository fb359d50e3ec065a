import { expect, test } from 'vitest'
import { type DeliveryState, deliveryStates } from '../../src/domain/event/event-state.ts'
import { type Explanation, explain } from '../../src/domain/shown/explain.ts'
import { transaction } from '../../src/outbox/database/database.ts'
import { saveProgress } from '../../src/outbox/holders/streams.ts'
import { readEventStates } from '../../src/outbox/listing/event-states.ts'
import { listEvents } from '../../src/outbox/listing/events.ts'
import { findEvent } from '../../src/outbox/reading/events.ts'
import { readExplainFacts } from '../../src/outbox/reading/explain.ts'
import { updateWebhook } from '../../src/outbox/records/webhooks.ts'
import { openTestOutbox, type TestOutbox } from '../support/open-outbox.ts'
import {
  cancel,
  claim,
  holderOf,
  pull,
  resend,
  retry,
  settle,
  settleAll,
  settlementOf,
} from '../support/sending.ts'

const everyUser = ['user.new', 'user.update', 'user.delete']

/** What is said of an event, for each webhook. */
async function sayings(at: TestOutbox, eventId: bigint): Promise<Record<number, Explanation>> {
  const event = (await findEvent(at.outbox, eventId))!
  const found = await readExplainFacts(at.outbox, event, { webhookId: null, tenant: null, limit: 100 })
  const said = found.map(({ webhookId, facts }) => ({ webhookId, facts, said: explain(facts) }))
  // A list of events counts what is explained here.
  const listed = said.flatMap(({ said, facts }) => listedAs(said.state, facts.waiting?.attempts ?? 0) ?? [])
  const counts = Object.fromEntries(
    deliveryStates.map(state => [state, listed.filter(one => one === state).length]),
  )
  const read = await transaction(at.outbox.pool, client => readEventStates(client, [eventId], null))
  expect(read).toEqual(new Map([[eventId, counts]]))
  return Object.fromEntries(said.map(({ webhookId, said }) => [webhookId, said]))
}

/** As what a list of events counts a delivery that is explained so. */
function listedAs(state: Explanation['state'], attempts: number): DeliveryState | null {
  if (['in_flight', 'due', 'retrying', 'blocked', 'behind', 'inactive', 'disabled'].includes(state))
    return attempts > 0 ? 'retrying' : 'pending'
  return deliveryStates.find(each => each === state) ?? null
}

async function states(at: TestOutbox, eventId: bigint): Promise<Record<number, string>> {
  const said = Object.entries(await sayings(at, eventId))
  return Object.fromEntries(said.map(([id, { state }]) => [id, state]))
}

test('an event is explained for each webhook by its rows, the log and the history of its settings', async () => {
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
  const inLog = {
    due: await at.webhook(everyUser),
    inactive: await at.webhook(everyUser),
    disabled: await at.webhook(everyUser),
    cancelled: await at.webhook(everyUser),
    delivered: await at.webhook(everyUser),
    not_subscribed: await at.webhook(['user.new']),
  }
  const disable = (id: number) =>
    at.outbox.pool.query(
      `update walhook.webhooks set disabled_at = now(), disabled_reason = 'Gone.' where id = $1`,
      [id],
    )
  await disable(others.disabled_then)
  const [eventId] = await at.append('user 1 update')
  const made_later = await at.webhook(everyUser)

  await settleAll(at, wants)
  await settleAll(at, others.retrying, retry(60_000))
  await settleAll(at, others.dead, { next: { state: 'dead' } })
  await claim(at, others.in_flight)
  for (const id of [others.due, others.cancelled, others.inactive, others.disabled]) await pull(at, id)
  const everything = { entity: null, eventId: null, upTo: eventId! }
  for (const webhookId of [others.cancelled, inLog.cancelled]) await cancel(at, { ...everything, webhookId })
  await at.deliver(inLog.delivered, eventId!)
  for (const id of [others.disabled, inLog.disabled]) await disable(id)
  for (const id of [others.inactive, inLog.inactive, wants])
    await updateWebhook(at.outbox, id, { isActive: false })
  // What it is now says nothing of what it was then.
  for (const id of [others.not_subscribed, inLog.not_subscribed])
    await updateWebhook(at.outbox, id, { triggers: everyUser as never })
  await updateWebhook(at.outbox, others.inactive_then, { isActive: true })
  await updateWebhook(at.outbox, others.disabled_then, { isActive: true })

  const expected = [...Object.entries(others), ...Object.entries(inLog)].map(([state, id]) => [id, state])
  expect(await states(at, eventId!)).toEqual({
    [wants]: 'delivered',
    [made_later]: 'made_later',
    ...Object.fromEntries(expected),
  })
})

test('an event pending in the log: what blocks it, whether it may be in flight, and who sends it', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(everyUser)
  const said = async (eventId: bigint) => (await sayings(at, eventId))[webhookId]!
  const [first, unwanted] = await at.append('user 1 new', 'company 1 new')
  const [second, other] = await at.append('user 1 update', 'user 2 new')
  expect(await said(first!)).toMatchObject({ state: 'due', sentence: expect.stringContaining('none does') })
  expect(await said(second!)).toMatchObject({ state: 'behind', other: first })
  expect(await said(unwanted!)).toMatchObject({ state: 'not_subscribed' })

  const holderId = await holderOf(at)
  expect(await said(first!)).toMatchObject({
    state: 'due',
    sentence: expect.stringContaining('Next: walhook sends'),
  })
  await at.outbox.pool.query('update walhook.holders set may_send_up_to = $1', [second])
  expect(await said(first!)).toMatchObject({ state: 'in_flight' })
  expect(await said(second!)).toMatchObject({ state: 'behind', other: first })
  expect(await said(other!)).toMatchObject({ state: 'due' })
  await at.deliver(webhookId, first!)
  expect(await said(first!)).toMatchObject({ state: 'delivered' })
  expect(await said(second!)).toMatchObject({ state: 'in_flight' })

  // Its holder is dead, and what it may have sent is not under way any more.
  await at.outbox.pool.query(`update walhook.holders set alive_until = now() - interval '1 second'`)
  expect(await said(second!)).toMatchObject({ state: 'due', sentence: expect.stringContaining('none does') })
  await at.outbox.pool.query(`update walhook.holders set alive_until = now() + interval '1 minute'`)

  const { rows } = await at.outbox.pool.query('select share, settled_up_to as place from walhook.shares')
  const streams = rows.map(({ share, place }) => ({
    webhookId,
    share,
    settledUpTo: place,
    maySendUpTo: place,
  }))
  await saveProgress(at.outbox, { holderId, main: [], streams, gone: [] })
  expect(await said(second!)).toMatchObject({
    state: 'due',
    sentence: expect.stringContaining('has a backlog'),
  })
  await at.outbox.pool.query(`update walhook.webhooks set held_until = now() + interval '1 minute'`)
  expect(await said(second!)).toMatchObject({ state: 'due', until: expect.any(Date) })
})

test('a blocked event names the row that blocks it, and that changes with the queue', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(everyUser)
  const said = async (eventId: bigint) => (await sayings(at, eventId))[webhookId]!
  const [first] = await at.append('user 1 new')
  const [second, other] = await at.append('user 1 update', 'user 2 new')
  const deliveries = await claim(at, webhookId)
  const [third] = await at.append('user 1 update')
  expect(await said(first!)).toMatchObject({ state: 'in_flight' })
  expect(await said(other!)).toMatchObject({ state: 'in_flight' })
  expect(await said(second!)).toMatchObject({ state: 'behind', other: first, until: null })
  // In the log, behind a row.
  expect(await said(third!)).toMatchObject({ state: 'behind', other: first, until: null })
  await settle(at, ...deliveries.map(delivery => settlementOf(delivery, retry(60_000))))
  expect(await said(second!)).toMatchObject({ state: 'behind', other: first, until: expect.any(Date) })
  expect(await said(third!)).toMatchObject({ state: 'behind', other: first, until: expect.any(Date) })
  await at.outbox.pool.query(`update walhook.deliveries set due_at = now() where due_at < 'infinity'`)
  await settleAll(at, webhookId)
  expect(await said(first!)).toMatchObject({ state: 'delivered', deliveredAt: expect.any(Date) })
  expect(await said(second!)).toMatchObject({ state: 'due' })

  // The older one, asked for while the newer one is in flight, is not what is in flight.
  const [delivery] = await claim(at, webhookId)
  await resend(at, { webhookId, eventId: first! })
  expect(await said(first!)).toMatchObject({ state: 'behind', other: second, deliveredAt: expect.any(Date) })
  expect(await said(second!)).toMatchObject({ state: 'in_flight' })
  await settle(at, settlementOf(delivery!, { next: { state: 'dead' } }))
  expect(await said(second!)).toMatchObject({ state: 'dead' })
  await resend(at, { webhookId, eventId: second! })
  expect(await said(second!)).toMatchObject({ state: 'behind', other: first })
  for (let i = 0; i < 2; i++) await settleAll(at, webhookId)
  expect(await said(second!)).toMatchObject({ state: 'delivered' })
})

test('rows of a dead process are in flight until no request can be, and then due', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(everyUser)
  const [eventId] = await at.append('user 1 new')
  await claim(at, webhookId)
  expect(await states(at, eventId!)).toEqual({ [webhookId]: 'in_flight' })
  await at.outbox.pool.query(`update walhook.holders set alive_until = now() - interval '1 second'`)
  expect(await states(at, eventId!)).toEqual({ [webhookId]: 'due' })
})

test('an update without wanted fields is explained as unwanted', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(everyUser)
  await updateWebhook(at.outbox, webhookId, { updateFields: ['user.email'] })
  const [eventId] = await at.append('user 1 update')
  await at.outbox.pool.query(`update walhook.events set changed = '{name}'`)
  await updateWebhook(at.outbox, webhookId, { updateFields: null })
  expect(await states(at, eventId!)).toEqual({ [webhookId]: 'no_wanted_field' })
})

test('an event for one webhook is explained for that webhook only', async () => {
  await using at = await openTestOutbox()
  const [one, other] = [await at.webhook(everyUser), await at.webhook(everyUser)]
  const { first } = await at.fill(1, { onlyWebhookId: one })
  expect(await states(at, first)).toEqual({ [one]: 'due', [other]: 'for_another' })
})

test('an event from before versions is explained by its time', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(everyUser, false)
  const [eventId] = await at.append('user 1 new')
  await at.outbox.pool.query('update walhook.events set share = null, webhooks_version = null')
  await updateWebhook(at.outbox, webhookId, { isActive: true })
  const later = await at.webhook(everyUser)
  expect(await states(at, eventId!)).toEqual({ [webhookId]: 'inactive_then', [later]: 'made_later' })
})

test("an entity's events come newest first, in pages", async () => {
  await using at = await openTestOutbox()
  await at.append('user 1 new', 'user 2 new', 'company 1 new')
  await at.append('user 1 update')
  await at.append('user 1 delete')
  const entity = { entityType: 'user', entityId: '1' }
  const page = async (before: bigint | null, which: typeof entity | null = entity) =>
    (await listEvents(at.outbox, { filter: which ?? {}, tenant: null, seenBy: null, limit: 2, before })).items
  const newest = await page(null)
  expect(newest.map(({ actionType }) => actionType)).toEqual(['delete', 'update'])
  expect((await page(newest[1]!.id)).map(({ actionType }) => actionType)).toEqual(['new'])
  expect(await page(null, { entityType: 'user', entityId: '9' })).toEqual([])
  expect((await page(newest[1]!.id, null)).map(({ entityType }) => entityType)).toEqual(['company', 'user'])
})

test("a webhook's history has exactly its relevant changes, and is deleted with it", async () => {
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

test('all events of a batch are in flight together', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(everyUser, true, { batch: { maxEvents: 10, maxWaitMs: 0 } })
  const ids = [...(await at.append('user 1 new')), ...(await at.append('user 1 update'))]
  await pull(at, webhookId)
  await at.outbox.pool.query(
    `insert into walhook.batches (webhook_id, id, share, due_at, taken_by)
     select webhook_id, 5, share, now(), $1 from walhook.deliveries limit 1`,
    [await holderOf(at)],
  )
  await at.outbox.pool.query(`update walhook.deliveries set batch_id = 5, due_at = 'infinity'`)
  for (const eventId of ids) expect(await states(at, eventId)).toEqual({ [webhookId]: 'in_flight' })
  await at.outbox.pool.query(
    `update walhook.batches set taken_by = null, due_at = now() + interval '1 minute'`,
  )
  expect((await sayings(at, ids[0]!))[webhookId]).toMatchObject({
    state: 'retrying',
    until: expect.any(Date),
  })
})

test('an event excluded by an earlier filter is explained by that filter', async () => {
  await using at = await openTestOutbox()
  const webhookId = await at.webhook(everyUser, true, { filter: { 'user.company_id': 5 } })
  const [eventId] = await at.append('user 1 update')
  await at.outbox.pool.query(`update walhook.events set body = '{"entity_id":1,"result":{"company_id":7}}'`)
  expect(await states(at, eventId!)).toEqual({ [webhookId]: 'filtered' })
  await updateWebhook(at.outbox, webhookId, { filter: null })
  expect(await states(at, eventId!)).toEqual({ [webhookId]: 'filtered' })
})
