import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { en } from '../../src/admin/texts/en.ts'
import { ensurePartitions } from '../../src/outbox/days/partitions.ts'
import { makeAuthority } from '../support/certificates.ts'
import { follow } from '../support/follow.ts'
import { openTestPages } from '../support/open-pages.ts'
import { startTestReceiver } from '../support/test-receiver.ts'
import { until } from '../support/wait.ts'

let at: Awaited<ReturnType<typeof openTestPages>>
let receiver: Awaited<ReturnType<typeof startTestReceiver>>
let status = 204
beforeAll(async () => {
  at = await openTestPages()
  receiver = await startTestReceiver(() => status)
})
beforeEach(async () => {
  status = 204
  await at.outbox.pool.query('delete from walhook.webhooks')
})
afterAll(async () => {
  await receiver[Symbol.asyncDispose]()
  await at[Symbol.asyncDispose]()
})

const html = '"><img src=x onerror=alert(1)>'

async function create(change: object = {}): Promise<{ id: number; secret: string }> {
  const body = { name: 'CRM', url: receiver.url, triggers: ['user.new'], ...change }
  const { status, json, text } = await at.call('POST', '/api/webhooks', body)
  expect(status, text).toBe(201)
  return json
}
const webhook = async (id: number) => (await at.call('GET', `/api/webhooks/${id}`)).json
const filled = (change: Record<string, string> = {}) => ({
  key: 'a-key',
  name: 'ERP',
  url: receiver.url,
  is_active: 'true',
  trigger: 'user.new',
  ...change,
})

async function attempted(id: number, outcome: 'delivered' | 'refused', ageMs: number, count: number) {
  // In the first hour of a day, a day and an hour ago was two days ago.
  await ensurePartitions(at.outbox, Date.now() - ageMs)
  await at.outbox.pool.query(
    `insert into walhook.attempts (webhook_id, id, trigger, event_id, message_id, entity_type, entity_id, action_type,
       number, url, request_headers, started_at, duration_ms, status, outcome, error_class, error_message)
     select $1, (((extract(epoch from now()) * 1000)::bigint - $3::bigint) << 20) + i, 'schedule', i, 'msg', 'user', '1',
       'update', 1, 'https://example.com/', '{}', now(), 1, case $2 when 'delivered' then 204 else 500 end, $2,
       case $2 when 'refused' then 'http_error' end, case $2 when 'refused' then 'no' end
     from generate_series(1, $4) as i`,
    [id, outcome, ageMs, count],
  )
}

