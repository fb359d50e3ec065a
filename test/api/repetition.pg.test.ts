import { afterAll, beforeAll, expect, test } from 'vitest'
import { configured } from '../../src/control/access/authenticate.ts'
import { once } from '../../src/control/kit/once.ts'
import { parseSealKey } from '../../src/domain/webhook/seal.ts'
import { adminToken, openTestApi } from '../support/open-api.ts'
import { startTestReceiver } from '../support/test-receiver.ts'
import { until } from '../support/wait.ts'

/** What keeps a call from being done twice, or from undoing what somebody else did: Idempotency-Key and If-Match. */
let at: Awaited<ReturnType<typeof openTestApi>>
beforeAll(async () => {
  at = await openTestApi()
})
afterAll(() => at[Symbol.asyncDispose]())

const wanted = { name: 'CRM', url: 'https://crm.example.com/hooks', triggers: ['user.new'] }

async function call(
  method: string,
  path: string,
  body: object | null,
  headers: Record<string, string>,
  token = adminToken,
) {
  const response = await at.request(path, {
    method,
    headers: { authorization: `Bearer ${token}`, ...headers },
    ...(body !== null && { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  return {
    status: response.status,
    headers: response.headers,
    text,
    json: text === '' ? null : JSON.parse(text),
  }
}
const create = (key: string, body: object = wanted, token = adminToken) =>
  call('POST', '/api/webhooks', body, { 'idempotency-key': key }, token)

test('a repeated call gets the first response, with the secret, and creates nothing', async () => {
  const first = await create('a')
  const second = await create('a')
  expect(first.status).toBe(201)
  expect(second.text).toBe(first.text)
  expect(second.json.secret).toMatch(/^whsec_/)
  for (const name of ['location', 'etag', 'content-type'])
    expect(second.headers.get(name), name).toBe(first.headers.get(name))
  expect([first, second].map(one => one.headers.get('idempotent-replayed'))).toEqual([null, 'true'])
  expect(await at.count('webhooks', `id >= ${first.json.id}`)).toBe(1)
  const { rows } = await at.outbox.pool.query('select answer from walhook.idempotency_keys')
  expect(JSON.stringify(rows)).not.toContain(first.json.secret.slice(6, 20))
  expect(JSON.stringify(rows)).not.toContain('crm.example.com')
})

test('a key reused with another body or path is refused', async () => {
  await create('b')
  for (const other of [
    await create('b', { ...wanted, name: 'ERP' }),
    await call('POST', '/api/tokens', wanted, { 'idempotency-key': 'b' }),
  ]) {
    expect(other).toMatchObject({ status: 422 })
    expect(other.headers.get('idempotent-replayed')).toBeNull()
  }
})

test('each token has its own keys', async () => {
  const first = await create('c')
  const other = await create('c', wanted, await at.token('admin'))
  expect(other.status).toBe(201)
  expect(other.json.id).not.toBe(first.json.id)
})

test('a refused request may be fixed and sent with the same key', async () => {
  const refused = await create('d', { ...wanted, url: 'https://10.0.0.1/' })
  expect(refused.status).toBe(422)
  expect((await create('d', { ...wanted, name: 7 })).status).toBe(422)
  expect((await create('d')).status).toBe(201)
})

test('during the first call a second one gets a conflict; afterwards it gets the response', async () => {
  const status = Promise.withResolvers<number>()
  await using receiver = await startTestReceiver(() => status.promise)
  const { id } = (await at.call('POST', '/api/webhooks', { ...wanted, url: receiver.url })).json
  const test = () => call('POST', `/api/webhooks/${id}/test`, { user_id: 7 }, { 'idempotency-key': 'e' })
  const first = test()
  await until(() => receiver.arrivals.length === 1, { what: 'the test to arrive' })
  const meanwhile = await test()
  expect(meanwhile).toMatchObject({
    status: 409,
    json: { detail: expect.stringContaining('still running') },
  })
  expect(meanwhile.headers.get('retry-after')).toBe('1')
  status.resolve(204)
  const { status: code, text } = await first
  expect(code).toBe(200)
  expect((await test()).text).toBe(text)
  expect(receiver.arrivals).toHaveLength(1)
})

test('of many simultaneous calls one is carried out', async () => {
  const before = await at.count('webhooks')
  const answers = await Promise.all(Array.from({ length: 8 }, () => create('f')))
  expect(await at.count('webhooks')).toBe(before + 1)
  const made = answers.filter(({ status }) => status === 201)
  expect(made.filter(({ headers }) => headers.get('idempotent-replayed') === null)).toHaveLength(1)
  expect(answers.length - made.length).toBe(answers.filter(({ status }) => status === 409).length)
})

test('an interrupted call is never repeated; its caller gets the advice to check', async () => {
  await at.outbox.pool.query(
    `alter table walhook.audit add constraint none check (action <> 'webhook.created') not valid`,
  )
  expect((await create('g')).status).toBe(500)
  await at.outbox.pool.query('alter table walhook.audit drop constraint none')
  expect(await create('g')).toMatchObject({
    status: 409,
    json: { detail: expect.stringContaining('still running') },
  })
  const age = (by: string) =>
    at.outbox.pool.query(
      `update walhook.idempotency_keys set created_at = now() - $1::interval where key = 'g'`,
      [by],
    )
  await age('2 minutes')
  expect(await create('g')).toMatchObject({
    status: 409,
    json: { detail: expect.stringContaining('cut off') },
  })
  await age('25 hours')
  expect((await create('g')).status).toBe(201)
})

test('a key is free after a day, and older responses are deleted', async () => {
  const first = await create('h')
  await create('i')
  await at.outbox.pool.query(
    `update walhook.idempotency_keys set created_at = created_at - interval '25 hours'`,
  )
  const again = await create('h', { ...wanted, name: 'ERP' })
  expect(again.status).toBe(201)
  expect(again.json.id).not.toBe(first.json.id)
  expect(await at.count('idempotency_keys')).toBe(1)
})

test('if the stored response cannot be decrypted, the call is refused, not repeated', async () => {
  const hash = Buffer.alloc(32, 1)
  const work = async () => ({ ok: true, value: '{"secret":"whsec_x"}' }) as const
  const request = { key: 'j', hash }
  expect(await once(at.control, configured(null), request, work)).toMatchObject({
    state: 'done',
    isReplay: false,
  })
  const other = { ...at.control, sealKey: parseSealKey(Buffer.alloc(32, 9).toString('base64'))! }
  const again = await once(other, configured(null), request, () => {
    throw new Error('done twice')
  })
  expect(again).toMatchObject({ state: 'failed', mayEnd: false, failure: { kind: 'conflict' } })
  expect(JSON.stringify(again)).not.toContain('whsec_')
})

test.each(['', ' ', 'a b', 'x'.repeat(256)])('the key %j is refused', async key => {
  const before = await at.count('webhooks')
  expect((await create(key)).status).toBe(422)
  expect(await at.count('webhooks')).toBe(before)
})

test('a change with a stale If-Match is refused', async () => {
  const created = await at.call('POST', '/api/webhooks', wanted)
  const path = `/api/webhooks/${created.json.id}`
  const tag = (await at.call('GET', path)).headers.get('etag')!
  expect(created.headers.get('etag')).toBe(tag)
  const change = (name: string, ifMatch: string) => call('PATCH', path, { name }, { 'if-match': ifMatch })

  const changed = await change('ERP', tag)
  expect(changed.status).toBe(200)
  expect(changed.headers.get('etag')).not.toBe(tag)
  const records = await at.count('audit')
  const late = await change('Billing', tag)
  expect(late).toMatchObject({
    status: 412,
    json: { title: 'Changed meanwhile', detail: expect.stringContaining('Read it again') },
  })
  expect((await call('DELETE', path, null, { 'if-match': tag })).status).toBe(412)
  expect((await at.call('GET', path)).json.name).toBe('ERP')
  expect(await at.count('audit')).toBe(records)

  expect((await change('Any', '*')).status).toBe(200)
  expect((await at.call('PATCH', path, { name: 'Without' })).status).toBe(200)
  const now = (await at.call('GET', path)).headers.get('etag')!
  expect((await call('DELETE', path, null, { 'if-match': now })).status).toBe(204)
  expect((await change('Gone', now)).status).toBe(404)
})

test('of two simultaneous changes with one entity tag, one succeeds', async () => {
  const { json, headers } = await at.call('POST', '/api/webhooks', wanted)
  const answers = await Promise.all(
    ['a', 'b', 'c', 'd'].map(name =>
      call('PATCH', `/api/webhooks/${json.id}`, { name }, { 'if-match': headers.get('etag')! }),
    ),
  )
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 412, 412, 412])
})

test('a stale change cannot re-enable a webhook that walhook disabled meanwhile', async () => {
  const { json, headers } = await at.call('POST', '/api/webhooks', wanted)
  await at.outbox.pool.query(
    `update walhook.webhooks set disabled_at = now(), disabled_reason = 'it is gone' where id = $1`,
    [json.id],
  )
  const change = await call(
    'PATCH',
    `/api/webhooks/${json.id}`,
    { is_active: true },
    { 'if-match': headers.get('etag')! },
  )
  expect(change.status).toBe(412)
})
