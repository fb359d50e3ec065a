import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { en } from '../../src/admin/texts/en.ts'
import { nl } from '../../src/admin/texts/nl.ts'
import { explainStates } from '../../src/domain/shown/explain.ts'
import { follow } from '../support/follow.ts'
import { eventIds } from '../support/open-outbox.ts'
import { openTestPages } from '../support/open-pages.ts'
import { claimBatch, retry, settle, settleAll, settlementOf } from '../support/sending.ts'

let at: Awaited<ReturnType<typeof openTestPages>>
beforeAll(async () => {
  at = await openTestPages()
})
beforeEach(async () => {
  for (const table of [
    'webhooks',
    'attempts',
    'kept_attempts',
    'events',
    'deliveries',
    'streams',
    'skips',
    'ended_deliveries',
  ])
    await at.outbox.pool.query(`delete from walhook.${table}`)
})
afterAll(() => at[Symbol.asyncDispose]())

/** The time line of one webhook, as text: each of its steps. */
function steps(text: string, webhookId: number): string[] {
  const section = text.split(`id="webhook-${webhookId}"`)[1]?.split('</section>')[0] ?? ''
  return [...section.matchAll(/<li[^>]*>(.*?)<\/li>/gs)].map(([, step]) =>
    step!
      .replaceAll(/<time[^>]*>.*?<\/time>/g, '')
      .replaceAll(/<[^>]+>/g, ' ')
      .replaceAll(/\s+/g, ' ')
      .trim(),
  )
}

test('an event shows its steps at each webhook, and why it was not sent', async () => {
  const [good, bad, other, inactive] = [
    await at.webhook(['user.new']),
    await at.webhook(['user.new']),
    await at.webhook(['company.new']),
    await at.webhook(['user.new'], false),
  ]
  await at.append('user 7 new')
  await settleAll(at, good)
  await settleAll(at, bad, retry(60_000))
  const [event] = await eventIds(at)
  const { text } = await at.get(`/events/${event}`, 'viewer')
  expect(steps(text, good)).toEqual([
    'Changed in the application',
    'Attempt 1 of 10 Delivered (204)',
    'Now The receiver accepted the event.',
  ])
  expect(steps(text, bad)).toEqual([
    'Changed in the application',
    'Attempt 1 of 10 Timed out The receiver did not respond in time.',
    'The receiver has not accepted it yet. walhook retries by itself; the last attempt says why it failed. Next attempt: .',
  ])
  expect(text).toMatch(
    new RegExp(`id="webhook-${other}".*?The webhook does not subscribe to this trigger.`, 's'),
  )
  expect(text).toMatch(new RegExp(`id="webhook-${inactive}".*?The webhook was inactive then.`, 's'))
  expect(text).toContain('Not sent: the webhook did not subscribe to user.new.')
  const later = await at.webhook(['user.new'])
  expect((await at.get(`/events/${event}`)).text).toMatch(
    new RegExp(`id="webhook-${later}".*?The webhook was created after this event.`, 's'),
  )
})

test('a blocked event links to the event that blocks it', async () => {
  const id = await at.webhook(['user.new', 'user.update'])
  await at.append('user 7 new')
  await settleAll(at, id, retry(60_000))
  await at.append('user 7 update')
  const [first, second] = await eventIds(at)
  const { text } = await at.get(`/events/${second}`)
  expect(steps(text, id).at(-1)).toContain('An earlier event of the same entity goes first')
  expect(text).toContain(`<a href="/events/${first}">The other event</a>`)
})

