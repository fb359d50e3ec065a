import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { normalizeUrls } from '../../src/outbox/records/webhook-urls.ts'
import { openGap } from '../../src/outbox/source/gaps.ts'
import { silentLog } from '../../src/runtime/log.ts'
import { adminToken, openTestApi } from '../support/open-api.ts'
import { claim, retry, settle, settleAll, settlementOf } from '../support/sending.ts'
import { startTestReceiver } from '../support/test-receiver.ts'

let at: Awaited<ReturnType<typeof openTestApi>>
beforeAll(async () => {
  at = await openTestApi()
})
afterAll(() => at[Symbol.asyncDispose]())

const wanted = { name: 'CRM', url: 'https://crm.example.com/hooks', triggers: ['user.new', 'company.delete'] }
const create = async (change: object = {}) =>
  (await at.call('POST', '/api/webhooks', { ...wanted, ...change })).json

test('a webhook is created, read, changed and deleted; only its creation returns the secret', async () => {
  const created = await at.call('POST', '/api/webhooks', wanted)
  expect(created.status).toBe(201)
  expect(created.headers.get('location')).toBe(`/api/webhooks/${created.json.id}`)
  const { secret, ...rest } = created.json
  expect(rest).toEqual({
    id: expect.any(Number),
    tenant: null,
    ...wanted,
    is_active: true,
    previous: false,
    update_fields: null,
    filter: null,
    filter_entering: 'update',
    filter_leaving: 'nothing',
    mode: 'every',
    log_bodies: 'all',
    batch: null,
    headers: {},
    previous_secret_expires_at: null,
    disabled_at: null,
    disabled_reason: null,
    failing_since: null,
    will_be_disabled_at: null,
    held_until: null,
    created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT.+Z$/),
    updated_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT.+Z$/),
  })
  expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/)

  const path = `/api/webhooks/${rest.id}`
  expect((await at.call('GET', path)).json).toEqual(rest)
  const changed = await at.call('PATCH', path, {
    is_active: false,
    name: '  ERP ',
    triggers: ['user.new', 'user.new'],
  })
  expect(changed.json).toEqual({
    ...rest,
    is_active: false,
    name: 'ERP',
    triggers: ['user.new'],
    updated_at: expect.any(String),
  })
  expect((await at.call('PATCH', path, {})).status).toBe(200)
  expect((await at.call('DELETE', path)).status).toBe(204)
  for (const method of ['GET', 'DELETE'] as const) expect((await at.call(method, path)).status).toBe(404)
  expect((await at.call('PATCH', path, {})).status).toBe(404)
  const { rows } = await at.outbox.pool.query(
    `select secret from walhook.webhooks where secret like '%' || $1 || '%'`,
    [secret.slice(6)],
  )
  expect(rows).toEqual([])
})

test('activation or a new URL makes early retries due at once', async () => {
  const { id } = await create({ triggers: ['user.new'] })
  await at.append('user 31 new', 'user 32 new')
  await settleAll(at, id, retry(300_000))
  const due = () => at.count('deliveries', `webhook_id = ${id} and due_at <= now()`)
  await at.call('PATCH', `/api/webhooks/${id}`, { name: 'CRM 2' })
  expect(await due()).toBe(0)
  await at.call('PATCH', `/api/webhooks/${id}`, { url: 'https://crm.example.com/elsewhere' })
  expect(await due()).toBe(2)
  await settleAll(at, id, retry(300_000))
  await at.call('PATCH', `/api/webhooks/${id}`, { is_active: false })
  expect(await due()).toBe(0)
  await at.call('PATCH', `/api/webhooks/${id}`, { is_active: true })
  expect(await due()).toBe(2)
  await at.call('DELETE', `/api/webhooks/${id}`)
})

