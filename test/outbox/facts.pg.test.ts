import { expect, test } from 'vitest'
import type { EventFacts } from '../../src/domain/event/event.ts'
import { append } from '../../src/outbox/log/append.ts'
import { updateWebhook } from '../../src/outbox/records/webhooks.ts'
import { openTestOutbox, type TestOutbox } from '../support/open-outbox.ts'
import { attemptsOf } from '../support/read-outbox.ts'
import { claim, settle, settlementOf } from '../support/sending.ts'

const nothing: EventFacts = { previous: null, changed: null, omitted: null }

/** Appends one transaction of events, such as `user 1 update`, each with what it knows. */
async function appendWith(at: TestOutbox, events: readonly [string, Partial<EventFacts>?][]) {
  const input = at.nextAppend(...events.map(([line]) => line))
  await append(at.outbox.pool, {
    ...input,
    events: input.events.map((event, i) => {
      const facts = events[i]![1]
      return facts ? { ...event, facts: { ...nothing, ...facts } } : event
    }),
  })
}

test('bodies have previous values and omitted fields only for webhooks that ask for them', async () => {
  await using at = await openTestOutbox()
  const plain = await at.webhook(['user.update', 'user.new', 'user.delete'])
  const wide = await at.webhook(['user.update', 'user.new', 'user.delete'])
  await updateWebhook(at.outbox, wide, { previous: true })
  await appendWith(at, [
    ['user 1 update', { previous: '{"name":"a \\"b\\""}', changed: ['name'] }],
    ['user 2 update'],
    ['user 3 update', { omitted: ['bio', 'a "b" \\ {c,d}'] }],
    ['user 4 new', { omitted: ['bio'] }],
    ['user 5 update', { previous: '{}', changed: [], omitted: ['bio'] }],
  ])
  const body = (id: number, action = 'update') =>
    `{"entity_id":${id},"entity_type":"user","action_type":"${action}"`
  const bodies = async (webhookId: number) =>
    (await claim(at, webhookId)).map(delivery => delivery.body).sort((a, b) => a.localeCompare(b))
  expect(await bodies(plain)).toEqual([
    `${body(1)}}`,
    `${body(2)}}`,
    `${body(3)}}`,
    `${body(4, 'new')}}`,
    `${body(5)}}`,
  ])
  expect(await bodies(wide)).toEqual([
    `${body(1)},"previous":{"name":"a \\"b\\""}}`,
    `${body(2)}}`,
    `${body(3)},"omitted":["bio","a \\"b\\" \\\\ {c,d}"]}`,
    `${body(4, 'new')},"omitted":["bio"]}`,
    `${body(5)},"previous":{},"omitted":["bio"]}`,
  ])
})

test("a retry sends and logs the same bytes, although the webhook's settings changed", async () => {
  await using at = await openTestOutbox()
  const id = await at.webhook(['user.update'])
  await updateWebhook(at.outbox, id, { previous: true })
  await appendWith(at, [['user 1 update', { previous: '{"name":"a"}', changed: ['name'] }]])
  const [first] = await claim(at, id)
  const retry = { state: 'retry', waitMs: 0, costsAttempt: true } as const
  await settle(at, settlementOf(first!, { next: retry }))
  await updateWebhook(at.outbox, id, { previous: false })
  const [second] = await claim(at, id)
  expect(second?.body).toBe(first?.body)
  expect(second?.body).toContain('"previous":{"name":"a"}')
  await settle(at, settlementOf(second!))

  await appendWith(at, [['user 1 update', { previous: '{"name":"b"}', changed: ['name'], omitted: ['bio'] }]])
  const [third] = await claim(at, id)
  await settle(at, settlementOf(third!))
  const log = await attemptsOf(at.outbox, { webhookId: id, limit: 10, before: null })
  expect(log.map(({ request }) => request.body)).toEqual(
    [third, second, first].map(delivery => delivery?.body),
  )
  expect(third?.body).not.toContain('previous')
  expect(log[0]?.facts).toEqual({ previous: '{"name":"b"}', changed: ['name'], omitted: ['bio'] })
})

test('update_fields limits updates to those that change certain fields', async () => {
  await using at = await openTestOutbox()
  const triggers = ['user.new', 'user.update', 'user.delete', 'company.update']
  const every = await at.webhook(triggers)
  const some = await at.webhook(triggers)
  await updateWebhook(at.outbox, some, { updateFields: ['user.email', 'user.a "b"', 'user.x.y'] })
  await appendWith(at, [
    ['user 1 update', { changed: ['name'] }],
    ['user 2 update', { changed: ['name', 'email'] }],
    ['user 3 update', { changed: [] }],
    ['user 4 update', { changed: ['a "b"'] }],
    ['user 5 update', { changed: ['x.y'] }],
    // What changed is not known.
    ['user 6 update'],
    ['user 7 new'],
    ['user 8 delete'],
    // Not limited.
    ['company 9 update', { changed: ['name'] }],
  ])
  const sent = async (webhookId: number) =>
    (await claim(at, webhookId)).map(delivery => Number(delivery.entityId)).sort((a, b) => a - b)
  expect(await sent(every)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9])
  expect(await sent(some)).toEqual([2, 4, 5, 6, 7, 8, 9])
})

test('the database refuses empty field names', async () => {
  await using at = await openTestOutbox()
  const id = await at.webhook(['user.update'])
  await expect(updateWebhook(at.outbox, id, { updateFields: [] })).rejects.toThrow(/update_fields/)
  await updateWebhook(at.outbox, id, { updateFields: ['user.email'] })
  expect((await updateWebhook(at.outbox, id, { updateFields: null }))?.updateFields).toBeNull()
})