test('a pending event is cancelled for one webhook; a delivered one cannot be', async () => {
  const [id, other] = [await at.webhook(['user.new']), await at.webhook(['user.new'])]
  await at.append('user 7 new')
  const [event] = await eventIds(at)
  const cancel = async (role: 'operator' | 'viewer' = 'operator') =>
    await at.post(`/couplings/${id}/cancel`, { event_id: String(event) }, role)
  expect((await at.get(`/events/${event}`, 'viewer')).text).not.toContain('/cancel"')
  expect((await at.get(`/events/${event}`, 'operator')).text).toContain(`action="/couplings/${id}/cancel"`)
  expect((await cancel('viewer')).status).toBe(403)
  expect((await cancel()).headers.get('location')).toBe(`/events/${event}?done=cancelled#webhook-${id}`)
  expect(await at.queue()).toEqual([`${other} user 7: new`])
  const { text } = await at.get(`/events/${event}?done=cancelled`)
  expect(text).toContain('Delivery cancelled.')
  expect(steps(text, id).at(-1)).toContain('It was cancelled while pending.')
  expect((await cancel()).headers.get('location')).toContain('done=not_cancelled')
  expect((await at.get(`/events/${event}?done=not_cancelled`)).text).toContain(
    'the event is no longer pending',
  )
})

test('a batch request is a step of each of its events', async () => {
  const id = await at.webhook(['user.new'])
  await at.append('user 7 new', 'user 8 new')
  const [first, second] = await eventIds(at)
  const deliveries = await claimBatch(at, id, 5n)
  const [settlement] = deliveries.map(delivery => settlementOf(delivery))
  await settle(at, {
    ...settlement!,
    shipment: { webhookId: id, batchId: 5n, isAside: true, deliveries },
    attempt: {
      ...settlement!.attempt,
      messageId: 'batch_1_5_2',
      eventId: null,
      eventIds: [first!, second!],
      entityType: null,
      entityId: null,
      actionType: null,
    },
  })
  for (const event of [first, second])
    expect(steps((await at.get(`/events/${event}`)).text, id)[1]).toBe(
      'Attempt 1 of 10, 2 events in one request Delivered (204)',
    )
  const log = (await at.get(`/couplings/${id}/log`)).text
  expect(log).toContain('2 events in one request')
  const [, attempt] = /<tr id="attempt-(\d+)">/.exec(log)!
  const request = (await at.get(`/couplings/${id}/log/${attempt}`)).text
  for (const event of [first, second]) expect(request).toContain(`href="/events/${event}"`)
  const sent = await at.post(`/couplings/${id}/resend`, { key: 'batch', attempt_id: attempt! })
  expect(sent.headers.get('location')).toBe(`/couplings/${id}/log?done=resent&count=2`)
  expect(await at.count('deliveries', 'is_manual')).toBe(2)
})

test('an attempt that is kept beyond its day is shown once', async () => {
  const id = await at.webhook(['user.new'])
  await at.append('user 7 new')
  await settleAll(at, id)
  await at.outbox.pool.query('insert into walhook.kept_attempts select * from walhook.attempts')
  const [event] = await eventIds(at)
  expect(steps((await at.get(`/events/${event}`)).text, id)).toHaveLength(3)
  expect((await at.get(`/couplings/${id}/log`)).text.match(/<tr id=/g)).toHaveLength(1)
  await at.outbox.pool.query('delete from walhook.attempts')
  expect(steps((await at.get(`/events/${event}`)).text, id)).toHaveLength(3)
})

test("an event's page updates its states live", async () => {
  const id = await at.webhook(['user.new'])
  await at.append('user 7 new')
  const [event] = await eventIds(at)
  const { readUntil, cancel } = follow(await at.stream(`/events/${event}/live?key=${'a'.repeat(32)}`))
  await readUntil('as soon as this webhook has capacity')
  await settleAll(at, id)
  await readUntil('The receiver accepted the event.')
  await cancel()
})

test('an event is found by its id, and by the webhook-id of its request', async () => {
  const id = await at.webhook(['user.new'])
  await at.append('user 7 new')
  const [event] = await eventIds(at)
  const found = async (sought: string) => {
    const { status, headers, text } = await at.get(`/events?${new URLSearchParams({ id: sought })}`, 'viewer')
    expect(text).not.toContain('<img')
    return headers.get('location') ?? status
  }
  expect(await found(` ${event} `)).toBe(`/events/${event}`)
  expect(await found(`msg_${id}_${event}`)).toBe(`/events/${event}#webhook-${id}`)
  for (const wrong of ['1', 'x', '<img src=x>', '9'.repeat(19), `msg__${event}`])
    expect(await found(wrong)).toBe(404)
  expect((await at.get('/events/1', 'viewer')).status).toBe(404)
})