test('a URL is stored and shown in its normalized form', async () => {
  const typed = 'http://127.0.0.1:9\\@crm.example.com'
  const created = await create({ url: typed })
  expect(created.url).toBe('http://127.0.0.1:9/@crm.example.com')
  const path = `/api/webhooks/${created.id}`
  expect((await at.call('PATCH', path, { url: 'HTTPS://CRM.example.com' })).json.url).toBe(
    'https://crm.example.com/',
  )
  // What an earlier version kept.
  await at.outbox.pool.query('update walhook.webhooks set url = $2 where id = $1', [created.id, typed])
  const told: object[] = []
  await normalizeUrls(at.outbox, { ...silentLog, info: (_, facts) => told.push(facts ?? {}) })
  expect((await at.call('GET', path)).json.url).toBe('http://127.0.0.1:9/@crm.example.com')
  expect(told).toEqual([{ webhook_ids: [created.id] }])
})

test('previous values and update_fields can be set and removed', async () => {
  const some = { previous: true, update_fields: ['user.email', 'company.name', 'user.email'] }
  const created = await create(some)
  const asked = { previous: true, update_fields: ['user.email', 'company.name'] }
  expect(created).toMatchObject(asked)
  const path = `/api/webhooks/${created.id}`
  expect((await at.call('PATCH', path, { name: 'ERP' })).json).toMatchObject(asked)
  const every = { previous: false, update_fields: null }
  expect((await at.call('PATCH', path, every)).json).toMatchObject(every)
})

test('traceparent can be turned on and off', async () => {
  const created = await create({ traceparent: true })
  expect(created.traceparent).toBe(true)
  const path = `/api/webhooks/${created.id}`
  expect((await at.call('PATCH', path, { name: 'ERP' })).json.traceparent).toBe(true)
  expect((await at.call('PATCH', path, { traceparent: false })).json).not.toHaveProperty('traceparent')
  const { status, json } = await at.call('PATCH', path, { traceparent: 'on' })
  expect([status, json.errors[0].pointer]).toEqual([422, '/traceparent'])
})

test.each([
  ['user.emial', 'Did you mean user.email?'],
  ['company.colour', 'Its fields are id, name.'],
  ['x', 'Write an entity type and a field, as in user.id.'],
])('the field %s is refused with the fix', async (field, mend) => {
  const { json } = await at.call('POST', '/api/webhooks', { ...wanted, update_fields: [field] })
  expect(json.errors[0].detail).toContain(`"${field}" is not a field. ${mend}`)
})

test('the list has pages by cursor, without secrets', async () => {
  const ids = []
  for (const name of ['one', 'two', 'three']) ids.push((await create({ name })).id)
  const first = await at.call('GET', `/api/webhooks?limit=2&cursor=${ids[0] - 1}`)
  expect(first.json.data.map(({ name }: { name: string }) => name)).toEqual(['one', 'two'])
  const second = await at.call('GET', `/api/webhooks?limit=2&cursor=${first.json.next_cursor}`)
  expect(second.json.data.map(({ name }: { name: string }) => name)).toEqual(['three'])
  expect(second.json.next_cursor).toBeNull()
  expect((await at.call('GET', '/api/webhooks')).text).not.toMatch(/"secret"|whsec_|v1:/)
})

