import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { en } from '../../src/admin/texts/en.ts'
import { follow } from '../support/follow.ts'
import { eventIds } from '../support/open-outbox.ts'
import { openTestPages, ours } from '../support/open-pages.ts'
import { retry, settleAll } from '../support/sending.ts'

let at: Awaited<ReturnType<typeof openTestPages>>
beforeAll(async () => {
  at = await openTestPages()
})
beforeEach(async () => {
  for (const table of [
    'webhooks',
    'attempts',
    'events',
    'deliveries',
    'streams',
    'skips',
    'ended_deliveries',
  ])
    await at.outbox.pool.query(`delete from walhook.${table}`)
})
afterAll(() => at[Symbol.asyncDispose]())

const html = '"><img src=x onerror=alert(1)>'
const log = (id: number, query = '') => `/couplings/${id}/log${query}`

/** A webhook that is told of users, with one event whose first attempts failed. */
async function failing(failures: number) {
  const id = await at.webhook(['user.new', 'user.update', 'user.delete'])
  await at.append('user 7 update')
  for (let i = 0; i < failures; i++) {
    await settleAll(at, id, retry(60_000))
    await at.outbox.pool.query(`update walhook.deliveries set due_at = now()`)
  }
  const [event] = await eventIds(at)
  return { id, event: event! }
}
const attempts = async (): Promise<bigint[]> =>
  (await at.outbox.pool.query('select id from walhook.attempts order by id')).rows.map(({ id }) => id)
const rowsOf = (text: string) => [...text.matchAll(/<tr id="attempt-(\d+)">/g)].map(([, id]) => BigInt(id!))
const audits = async (id: number) =>
  (await at.call('GET', `/api/audit?limit=100&webhook_id=${id}`)).json.data.map(
    (one: { action: string }) => one.action,
  )

test('an empty log explains how to get a request, and links to the test for roles that may test', async () => {
  const id = await at.webhook(['user.new'])
  const operated = (await at.get(log(id), 'operator')).text
  expect(operated).toContain('Nothing sent to this webhook yet')
  expect(operated).toContain(`<a class="button main" href="/couplings/${id}/test">`)
  const viewed = (await at.get(log(id), 'viewer')).text
  expect(viewed).toContain('Change something in your application')
  expect(viewed).not.toMatch(/\/test"|\/resend-failed|\/cancel"/)
})

test('each request shows its event, outcome and reason, attempt number and next attempt', async () => {
  const { id, event } = await failing(2)
  const { text } = await at.get(log(id), 'viewer')
  const [first, second] = await attempts()
  expect(rowsOf(text)).toEqual([second, first])
  expect(text).toContain(
    `href="/couplings/${id}/log?open=${second}" data-open="/couplings/${id}/log/${second}" title="${event}">User 7: update</a>`,
  )
  expect(text).toContain('<span class="outcome bad">Timed out</span>')
  expect(text).toContain('The receiver did not respond in time.')
  expect(text).toMatch(/2 of 10[\s\S]*1 of 10/)
  expect(text.match(/data-as="distance"/g)).toHaveLength(1)
  expect(text).toContain('Pending: 1.')
  await at.call('PATCH', `/api/webhooks/${id}`, { is_active: false })
  const paused = (await at.get(log(id), 'viewer')).text
  expect(paused).toContain('<td class="next-of">once the webhook is active again</td>')
  expect(paused).not.toContain('data-as="distance"')
})

test('the next attempt is announced only while it is still planned', async () => {
  const announced = async (id: number) => {
    const [attempt] = await attempts()
    const [lines, one] = [await at.get(log(id)), await at.get(log(id, `/${attempt}`))]
    return [lines.text, one.text].map(text => text.includes('data-as="distance"'))
  }
  const waiting = async () => {
    const id = await at.webhook(['user.new'])
    await at.append('user 7 new')
    await settleAll(at, id, retry(60_000))
    expect(await announced(id)).toEqual([true, true])
    return id
  }
  const cancelled = await waiting()
  await at.post(`/couplings/${cancelled}/cancel`, { all: 'true' })
  expect(await announced(cancelled)).toEqual([false, false])
  await at.outbox.pool.query('delete from walhook.attempts; delete from walhook.webhooks')
  const resent = await waiting()
  const event = (await eventIds(at)).at(-1)!
  await at.post(`/couplings/${resent}/resend`, { key: 'now', event_id: String(event) })
  expect(await announced(resent)).toEqual([false, false])
  await settleAll(at, resent)
  expect(await announced(resent)).toEqual([false, false])
})