test('an empty list explains itself, and a viewer sees no action that would be refused', async () => {
  expect((await at.get('/couplings')).text).toContain('Ask the other system for its endpoint URL.')
  const viewed = (await at.get('/couplings', 'viewer')).text
  expect(viewed).not.toContain('/couplings/new')
  const { id } = await create()
  const list = (await at.get('/couplings', 'viewer')).text
  expect(list).not.toMatch(/role="switch"|\/couplings\/new/)
  const form = (await at.get(`/couplings/${id}`, 'viewer')).text
  expect(form).toContain('<fieldset class="plain" disabled>')
  expect(form).not.toMatch(/Save changes|\/delete"|\/try"|\/test"/)
  expect((await at.get(`/couplings/${id}`, 'operator')).text).toContain(`/couplings/${id}/test`)
})

test('the list can be searched by name and URL, and the search text is escaped', async () => {
  await create({ name: 'Percent 100%' })
  await create({ name: 'Other', url: `${receiver.url}/special_path` })
  const names = async (search: string) =>
    [
      ...(await at.get(`/couplings?${new URLSearchParams({ search })}`)).text.matchAll(
        /href="\/couplings\/\d+">([^<]+)/g,
      ),
    ].map(([, name]) => name)
  expect(await names('')).toEqual(['Other', 'Percent 100%'])
  expect(await names('OTH')).toEqual(['Other'])
  expect(await names('special_')).toEqual(['Other'])
  expect(await names('%')).toEqual(['Percent 100%'])
  expect(await names('_')).toEqual(['Other'])
  expect(await names(`' or true --`)).toEqual([])
  expect((await at.get(`/couplings?${new URLSearchParams({ search: html })}`)).text).not.toContain('<img')
})

test('each webhook shows its state, last request, failures in 24 hours and backlog', async () => {
  const { id } = await create()
  await attempted(id, 'delivered', 5 * 3_600_000, 3)
  await attempted(id, 'refused', 60_000, 1)
  await attempted(id, 'refused', 25 * 3_600_000, 7)
  await at.outbox.pool.query(
    `insert into walhook.deliveries (webhook_id, share, entity_type, entity_id, event_id, due_at)
     values ($1, 0, 'user', '1', 1, now()), ($1, 0, 'user', '2', 2, now())`,
    [id],
  )
  await at.outbox.pool.query(
    `update walhook.webhooks set failing_since = now() - interval '2 days 20 hours' where id = $1`,
    [id],
  )
  const { text } = await at.get('/couplings')
  expect(text).toContain('Refused (500)')
  expect(text).toContain('1 of 4 requests failed')
  expect(text).toContain('25%')
  expect(text).toMatch(/<b>2<\/b>/)
  expect(text).toContain('walhook disables the webhook in 2 d 4 h unless it accepts a request.')
  expect(text.match(/<rect class="(good|bad)"/g)).toEqual(['<rect class="good"', '<rect class="bad"'])
  await at.outbox.pool.query(
    `update walhook.webhooks set disabled_at = now(), disabled_reason = $2 where id = $1`,
    [id, `Gone. ${html}`],
  )
  const disabled = (await at.get('/couplings')).text
  expect(disabled).toContain('The receiver answered 410 Gone')
  expect(disabled).not.toContain('<img')
})

test('failing webhooks come first, the list filters by state, and the menu counts the failing ones', async () => {
  const well = await create({ name: 'A' })
  const failing = await create({ name: 'B' })
  const disabled = await create({ name: 'C' })
  await create({ name: 'D', is_active: false })
  const sql = (text: string, id: number) => at.outbox.pool.query(text, [id])
  await sql('update walhook.webhooks set failing_since = now() where id = $1', failing.id)
  await sql(
    `update walhook.webhooks set disabled_at = now(), disabled_reason = 'gone' where id = $1`,
    disabled.id,
  )
  const names = (text: string) =>
    [...text.matchAll(/<a href="\/couplings\/\d+">(\w)<\/a>/g)].map(([, name]) => name)
  // The badge is counted once in two seconds.
  const isShown = async () => (await at.get('/couplings')).text.includes(en.couplings.shown.badge(2))
  await until(isShown, { what: 'the menu to say how many fail' })
  expect(names((await at.get('/couplings')).text)).toEqual(['C', 'B', 'A', 'D'])
  expect(names((await at.get('/couplings?sort=name')).text)).toEqual(['A', 'B', 'C', 'D'])
  expect(names((await at.get('/couplings?state=failing')).text)).toEqual(['B'])
  expect(names((await at.get('/couplings?state=inactive')).text)).toEqual(['D'])
  expect(names((await at.get('/couplings?state=active')).text)).toEqual(['A'])
  expect(names((await at.get('/couplings?state=nonsense')).text)).toHaveLength(4)
  expect(well.id).toBeGreaterThan(0)
  const health = (await at.get('/health', 'viewer')).text
  expect(health).not.toContain(en.health.allWell)
  expect(health).toContain('1 of 4 webhooks failing:')
  expect(health).toContain(`<a href="/couplings/${disabled.id}">C</a>`)
})

test('the switch deactivates and activates a webhook, and the response to htmx is the new row', async () => {
  const { id } = await create()
  expect((await at.post(`/couplings/${id}/active`, { is_active: 'false' })).headers.get('location')).toBe(
    `/couplings?done=deactivated&id=${id}`,
  )
  expect(await webhook(id)).toMatchObject({ is_active: false })
  const list = (await at.get(`/couplings?done=deactivated&id=${id}`)).text
  expect(list).toContain(en.couplings.done.deactivated)
  expect(list).toContain(en.couplings.undo)
  expect((await at.get('/couplings?done=deactivated&id=x')).text).not.toContain(en.couplings.undo)
  const partial = { 'hx-request-type': 'partial', 'sec-fetch-site': 'same-origin' }
  const off = await at.post(`/couplings/${id}/active`, { is_active: 'false', search: 'C' }, 'admin', partial)
  expect(off.headers.get('hx-redirect')).toBe(`/couplings?search=C&done=deactivated&id=${id}`)
  const row = await at.post(`/couplings/${id}/active`, { is_active: 'true' }, 'admin', partial)
  expect(row.text).toMatch(/^<tr id="coupling-/)
  expect(row.text).toContain('aria-checked="true"')
  expect((await at.post('/couplings/99999/active', { is_active: 'true' })).status).toBe(404)
})

test('a form submitted twice creates one webhook and shows its secret', async () => {
  const first = await at.post('/couplings/new', filled())
  expect(first.status).toBe(201)
  const secret = /whsec_[\w+/=]+/.exec(first.text)![0]
  const again = await at.post('/couplings/new', filled())
  expect(again.text).toContain(secret)
  expect((await at.call('GET', '/api/webhooks')).json.data).toHaveLength(1)
  await at.post('/couplings/new', filled({ name: 'Another' }))
  expect((await at.call('GET', '/api/webhooks')).json.data).toHaveLength(2)
})

test('a second click during the first request shows the webhook that the first created', async () => {
  const form = filled({ key: 'two clicks' })
  const answers = await Promise.all([1, 2, 3].map(() => at.post('/couplings/new', form)))
  expect(answers.map(({ status }) => status)).toEqual([201, 201, 201])
  expect(new Set(answers.map(({ text }) => /whsec_[\w+/=]+/.exec(text)![0])).size).toBe(1)
  expect((await at.call('GET', '/api/webhooks')).json.data).toHaveLength(1)
})

test('an error is shown at its field, and the input is kept', async () => {
  const { status, text } = await at.post('/couplings/new', [
    ...Object.entries(filled({ name: html, url: 'https://10.0.0.1/', batch: 'on', max_events: '1' })),
    ['header_name', 'content-type'],
    ['header_value', 'typed'],
  ])
  expect(status).toBe(422)
  expect(text).toContain('Use a whole number from 2 to 1000.')
  expect(text).not.toContain('<img')
  expect(text).toContain('value="&quot;&gt;&lt;img src=x onerror=alert(1)&gt;"')
  const checked = await at.post('/couplings/new', [
    ...Object.entries(filled({ url: 'https://10.0.0.1/' })),
    ['header_name', 'content-type'],
    ['header_value', 'typed'],
  ])
  expect(checked.text).toContain('add 10.0.0.1 to WALHOOK_ALLOW_TARGETS')
  expect(checked.text).toContain('The header content-type is reserved for walhook or HTTP')
  expect(checked.text).toContain('value="typed"')
  expect((await at.call('GET', '/api/webhooks')).json.data).toEqual([])
})

test('whole rows and columns of triggers can be chosen without a script', async () => {
  await at.post('/couplings/new', [
    ['name', 'ERP'],
    ['url', receiver.url],
    ['all', 'user'],
    ['all', '.delete'],
  ])
  expect((await at.call('GET', '/api/webhooks')).json.data[0].triggers).toEqual([
    'user.new',
    'user.update',
    'user.delete',
    'company.delete',
  ])
})

test('a stale form changes nothing; stored headers are kept and never shown', async () => {
  const { id } = await create({ headers: { 'x-key': 'hidden-value', 'x-old': 'hidden-too' } })
  const page = (await at.get(`/couplings/${id}`)).text
  expect(page).toContain('value="x-key"')
  expect(page).not.toMatch(/hidden-(value|too)/)
  const version = /name="version" value="(\d+)"/.exec(page)![1]!
  const form: [string, string][] = [
    ...Object.entries(filled({ version })),
    ['header_name', 'x-key'],
    ['header_value', ''],
    ['header_name', 'x-new'],
    ['header_value', 'new'],
  ]
  expect((await at.post(`/couplings/${id}`, form)).headers.get('location')).toBe('/couplings?done=saved')
  expect((await webhook(id)).headers).toEqual({ 'x-key': '[redacted]', 'x-new': '[redacted]' })
  const late = await at.post(`/couplings/${id}`, form)
  expect(late.status).toBe(409)
  expect(late.text).toContain('Somebody else changed this webhook while you edited it')
  // What was typed is there, and is saved by whoever still wants it.
  expect(late.text).toContain('name="header_name" value="x-new"')
  const now = /name="version" value="(\d+)"/.exec(late.text)![1]!
  const again = await at.post(`/couplings/${id}`, [
    ...form.filter(([name]) => name !== 'version'),
    ['version', now],
  ])
  expect(again.headers.get('location')).toBe('/couplings?done=saved')
  await at.post(`/couplings/${id}/test`, {})
  expect(receiver.arrivals.at(-1)!.headers['x-key']).toBe('hidden-value')
})

test('a test before saving uses the typed settings, and leaves only an audit record', async () => {
  const before = receiver.arrivals.length
  const { text } = await at.post('/couplings/try', [
    ...Object.entries(filled({ batch: 'on', user_id: '8' })),
    ['header_name', 'x-key'],
    ['header_value', 'typed-secret'],
  ])
  expect(text).toContain('The receiver accepted the request.')
  const arrival = receiver.arrivals.at(-1)!
  expect(receiver.arrivals).toHaveLength(before + 1)
  expect(arrival.headers['x-key']).toBe('typed-secret')
  expect(arrival.body).toBe('[{"entity_id":8,"entity_type":"user","action_type":"test","result":{"id":8}}]')
  expect(await at.count('webhooks')).toBe(0)
  const { rows } = await at.outbox.pool.query('select 1 from walhook.attempts where webhook_id = 0')
  expect(rows).toEqual([])
  const { json, text: audit } = await at.call('GET', '/api/audit?limit=1')
  expect(json.data[0]).toMatchObject({ action: 'webhook.tried', changes: { outcome: { to: 'delivered' } } })
  expect(audit).not.toContain('typed-secret')
})

test("a test of unsaved changes is signed with the webhook's secret and has its stored headers", async () => {
  const { id } = await create({ headers: { 'x-key': 'stored' } })
  status = 500
  const { text } = await at.post(`/couplings/${id}/try`, [
    ...Object.entries(filled({ url: `${receiver.url}?changed` })),
    ['header_name', 'x-key'],
    ['header_value', ''],
  ])
  expect(text).toContain('The receiver failed to process the request.')
  const { headers } = receiver.arrivals.at(-1)!
  expect(headers['x-key']).toBe('stored')
  expect(String(headers['webhook-id'])).toMatch(new RegExp(`^test_${id}_`))
  expect((await at.call('GET', `/api/webhooks/${id}/log`)).json.data).toEqual([])
  expect((await webhook(id)).url).toBe(receiver.url)
})

test("a receiver's response is escaped", async () => {
  const { createServer } = await import('node:http')
  const server = createServer((_request, response) => response.writeHead(500, { 'x-html': html }).end(html))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  const { id } = await create({ name: html, url: `http://127.0.0.1:${port}/` })
  const { text } = await at.post(`/couplings/${id}/test`, {})
  server.close()
  expect(text).toContain('&quot;&gt;&lt;img src=x onerror=alert(1)&gt;')
  expect(text).not.toContain('<img')
})

test('a test reports a missing account, and a token without one', async () => {
  const { id } = await create()
  const unknown = await at.post(`/couplings/${id}/test`, { user_id: html })
  expect(unknown.status).toBe(422)
  expect(unknown.text).toContain('There is no user account with the id')
  expect(unknown.text).not.toContain('<img')
  expect((await at.get(`/couplings/${id}/test`, 'operator')).text).toContain(
    'Your token has no user account. Enter the id',
  )
})

test('the example body follows the chosen settings', async () => {
  const partial = { 'hx-request-type': 'partial', 'sec-fetch-site': 'same-origin' }
  const preview = async (form: [string, string][]) =>
    (await at.post('/couplings/preview', form, 'admin', partial)).text
  expect(await preview([])).toContain('Choose a trigger to see an example.')
  const text = await preview([
    ['trigger', 'user.update'],
    ['trigger', 'company.delete'],
    ['previous', 'on'],
    ['header_name', 'x-key'],
    ['header_value', 'typed-secret'],
  ])
  expect(text.match(/<details class="preview"( open)?><summary><code>[^<]+/g)).toEqual([
    '<details class="preview" open><summary><code>user.update',
    '<details class="preview"><summary><code>company.delete',
  ])
  expect(text).toContain('&quot;previous&quot;')
  expect(text).toContain('x-key')
  expect(text).not.toContain('typed-secret')
})

test('a live page also shows the end of a pause', async () => {
  const { id } = await create()
  const { readUntil } = follow(await at.stream(`/couplings/live?search=${encodeURIComponent('CRM')}`))
  await readUntil('CRM')
  await at.outbox.pool.query(
    `update walhook.webhooks set held_until = now() + interval '8 seconds' where id = $1`,
    [id],
  )
  await readUntil(en.couplings.state.held)
  await readUntil(`<tr id="coupling-${id}">`)
  expect((await at.get('/couplings/live', 'viewer')).text).not.toContain(en.couplings.state.held)
})

test('a live stream ends with its session', async () => {
  await create()
  const login = await at.sessions.logIn(await at.token('viewer'), '192.0.2.1')
  if (!login.ok) throw new Error('not let in')
  const headers = { cookie: `walhook_session=${login.session}` }
  const { readUntil, readToEnd } = follow(await at.stream('/couplings/live', headers))
  await readUntil('CRM')
  await at.sessions.logOut(login.session)
  await readToEnd()
})

test.each<[string, Record<string, string>]>([
  ['/couplings/:id/test', { user_id: '7\0' }],
  ['/couplings/try', { url: 'http://127.0.0.1:9/', user_id: '\0' }],
  ['/couplings/new', { name: 'a\0', url: 'https://a\0/', key: '\0', trigger: 'user.new\0' }],
  [
    '/couplings/new',
    { name: 'a', url: 'http://127.0.0.1:9/', key: '\0', trigger: 'user.new', update_field: 'user.\0' },
  ],
  ['/couplings/preview', { header_name: '\0', trigger: '\0' }],
])('%s refuses a text with a NUL', async (path, form) => {
  const { id } = await create()
  expect((await at.post(path.replace(':id', String(id)), form)).status).toBeLessThan(500)
})

test('a live part is served as events and as a plain request', async () => {
  const { id } = await create()
  const asked = await at.get('/couplings/live', 'viewer')
  expect(asked.text).toMatch(/^<tr id="coupling-/)
  const response = await at.stream('/couplings/live')
  expect(response.headers.get('content-type')).toBe('text/event-stream')
  const { readUntil, readToEnd } = follow(response)
  await readUntil('CRM')
  await at.call('PATCH', `/api/webhooks/${id}`, { name: 'Renamed' })
  await readUntil('Renamed')
  at.stopped.abort()
  await readToEnd()
})

test('the form sets, shows (without its key), keeps and removes a client certificate', async () => {
  const authority = await makeAuthority()
  const [one, two] = [await authority.certify('client.test'), await authority.certify('other.test')]
  const { id } = await create()
  const path = `/couplings/${id}`
  const version = async () => /name="version" value="(\d+)"/.exec((await at.get(path)).text)![1]!
  const save = async (change: Record<string, string>) =>
    at.post(path, filled({ version: await version(), ...change }))
  const wrong = await save({ client_certificate: one.cert, client_key: two.key })
  expect(wrong.status).toBe(422)
  expect(wrong.text).toContain('The key does not belong to the certificate.')
  expect(wrong.text).not.toContain(two.key.split('\n')[1])
  await save({ client_certificate: one.cert, client_key: one.key })
  expect((await webhook(id)).client_certificate).toMatchObject({ subject: 'CN=client.test' })
  const shown = (await at.get(path)).text
  expect(shown).toContain('CN=client.test')
  expect(shown).not.toContain(one.key.split('\n')[1])
  await save({ client_certificate: '', client_key: '' })
  expect(await webhook(id)).toHaveProperty('client_certificate')
  await save({ no_certificate: 'on' })
  expect(await webhook(id)).not.toHaveProperty('client_certificate')
})

test('a filter has one value per line, is shown as typed, and is kept as stored if unchanged', async () => {
  const rows = (form: Record<string, string>, ...typed: string[][]) => {
    const body = new URLSearchParams(form)
    for (const [field = '', values = '', was = ''] of typed) {
      body.append('filter_field', field)
      body.append('filter_values', values)
      body.append('filter_was', was)
    }
    return body
  }
  const { id } = await create({ triggers: ['user.new', 'user.update', 'user.delete'] })
  const version = async () =>
    (await at.get(`/couplings/${id}`)).text.match(/name="version" value="(\d+)"/)![1]!
  const save = async (...typed: string[][]) => {
    const form = {
      ...filled(),
      version: await version(),
      filter_leaving: 'delete',
      filter_entering: 'update',
    }
    const body = rows(form, ...typed)
    for (const action of ['update', 'delete']) body.append('trigger', `user.${action}`)
    return await at.post(`/couplings/${id}`, [...body])
  }
  await save(['user.id', '5\r\n-\r\n true '], ['', ''])
  expect(await webhook(id)).toMatchObject({
    filter: { 'user.id': [5, '5', null, true, 'true'] },
    filter_leaving: 'delete',
  })
  const page = (await at.get(`/couplings/${id}`)).text
  expect(page).toContain('5\n-\ntrue</textarea>')
  await at.call('PATCH', `/api/webhooks/${id}`, { filter: { 'user.id': 5 } })
  await save(['user.id', '5', '[5]'])
  expect(await webhook(id)).toMatchObject({ filter: { 'user.id': [5] } })
  expect((await save(['user.id', ''])).text).toContain(en.form.wrong.filter)
  expect((await save(['user.idd', '5'])).text).toContain('Did you mean user.id?')
  await save(['', ''])
  expect(await webhook(id)).toMatchObject({ filter: null })
})

test('a filter is previewed on the newest events, in the form and in the API', async () => {
  await at.append('user 1 new', 'user 2 update', 'user 3 new', 'user 4 delete', 'company 5 new')
  await at.outbox.pool.query(
    `update walhook.events set body = '{"entity_id":1,"entity_type":"user","action_type":"new","result":{"id":' || entity_id || '}}'
     where action_type <> 'delete' and entity_type = 'user'`,
  )
  const body = { triggers: ['user.new'], filter: { 'user.id': [1, 2, 9] } }
  const { status: code, json } = await at.call('POST', '/api/filters/preview', body)
  expect(code).toBe(200)
  expect(json).toMatchObject({ matched: expect.any(Number), looked_at: expect.any(Number) })
  expect(json.matched).toBeGreaterThanOrEqual(1)
  expect(json.looked_at).toBeGreaterThan(json.matched)
  const wrong = await at.call('POST', '/api/filters/preview', { ...body, filter: { 'user.idd': 1 } })
  expect(wrong.json.errors[0]).toMatchObject({ pointer: '/filter/user.idd' })
  const form = { ...filled(), filter_field: 'user.id', filter_values: '1\n2\n9', filter_was: '' }
  const { text } = await at.post('/couplings/preview', form)
  expect(text).toContain(`The filter matches ${json.matched} of the last ${json.looked_at} events`)
})