const long = 'x'.repeat(5_000)
test.each<[string, unknown, string[]]>([
  ['nothing', {}, ['/name', '/url', '/triggers']],
  ['null', null, ['']],
  ['a list', [wanted], ['']],
  ['a name of white space', { ...wanted, name: '   ' }, ['/name']],
  ['a name that is a number', { ...wanted, name: 7 }, ['/name']],
  ['a name too long', { ...wanted, name: long }, ['/name']],
  ['a name that Postgres can not hold', { ...wanted, name: 'a\u0000b' }, ['/name']],
  ['half a character', { ...wanted, name: 'a\ud800b' }, ['/name']],
  ['no triggers', { ...wanted, triggers: [] }, ['/triggers']],
  ['triggers that are text', { ...wanted, triggers: 'user.new' }, ['/triggers']],
  [
    'triggers that there are not',
    { ...wanted, triggers: ['user.new', 'order.new', 'user.gone'] },
    ['/triggers/1', '/triggers/2'],
  ],
  ['a field that there is not', { ...wanted, colour: 'red' }, ['/colour']],
  ['a secret of one\u2019s own', { ...wanted, secret: 'whsec_x' }, ['/secret']],
  ['is_active as text', { ...wanted, is_active: 'yes' }, ['/is_active']],
  ['previous as text', { ...wanted, previous: 'yes' }, ['/previous']],
  ['no fields to update', { ...wanted, update_fields: [] }, ['/update_fields']],
  [
    'fields that there are not',
    { ...wanted, update_fields: ['user.emial', 'user.email', 'email', 'order.id'] },
    ['/update_fields/0', '/update_fields/2', '/update_fields/3'],
  ],
  ['no URL', { ...wanted, url: 'crm' }, ['/url']],
  ['plain http', { ...wanted, url: 'http://crm.example.com/' }, ['/url']],
  ['a private address', { ...wanted, url: 'https://10.0.0.1/' }, ['/url']],
  ['the address of the cloud\u2019s metadata', { ...wanted, url: 'https://169.254.169.254/' }, ['/url']],
  ['user info', { ...wanted, url: 'https://user:hunter2@crm.example.com/' }, ['/url']],
  ['a URL too long', { ...wanted, url: `https://crm.example.com/${long}` }, ['/url']],
  ['a URL with a control character', { ...wanted, url: 'https://crm.example.com/\u0000' }, ['/url']],
])('%s is refused at create and at change, naming each field', async (_what, body, pointers) => {
  const { id } = await create()
  const isAboutAbsence = pointers.length === 3
  const calls = [await at.call('POST', '/api/webhooks', body)]
  if (!isAboutAbsence) calls.push(await at.call('PATCH', `/api/webhooks/${id}`, body))
  for (const { status, headers, json, text } of calls) {
    expect(status, text).toBe(422)
    expect(headers.get('content-type')).toBe('application/problem+json')
    expect(json).toMatchObject({ type: 'about:blank', title: 'Invalid fields', status: 422 })
    expect(json.errors.map(({ pointer }: { pointer: string }) => pointer)).toEqual(pointers)
    for (const { detail } of json.errors) expect(detail.length).toBeGreaterThan(10)
    expect(text).not.toContain('hunter2')
  }
  expect((await at.call('GET', `/api/webhooks/${id}`)).json).toMatchObject(wanted)
})

test('the refusal of an unknown trigger lists the known ones', async () => {
  const { json } = await at.call('POST', '/api/webhooks', { ...wanted, triggers: ['order.new'] })
  expect(json.detail).toContain('"order.new" is not a trigger')
  expect(json.detail).toContain(
    'user.new, user.update, user.delete, company.new, company.update, company.delete',
  )
})

test.each<[string, string, unknown, string | null, number]>([
  ['GET', '/api/webhooks', undefined, null, 401],
  ['GET', '/api/webhooks', undefined, 'wrong-token', 401],
  ['GET', '/api/webhooks', undefined, 'whk_wrong', 401],
  ['GET', '/api/nothing', undefined, null, 401],
  ['POST', '/api/webhooks', '{"name":', adminToken, 400],
  ['POST', '/api/webhooks', '', adminToken, 400],
  ['POST', '/api/webhooks', JSON.stringify({ ...wanted, name: 'x'.repeat(70_000) }), adminToken, 413],
  ['GET', '/api/webhooks/999999', undefined, adminToken, 404],
  ['POST', '/api/webhooks/999999/test', {}, adminToken, 404],
  ['GET', '/api/webhooks/999999/log', undefined, adminToken, 404],
  ['GET', '/api/webhooks/one', undefined, adminToken, 422],
  ['GET', '/api/webhooks/0', undefined, adminToken, 422],
  ['GET', '/api/webhooks/99999999999', undefined, adminToken, 422],
  ['GET', '/api/webhooks?limit=1000', undefined, adminToken, 422],
  ['GET', '/api/webhooks?limit=x', undefined, adminToken, 422],
  ['GET', '/api/webhooks?cursor=-1', undefined, adminToken, 422],
  ['GET', '/api/webhooks?cursor=99999999999', undefined, adminToken, 422],
  ['GET', '/api/webhooks?colour=red', undefined, adminToken, 422],
  ['GET', '/api/webhooks/1/log?cursor=x', undefined, adminToken, 422],
  ['GET', '/api/webhooks/1/log?cursor=9999999999999999999', undefined, adminToken, 422],
  ['PUT', '/api/webhooks/1', {}, adminToken, 405],
  ['GET', '/nothing', undefined, adminToken, 404],
  ['POST', '/api/webhooks/1/test', { user_id: [] }, adminToken, 422],
])('%s %s with the body %j and the token %j is a problem: %d', async (method, path, body, token, status) => {
  const answer = await at.call(method, path, body, token)
  expect(answer.status, answer.text).toBe(status)
  expect(answer.headers.get('content-type')).toBe('application/problem+json')
  expect(answer.json).toMatchObject({ status, title: expect.any(String), detail: expect.any(String) })
  if (status === 401) expect(answer.headers.get('www-authenticate')).toBe('Bearer')
})