test('for a dead letter, the log says that no attempt follows', async () => {
  const { id } = await failing(0)
  await settleAll(at, id, { next: { state: 'dead' } })
  expect((await at.get(log(id))).text).toContain('<td class="next-of">none</td>')
})

test('the log shows ten requests, and its pages show every other request once', async () => {
  const id = await at.webhook(['user.new'])
  await at.append(...Array.from({ length: 40 }, (_, i) => `user ${i} new`))
  await settleAll(at, id)
  const shown: bigint[] = []
  let path: string | undefined = log(id)
  const sizes: number[] = []
  while (path) {
    const { text }: { text: string } = await at.get(path, 'viewer')
    const ids = rowsOf(text)
    sizes.push(ids.length)
    shown.push(...ids)
    path = /rel="next" href="([^"]+)"/.exec(text)?.[1]?.replaceAll('&amp;', '&')
  }
  expect(sizes).toEqual([10, 25, 5])
  expect(shown).toEqual((await attempts()).reverse())
})

test('the filter shows only matching requests, and is kept on the next page', async () => {
  const { id } = await failing(1)
  await at.append('user 8 new', 'user 9 new')
  await settleAll(at, id)
  const count = async (query: string) => rowsOf((await at.get(log(id, query), 'viewer')).text).length
  expect(await count('')).toBe(4)
  expect(await count('?outcome=failed')).toBe(1)
  expect(await count('?outcome=delivered')).toBe(3)
  expect(await count('?outcome=blocked')).toBe(0)
  expect(await count('?trigger=test')).toBe(0)
  expect(await count('?entity_type=user&entity_id=8')).toBe(1)
  expect(await count('?outcome=failed&entity_type=user&entity_id=8')).toBe(0)
  const hour = (shift: number) => new Date(Date.now() + shift * 3_600_000).toISOString().slice(0, 16)
  expect(await count(`?from=${hour(-1)}&to=${hour(1)}`)).toBe(4)
  expect(await count(`?from=${hour(1)}`)).toBe(0)
  expect(await count('?outcome=nonsense&trigger=')).toBe(0)
  expect(await count('?trigger=')).toBe(4)
  const { text } = await at.get(log(id, '?outcome=delivered&entity_type=user&entity_id=8'), 'viewer')
  expect(text).toContain('<option value="delivered" selected>')
  expect(text).toContain(
    `data-live="/couplings/${id}/log/live?outcome=delivered&amp;entity_type=user&amp;entity_id=8"`,
  )
  await at.append(...Array.from({ length: 30 }, (_, i) => `user ${i + 100} new`))
  await settleAll(at, id)
  expect((await at.get(log(id, '?outcome=delivered'))).text).toMatch(
    new RegExp(`rel="next" href="/couplings/${id}/log\\?outcome=delivered&amp;before=\\d+"`),
  )
})

test.each([
  ['entity_type=user', 'Choose the entity type and enter the id'],
  ['entity_id=7', 'Choose the entity type and enter the id'],
  ['from=yesterday', 'Use a date and time from 1970 to 2199.'],
  ['to=9999-01-01T00:00', 'Use a date and time from 1970 to 2199.'],
  ['from=2026-01-02T00:00&to=2026-01-01T00:00', 'The end must be after the start.'],
  [`entity_id=${encodeURIComponent(html)}`, 'value="&quot;&gt;&lt;img'],
])('a wrong filter of %s is an error at its field, without a list', async (query, said) => {
  const { id } = await failing(1)
  const { status, text } = await at.get(log(id, `?${query}`), 'viewer')
  expect(status).toBe(422)
  expect(text).toContain(said)
  expect(rowsOf(text)).toEqual([])
  expect(text).not.toContain('<img')
})