test('the list shows the newest events, or those of one entity', async () => {
  await at.append(...Array.from({ length: 30 }, (_, i) => `user ${i} new`))
  await at.append('company 7 new')
  const ids = (text: string) =>
    [...text.matchAll(/class="subject" href="\/events\/(\d+)"/g)].map(([, id]) => BigInt(id!))
  const { text } = await at.get('/events', 'viewer')
  const all = (await eventIds(at)).reverse()
  expect(ids(text)).toEqual(all.slice(0, 25))
  const older = /rel="next" href="([^"]+)"/.exec(text)![1]!
  expect(ids((await at.get(older, 'viewer')).text)).toEqual(all.slice(25))
  expect(ids((await at.get('/events?entity_type=company&entity_id=7')).text)).toEqual(all.slice(0, 1))
  expect((await at.get('/events?entity_type=company&entity_id=8')).text).toContain(
    'No events of this entity are kept',
  )
  expect(ids((await at.get('/events?entity_type=company')).text)).toEqual(all.slice(0, 1))
  expect((await at.get('/events?entity_id=7')).status).toBe(422)
})

/** The lines of the list, as text. */
const lines = (text: string) =>
  [...text.matchAll(/<tr><th scope="row">(.*?)<\/tr>/gs)].map(([, line]) =>
    line!
      .replaceAll(/<time[^>]*>.*?<\/time>|<span class="quiet id">\d+<\/span>/g, '')
      .replaceAll(/<[^>]+>/g, ' ')
      .replaceAll(/\s+/g, ' ')
      .trim(),
  )

test('each event of the list shows its states at the webhooks, and the filter uses them', async () => {
  const [good, bad] = [await at.webhook(['user.new']), await at.webhook(['user.new'])]
  await at.webhook(['user.update'])
  await at.append('user 7 new')
  await settleAll(at, good)
  await settleAll(at, bad, { next: { state: 'dead' } })
  await at.append('user 8 update', 'company 9 delete')
  const [first, , last] = await eventIds(at)
  const { text } = await at.get('/events', 'viewer')
  expect(lines(text)).toEqual([
    'Company 9: delete Not sent –',
    'User 8: update Pending –',
    'User 7: new Dead letter Delivered –',
  ])
  expect(text).toContain(`<a class="quiet" href="/events/${last}#became">Not sent</a>`)
  const found = async (query: string) => lines((await at.get(`/events?${query}`, 'viewer')).text)
  expect(await found('state=dead')).toEqual(['User 7: new Dead letter Delivered –'])
  expect(await found('state=not_sent&action=delete')).toHaveLength(1)
  expect(await found('action=update')).toEqual(['User 8: update Pending –'])
  expect(await found('entity_type=company')).toHaveLength(1)
  expect(await found('from=2020-01-01T00:00&to=2020-01-02T00:00')).toEqual([])
  const stored = new Date(Number(first! >> 20n)).toISOString().slice(0, 23)
  expect(await found(`from=${stored}`)).toHaveLength(3)
  for (const wrong of [
    'state=sent',
    'action=gone',
    'from=x',
    'entity_id=7',
    'from=2020-01-02T00:00&to=2020-01-01T00:00',
  ])
    for (const path of [`/events?${wrong}`, `/events/live?${wrong}`])
      expect({ path, status: (await at.get(path, 'viewer')).status }).toEqual({ path, status: 422 })
})