test('a stored token works until it is revoked, and is kept only as a hash', async () => {
  const token = await at.token('admin')
  expect((await at.call('GET', '/api/webhooks', undefined, token)).status).toBe(200)
  const { rows } = await at.outbox.pool.query('select * from walhook.tokens')
  expect(JSON.stringify(rows)).not.toContain(token)
  expect(rows[0].last_used_at).not.toBeNull()
  await at.outbox.pool.query('update walhook.tokens set revoked_at = now()')
  expect((await at.call('GET', '/api/webhooks', undefined, token)).status).toBe(401)
})

test("a test is sent at once with the caller's account or another, and returns the whole attempt", async () => {
  await using receiver = await startTestReceiver()
  const { id, secret } = await create({ url: receiver.url, is_active: false })
  const own = await at.call('POST', `/api/webhooks/${id}/test`)
  expect(own.status).toBe(200)
  expect(own.json).toEqual({
    id: expect.stringMatching(/^\d+$/),
    webhook_id: id,
    trigger: 'test',
    event_id: null,
    event_ids: null,
    message_id: receiver.arrivals[0]!.messageId,
    entity_type: 'user',
    entity_id: '7',
    action_type: 'test',
    number: 1,
    outcome: 'delivered',
    error: null,
    started_at: expect.any(String),
    duration_ms: expect.any(Number),
    phases: expect.any(Object),
    remote_address: '127.0.0.1',
    next_attempt_at: null,
    bodies_kept: true,
    request: {
      method: 'POST',
      url: receiver.url,
      headers: expect.objectContaining({
        'content-type': 'application/json',
        'webhook-id': expect.any(String),
      }),
      body: '{"entity_id":7,"entity_type":"user","action_type":"test","result":{"id":7}}',
    },
    response: { status: 204, headers: expect.any(Object), body: '', truncated: false },
  })
  expect(receiver.arrivals[0]!.body).toBe(own.json.request.body)
  for (const user_id of [8, '8'])
    expect((await at.call('POST', `/api/webhooks/${id}/test`, { user_id })).json.entity_id).toBe('8')
  expect((await at.call('POST', `/api/webhooks/${id}/test`, { user_id: 9 })).json.errors).toEqual([
    {
      pointer: '/user_id',
      detail: 'There is no user account with the id "9".',
      code: 'test.unknown_account',
    },
  ])
  expect(own.text).not.toContain(secret)
  expect(await at.queue()).toEqual([])
})

test('a webhook with batches is tested with a batch of one', async () => {
  await using receiver = await startTestReceiver()
  const { id } = await create({ url: receiver.url, batch: { max_events: 10, max_wait_ms: 0 } })
  const tested = await at.call('POST', `/api/webhooks/${id}/test`, { user_id: 8 })
  expect(JSON.parse(tested.json.request.body)).toMatchObject([{ entity_id: 8, action_type: 'test' }])
  expect(receiver.arrivals[0]!.body).toBe(tested.json.request.body)
})