test.each(['entity_type=user&entity_id=%00', 'entity_type=%ED%A0%80&entity_id=1', 'before=x', 'from=%00'])(
  'a search for %s, which cannot be stored, never fails',
  async query => {
    const { id } = await failing(1)
    for (const path of [log(id, `?${query}`), log(id, `/live?${query}`), `/events?${query}`])
      expect((await at.get(path, 'viewer')).status).toBeLessThan(500)
  },
)

test('new requests appear live, from the first one on, also with a filter', async () => {
  const id = await at.webhook(['user.new', 'user.update'])
  const all = follow(await at.stream(log(id, '/live')))
  const failed = follow(await at.stream(log(id, '/live?outcome=failed')))
  await all.readUntil('Nothing sent to this webhook yet')
  await failed.readUntil('No request matches the filter.')
  await at.append('user 7 new')
  await settleAll(at, id)
  await all.readUntil('Delivered (204)')
  await at.append('user 7 update')
  await settleAll(at, id, retry(60_000))
  await failed.readUntil('User 7: update')
  await all.readUntil('User 7: update')
  await Promise.all([all.cancel(), failed.cancel()])
})

test("an attempt's page shows request, response, neighbours, and a command that repeats it", async () => {
  const { id, event } = await failing(3)
  const [first, second, third] = await attempts()
  const { text } = await at.get(log(id, `/${second}`), 'viewer')
  expect(text).toContain(`rel="prev" href="/couplings/${id}/log/${first}"`)
  expect(text).toContain(`rel="next" href="/couplings/${id}/log/${third}"`)
  expect(text).toContain(`href="/events/${event}"`)
  expect(text).toContain(`msg_${id}_${event}`)
  expect(text).toContain('curl --globoff &#39;https://crm.example.com/&#39;')
  expect(text).toContain('&quot;action_type&quot;: &quot;update&quot;')
  expect(text).not.toContain('Resend')
  expect((await at.get(log(id, `/${first}`))).text).not.toContain('rel="prev"')
  const other = await at.webhook(['user.new'])
  expect((await at.get(log(other, `/${second}`))).status).toBe(404)
})

test('a very long body is shown in part, with its size', async () => {
  const { id, event } = await failing(1)
  const body = JSON.stringify({ result: { notes: '"'.repeat(120_000) } })
  await at.outbox.pool.query('update walhook.events set body = $1', [body])
  const [attempt] = await attempts()
  for (const path of [log(id, `/${attempt}`), `/events/${event}`]) {
    const { status, text } = await at.get(path)
    expect(status).toBe(200)
    expect(text).toContain(en.attempt.shownInPart('100,000', body.length.toLocaleString('en')))
    expect(text).not.toContain('curl -')
    expect(text.length).toBeLessThan(1_300_000)
  }
})

test('the command of a request with hidden headers keeps them hidden, with a note', async () => {
  const { id } = await failing(1)
  await at.outbox.pool.query(
    `update walhook.attempt_heads set request_headers = '{"authorization": "[redacted]", "content-length": "9"}'`,
  )
  const { text } = await at.get(log(id, `/${(await attempts())[0]}`))
  expect(text).toContain('authorization: [redacted]')
  expect(text).toContain('Replace each [redacted]')
  expect(/<pre id="curl"[\s\S]*?<\/pre>/.exec(text)![0]).not.toContain('content-length')
})

test("receivers' responses and names are escaped on every page", async () => {
  const { id, event } = await failing(1)
  await at.outbox.pool.query('update walhook.webhooks set name = $1', [html])
  await at.outbox.pool.query(
    `update walhook.attempts set status = 500, outcome = 'refused', response_body = $1, error_message = $1,
       response_headers = jsonb_build_object('x-html', $1::text)`,
    [html],
  )
  await at.outbox.pool.query(
    `update walhook.attempt_heads set url = $1, request_headers = jsonb_build_object('x-html', $1::text)`,
    [html],
  )
  for (const path of [log(id), log(id, `/${(await attempts())[0]}`), `/events/${event}`, '/events'])
    expect((await at.get(path)).text, path).not.toContain('<img')
})