test('the filtered list updates live, and shows if a change is older than its event', async () => {
  const id = await at.webhook(['user.new'])
  const all = follow(await at.stream('/events/live'))
  const dead = follow(await at.stream('/events/live?state=dead'))
  await all.readUntil('No events yet.')
  await dead.readUntil('No event matches the filter.')
  await at.append('user 7 new')
  await all.readUntil('Pending')
  await settleAll(at, id, { next: { state: 'dead' } })
  await all.readUntil('Dead letter')
  await dead.readUntil('Dead letter')
  expect((await at.get('/events', 'viewer')).text).toContain('data-live="/events/live?"')
  const [event] = await eventIds(at)
  expect((await at.get(`/events?before=${event}`, 'viewer')).text).not.toContain('data-live')
  expect((await at.get('/events', 'viewer')).text).not.toContain('changed <time')
  await at.outbox.pool.query(`update walhook.events set committed_at = committed_at - interval '1 hour'`)
  expect((await at.get('/events', 'viewer')).text).toContain('changed <time')
})

test('with few matching events, the list shows how far back it has searched, and continues from there', async () => {
  await at.append('company 7 new')
  await at.fill(5_500)
  const { text } = await at.get('/events?entity_type=company', 'viewer')
  expect(text).toContain('No event matches the filter so far. Searched back to')
  const [, next] = /rel="next" href="([^"]+)">Search further back/.exec(text)!
  expect(lines((await at.get(next!.replaceAll('&amp;', '&'), 'viewer')).text)).toEqual([
    'Company 7: new Not sent –',
  ])
})

/** Values in the bodies of all events of users. */
const called = (values: object, of = 'result') =>
  at.outbox.pool.query(`update walhook.events set body = left(body, -1) || $1 where entity_type = 'user'`, [
    `,"${of}":${JSON.stringify(values)}}`,
  ])

test("an entity's label is beside its id, escaped: in the list, on its page, in the log and the request", async () => {
  const id = await at.webhook(['user.new', 'user.delete'])
  await at.append('user 7 new', 'company 7 new')
  await called({ name_first: '<b>Anna', name_last: 'de Vries' })
  await settleAll(at, id)
  const [event] = await eventIds(at)
  const list = (await at.get('/events', 'viewer')).text
  expect(list).toContain('<span class="label">&lt;b&gt;Anna de Vries</span>')
  expect(list.match(/class="label"/g)).toHaveLength(1)
  expect((await at.get(`/events/${event}`, 'viewer')).text).toContain(
    '<dt>User</dt><dd>&lt;b&gt;Anna de Vries</dd>',
  )
  const log = async () => (await at.get(`/couplings/${id}/log`, 'viewer')).text
  expect(await log()).toContain('<span class="label">&lt;b&gt;Anna de Vries</span>')
  const [, attempt] = /<tr id="attempt-(\d+)">/.exec(await log())!
  const request = async () => (await at.get(`/couplings/${id}/log/${attempt}`, 'viewer')).text
  expect(await request()).toContain('<dd>&lt;b&gt;Anna de Vries</dd>')
  expect(await request()).not.toContain('<b>Anna')

  // The log that keeps no bodies does not say it either.
  await at.outbox.pool.query('update walhook.attempts set has_bodies = false')
  expect(await log()).not.toContain('Anna')
  expect(await request()).not.toContain('Anna')
  await at.outbox.pool.query('update walhook.attempts set has_bodies = true')

  // A receiver that was told that it is gone has had no values.
  await at.outbox.pool.query(
    `update walhook.events set action_type = 'update', body = replace(body, '"new"', '"update"')`,
  )
  await at.outbox.pool.query(`update walhook.attempts set action_type = 'delete'`)
  expect(await log()).not.toContain('Anna')
})

test('a delete is labelled by its last values, if it has any', async () => {
  await at.append('user 7 delete')
  expect((await at.get('/events', 'viewer')).text).not.toContain('class="label"')
  await called({ name_last: 'de Vries' }, 'last')
  expect((await at.get('/events', 'viewer')).text).toContain('<span class="label">de Vries</span>')
})

test.each([en, nl])('each event state has a text', ({ event }) => {
  expect(Object.keys(event.states).sort()).toEqual([...explainStates].sort())
})