test('a test by a caller without an account is refused with the fix', async () => {
  const token = await at.token('admin')
  const { id } = await create()
  const { status, json } = await at.call('POST', `/api/webhooks/${id}/test`, undefined, token)
  expect(status).toBe(422)
  expect(json.detail).toContain('{"user_id": …}')
})

test('a failed test responds 200 with the reason, and is in the log', async () => {
  await using receiver = await startTestReceiver(() => 500)
  const refusing = await create({ url: receiver.url })
  expect((await at.call('POST', `/api/webhooks/${refusing.id}/test`)).json).toMatchObject({
    outcome: 'refused',
    error: { class: 'http_error', message: expect.stringContaining('500') },
    response: { status: 500 },
  })
  const { id } = await create({ url: 'http://127.0.0.1:1/' })
  const { status, json } = await at.call('POST', `/api/webhooks/${id}/test`)
  expect(status).toBe(200)
  expect(json).toMatchObject({
    outcome: 'unreachable',
    error: { class: 'connection_refused' },
    response: null,
  })
  expect((await at.call('GET', `/api/webhooks/${id}/log`)).json.data).toEqual([json])
})

test('the log lists requests with bodies, newest first, ten by default', async () => {
  const { id } = await create({ triggers: ['user.update'] })
  for (let i = 0; i < 12; i++) {
    await at.append(`user ${i} update`)
    await settle(at, ...(await claim(at, id)).map(lane => settlementOf(lane)))
  }
  const log = await at.call('GET', `/api/webhooks/${id}/log`)
  expect(log.json.data.map((one: { entity_id: string }) => one.entity_id)).toEqual(
    [11, 10, 9, 8, 7, 6, 5, 4, 3, 2].map(String),
  )
  expect(log.json.data[0].request.body).toBe('{"entity_id":11,"entity_type":"user","action_type":"update"}')
  const rest = await at.call('GET', `/api/webhooks/${id}/log?cursor=${log.json.next_cursor}`)
  expect(rest.json.data.map((one: { entity_id: string }) => one.entity_id)).toEqual(['1', '0'])
  expect(rest.json.next_cursor).toBeNull()
  expect((await at.call('GET', `/api/webhooks/${id}/log?limit=100`)).json.data).toHaveLength(12)
})

test('the status has the position of capture, the last event, lost changes and pending deliveries', async () => {
  await using own = await openTestApi()
  const before = await own.call('GET', '/api/status')
  expect(before.json).toEqual({
    capture: {
      state: 'streaming',
      reason: null,
      slot: 'test',
      commit_lsn: '0/0',
      confirmed_lsn: '0/10',
      wal_end: '0/20',
      lag_bytes: 16,
      held_back_bytes: 64,
      probe_ms: 12,
      code: null,
      mend: null,
    },
    last_event: null,
    mapping_lost: null,
    gaps: [],
    resyncs: [],
    ids_ahead_ms: 0,
    queue: {
      deliveries_waiting: 0,
      deliveries_set_aside: 0,
      lanes_waiting: 0,
      deliveries_dead: 0,
      webhooks_behind: 0,
      oldest_pending_ms: 0,
    },
  })
  await own.webhook(['user.new'])
  await own.append('user 1 new')
  await openGap(own.outbox, {
    slotName: 'test',
    reason: 'slot missing',
    detail: 'it was dropped',
    fromLsn: 1n,
  })
  expect((await own.call('GET', '/api/status')).json).toMatchObject({
    last_event: { entity_type: 'user', entity_id: '1', action_type: 'new', committed_at: expect.any(String) },
    gaps: [{ reason: 'slot missing', from_lsn: '0/1', to_lsn: null, resynced_at: null }],
    queue: { deliveries_waiting: 1, deliveries_set_aside: 0, lanes_waiting: 0, deliveries_dead: 0 },
  })
  expect((await own.call('GET', '/api/status', undefined, null)).status).toBe(401)
})