test('an operator resends an event once, however often the form is submitted, and sees the result', async () => {
  const { id, event } = await failing(0)
  await settleAll(at, id)
  const page = (await at.get(log(id, `/${(await attempts())[0]}`), 'operator')).text
  const key = /name="key" value="([0-9a-f]{32})"/.exec(page)![1]!
  const form = { key, event_id: String(event) }
  const sent = await at.post(`/couplings/${id}/resend`, form, 'operator')
  expect(sent.headers.get('location')).toBe(`/events/${event}?done=resent#webhook-${id}`)
  await settleAll(at, id)
  expect((await at.post(`/couplings/${id}/resend`, form, 'operator')).status).toBe(303)
  expect(await at.count('deliveries')).toBe(0)
  expect((await audits(id)).filter((action: string) => action === 'deliveries.resent')).toHaveLength(1)
  const story = (await at.get(`/events/${event}?done=resent`, 'viewer')).text
  expect(story).toContain('walhook resends the event.')
  expect(story.match(/Attempt 1 of 10/g)).toHaveLength(2)
})

test("resending a state older than the receiver's needs a confirmation", async () => {
  const { id, event } = await failing(0)
  await settleAll(at, id)
  await at.append('user 7 delete')
  await settleAll(at, id)
  const sent = await at.post(`/couplings/${id}/resend`, { key: 'older', event_id: String(event) })
  expect(sent.headers.get('location')).toContain('done=resent_older')
  expect((await at.get(sent.headers.get('location')!.split('#')[0]!)).text).toContain(
    'now gets this older one',
  )
})

test('a refused resend shows its reason', async () => {
  const { id, event } = await failing(0)
  await settleAll(at, id)
  const [attempt] = await attempts()
  await at.call('PATCH', `/api/webhooks/${id}`, { is_active: false })
  expect((await at.get(log(id, `/${attempt}`))).text).toContain('Activate the webhook to resend this')
  const refused = await at.post(`/couplings/${id}/resend`, { key: 'x', event_id: String(event) })
  expect(refused.status).toBe(409)
  expect(refused.text).toContain('is inactive')
  await at.outbox.pool.query('delete from walhook.events')
  const gone = (await at.get(log(id, `/${attempt}`))).text
  expect(gone).toContain('This event is no longer kept')
  expect(gone).toContain('(no longer kept)')
  for (const form of [{}, { event_id: 'x' }, { event_id: '1' }, { attempt_id: '1' }])
    expect(
      (await at.post(`/couplings/${id}/resend`, { key: JSON.stringify(form), ...form })).status,
    ).toBeGreaterThan(400)
})

test('resending failed events first shows their number, then sends exactly those', async () => {
  const { id } = await failing(1)
  await at.append('user 8 new', 'user 9 new')
  await settleAll(at, id)
  await at.append('user 10 new')
  await settleAll(at, id, { next: { state: 'dead' } })
  const asked = (await at.get(`/couplings/${id}/resend-failed`, 'operator')).text
  expect(asked).toContain('Events to resend: 1.')
  expect((await at.get(`/couplings/${id}/resend-failed?since=day`, 'operator')).text).toContain('resend: 1.')
  const from = /name="from" value="(\d+)"/.exec(asked)![1]!
  const done = await at.post(`/couplings/${id}/resend-failed`, { from }, 'operator')
  expect(done.headers.get('location')).toBe(`/couplings/${id}/log?done=resent&count=1`)
  expect((await at.get(done.headers.get('location')!)).text).toContain('Resending events: 1.')
  expect((await at.get(`/couplings/${id}/resend-failed`)).text).toContain(
    'No undelivered failures in this period',
  )
  expect(await at.queue()).toEqual([`${id} user 10: new`])
})