test('readiness fails if one part fails, liveness does not, and metrics have the documented names', async () => {
  expect(await at.call('GET', '/readyz', undefined, null)).toMatchObject({
    status: 200,
    json: { status: 'ok' },
  })
  at.state.health = {
    database: { ok: true, status: 'reachable' },
    capture: { ok: false, status: 'lost', reason: 'the slot of 192.0.2.7 has no "public"."users"' },
  }
  // A reason names addresses and tables: it is for who has a token.
  for (const [token, status] of [
    [null, 'lost'],
    ['whk_wrong', 'lost'],
    [adminToken, 'lost: the slot of 192.0.2.7 has no "public"."users"'],
  ] as const)
    expect(await at.call('GET', '/readyz', undefined, token)).toMatchObject({
      status: 503,
      json: {
        status: 'not ready',
        checks: { database: { ok: true, status: 'reachable' }, capture: { ok: false, status } },
      },
    })
  // A load balancer asks for what an answer needs; everybody else sees the part that is red.
  for (const [excluded, status] of [
    ['exclude=capture&exclude=delivery', 200],
    ['exclude=capture', 200],
    ['exclude=delivery', 503],
    ['exclude=database', 503],
    ['exclude=capture:lost', 200],
    ['exclude=capture:gap', 503],
  ] as const)
    expect(await at.call('GET', `/readyz?${excluded}`, undefined, null)).toMatchObject({
      status,
      json: { checks: { database: { ok: true }, capture: { ok: false, status: 'lost' } } },
    })
  expect((await at.call('GET', '/livez', undefined, null)).status).toBe(200)
  const metrics = (await at.call('GET', '/metrics', undefined, null)).text
  const names = [...metrics.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name!)
  expect(names.filter(name => name.startsWith('walhook_'))).toEqual([
    'walhook_changes_total',
    'walhook_events_total',
    'walhook_parked_changes_total',
    'walhook_truncated_tables_total',
    'walhook_attempts_total',
    'walhook_attempt_duration_seconds',
    'walhook_delivery_duration_seconds',
    'walhook_capture_duration_seconds',
    'walhook_webhook_attempts_total',
    'walhook_capture_lag_seconds',
    'walhook_deliveries_waiting',
    'walhook_deliveries_set_aside',
    'walhook_lanes_waiting',
    'walhook_webhooks_behind',
    'walhook_webhooks',
    'walhook_oldest_pending_seconds',
    'walhook_deliveries_dead',
    'walhook_wal_held_back_bytes',
    'walhook_capturing',
    'walhook_ready',
    'walhook_cell_away',
    'walhook_cell_events_behind',
    'walhook_capture_state',
    'walhook_gaps_open',
    'walhook_mapping_lost',
    'walhook_build_info',
  ])
})

test("settings that the tables cannot fulfil are warnings, for the webhook's triggers and fields only", async () => {
  const sql = 'alter table "public"."users" replica identity full;'
  Object.assign(at.control, { readWithoutPrevious: async () => new Map([['user', sql]]) })
  onTestFinished(() => void Object.assign(at.control, { readWithoutPrevious: undefined }))
  const triggers = ['user.update']
  const made = await create({ triggers, previous: true, update_fields: ['user.email', 'company.name'] })
  expect(made.warnings).toEqual([
    { pointer: '/previous', detail: expect.stringContaining(sql) },
    { pointer: '/update_fields', detail: expect.stringContaining(sql) },
  ])
  const change = async (body: object) =>
    (await at.call('PATCH', `/api/webhooks/${made.id}`, body)).json.warnings
  expect(await change({ previous: false })).toEqual([expect.objectContaining({ pointer: '/update_fields' })])
  expect(await change({ update_fields: ['company.name'] })).toBeUndefined()
  expect(await change({ previous: true, triggers: ['user.new', 'company.update'] })).toBeUndefined()
  // What can't be asked is not in the way.
  Object.assign(at.control, { readWithoutPrevious: () => Promise.reject(new Error('no answer')) })
  expect((await at.call('PATCH', `/api/webhooks/${made.id}`, { triggers })).status).toBe(200)
})

test('a filter is set, read, changed, removed and audited', async () => {
  const filter = { 'user.companies': 5, 'user.email': ['a@b.c', null, true] }
  const triggers = ['user.new', 'user.update', 'user.delete']
  const made = await create({ triggers, filter, filter_entering: 'new', filter_leaving: 'delete' })
  expect(made).toMatchObject({ filter, filter_entering: 'new', filter_leaving: 'delete' })
  const path = `/api/webhooks/${made.id}`
  expect((await at.call('GET', path)).json).toMatchObject({ filter, filter_leaving: 'delete' })
  const other = { 'user.companies': [7] }
  expect((await at.call('PATCH', path, { filter: other })).json).toMatchObject({
    filter: other,
    filter_entering: 'new',
    filter_leaving: 'delete',
  })
  expect((await at.call('PATCH', path, { filter: null, triggers: ['user.new'] })).json).toMatchObject({
    filter: null,
  })
  const { data } = (await at.call('GET', `/api/audit?webhook_id=${made.id}`)).json
  expect(data[0].changes.filter).toEqual({ from: other, to: null })
})

test('all errors of a filter are reported at once, each with its pointer', async () => {
  const wrong = await at.call('POST', '/api/webhooks', {
    ...wanted,
    filter: {
      'user.emial': 5,
      'user.email': ['a', 'b\0', '\ud800', 2 ** 53],
      'user.id': [],
      'company.name': 'x'.repeat(1_001),
      people: 1,
      'user.a/b~c': null,
    },
    filter_entering: 'new',
    filter_leaving: 'update',
  })
  expect(wrong.status).toBe(422)
  const pointers = wrong.json.errors.map(({ pointer }: { pointer: string }) => pointer)
  expect(pointers.toSorted()).toEqual(
    [
      ...['/filter/user.emial', '/filter/user.email/1', '/filter/user.email/2', '/filter/user.email/3'],
      ...[
        '/filter/user.id',
        '/filter/company.name',
        '/filter/people',
        '/filter/user.a~1b~0c',
        '/filter_leaving',
      ],
    ].toSorted(),
  )
  const said = JSON.stringify(wrong.json.errors)
  for (const part of [
    'Did you mean user.email?',
    'is empty',
    'whole numbers up to 9007199254740991',
    'Add user.update',
  ])
    expect(said).toContain(part)
  const types = await at.call('POST', '/api/webhooks', {
    ...wanted,
    ...{ filter: { 'user.email': { a: 1 } }, filter_leaving: 'gone' },
  })
  expect(types.json.errors).toEqual([
    expect.objectContaining({
      pointer: '/filter/user.email',
      detail: expect.stringContaining('must be a text'),
    }),
    expect.objectContaining({ pointer: '/filter_leaving' }),
  ])
  expect((await at.call('POST', '/api/webhooks', { ...wanted, filter: {} })).json.errors).toEqual([
    { pointer: '/filter', detail: 'filter: must name at least one field; null for no filter' },
  ])
})

test('an action that a filter sends needs its trigger, also when a change removes it', async () => {
  const filter = { 'user.email': 'a' }
  const triggers = ['user.update', 'user.delete']
  const { id } = await create({ triggers, filter, filter_leaving: 'delete' })
  const changed = await at.call('PATCH', `/api/webhooks/${id}`, { triggers: ['user.update'] })
  expect([changed.status, changed.json.errors]).toEqual([
    422,
    [
      expect.objectContaining({
        pointer: '/filter_leaving',
        detail: expect.stringContaining('Add user.delete'),
      }),
    ],
  ])
  expect((await at.call('PATCH', `/api/webhooks/${id}`, { filter_entering: 'new' })).status).toBe(422)
})