test('cancelling pending events first shows their number', async () => {
  const { id } = await failing(1)
  await at.append('user 8 new')
  const asked = (await at.get(`/couplings/${id}/cancel`, 'operator')).text
  expect(asked).toContain('Pending or in flight: 2.')
  expect(await at.queue()).toEqual([`${id} user 7: update`, `${id} user 8: new`])
  const done = await at.post(`/couplings/${id}/cancel`, { all: 'true' }, 'operator')
  expect(done.headers.get('location')).toBe(`/couplings/${id}/log?done=cancelled&count=2`)
  expect(await at.queue()).toEqual([])
  expect((await at.get(`/couplings/${id}/cancel`)).text).toContain('No events are pending for this webhook.')
  expect(await audits(id)).toContain('deliveries.cancelled')
})

test('a count stops at 10,000, and the page offers to continue', async () => {
  const id = await at.webhook(['user.new'])
  const event = BigInt(Date.now()) << 20n
  await at.outbox.pool.query(
    `insert into walhook.events (id, commit_lsn, index_in_transaction, entity_type, entity_id, action_type, committed_at, body)
     select $1::bigint + i, '0/1', i, 'user', i::text, 'new', now(), '{}' from generate_series(1, 10001) i`,
    [event],
  )
  await at.outbox.pool.query(
    `insert into walhook.deliveries (webhook_id, share, entity_type, entity_id, event_id, attempts, due_at)
     select $1, walhook.share_of('user', i::text), 'user', i::text, $2::bigint + i, 1, now() from generate_series(1, 10001) i`,
    [id, event],
  )
  expect((await at.get(`/couplings/${id}/cancel`)).text).toContain('more than 10,000.')
  expect((await at.get(`/couplings/${id}/cancel`, 'admin', { 'accept-language': 'nl' })).text).toContain(
    'meer dan 10.000.',
  )
  expect((await at.get(log(id))).text).toContain('Pending: more than 1,000.')
  await at.outbox.pool.query(
    `insert into walhook.attempts (webhook_id, trigger, event_id, message_id, entity_type, entity_id, action_type, number, url,
       request_headers, started_at, duration_ms, outcome, error_class, error_message)
     select $1, 'schedule', $2::bigint + i, 'msg', 'user', i::text, 'new', 1, 'https://a/', '{}', now(), 1, 'unreachable', 'timeout', 'no'
     from generate_series(1, 10001) i`,
    [id, event],
  )
  expect((await at.get(`/couplings/${id}/resend-failed`)).text).toContain('resend: more than 10,000.')
})

test('a log of large batches stays small, and a batch opens with its first part', async () => {
  const id = await at.webhook(['user.new'])
  const event = BigInt(Date.now()) << 20n
  await at.outbox.pool.query(
    `insert into walhook.events (id, commit_lsn, index_in_transaction, entity_type, entity_id, action_type, committed_at, body)
     select $1::bigint + i, '0/1', i, 'user', i::text, 'new', now(), '"' || repeat('x', 1000) || i || '"' from generate_series(1, 1000) i`,
    [event],
  )
  await at.outbox.pool.query(
    `insert into walhook.attempts (webhook_id, trigger, event_ids, message_id, number, url, request_headers, started_at, duration_ms,
       status, outcome)
     select $1, 'schedule', array(select $2::bigint + j from generate_series(1, 1000) j), 'batch_1_1_1000', 1, 'https://a/', '{}', now(), 1,
       204, 'delivered' from generate_series(1, 10) i`,
    [id, event],
  )
  const { text } = await at.get(log(id), 'viewer')
  expect(text).toContain('1,000 events in one request')
  expect(text.length).toBeLessThan(20_000)
  const opened = (await at.get(log(id, `/${rowsOf(text)[0]}`), 'viewer')).text
  expect(opened).toMatch(/\(The first 100,000 of [\d,]+ characters/)
  expect(opened).not.toContain('printf %s')
})

test('only roles that may resend see the confirmation', async () => {
  const { id } = await failing(1)
  for (const what of ['resend', 'resend-failed', 'cancel']) {
    expect((await at.post(`/couplings/${id}/${what}`, {}, 'viewer')).status).toBe(403)
    const foreign = { ...ours, 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' }
    expect((await at.post(`/couplings/${id}/${what}`, {}, 'admin', foreign)).status).toBe(403)
  }
  expect(await at.count('deliveries')).toBe(1)
})
