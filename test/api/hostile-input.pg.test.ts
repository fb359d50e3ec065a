import { afterAll, beforeAll, expect, test } from 'vitest'
import { adminToken, openTestApi } from '../support/open-api.ts'

/** Whatever comes in, the answer is a problem that names what is wrong, and never a failure of ours. */
let at: Awaited<ReturnType<typeof openTestApi>>
let id: number
const wanted = { name: 'CRM', url: 'https://crm.example.com/hooks', is_active: true, triggers: ['user.new'] }

beforeAll(async () => {
  at = await openTestApi()
  id = (await at.call('POST', '/api/webhooks', wanted)).json.id
})
afterAll(() => at[Symbol.asyncDispose]())

const nested = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`
const deep = JSON.parse(nested(500))
const texts = ['', '   ', '\u0000', 'a\u0000b', '\ud800', 'x'.repeat(60_000)]
const others = [null, [], {}, [null], { toString: 1 }, deep]

const values: Record<string, unknown[]> = {
  name: [...texts, ...others, 0, 1e308, true],
  url: [
    ...texts,
    ...others,
    0,
    true,
    '/hooks',
    'javascript:alert(1)',
    'file:///etc/passwd',
    'https://',
    'https://[::1]/',
  ],
  is_active: [...texts, ...others, 0, 1, 'true'],
  triggers: [
    ...texts,
    null,
    [],
    {},
    true,
    [null],
    [[]],
    [7],
    ['user.new', ''],
    ['user.new\u0000'],
    ['\ud800'],
    ['user.new', 'USER.NEW'],
    ['__proto__'],
    Array(200).fill('user.new'),
    deep,
  ],
}
const cases = Object.entries(values).flatMap(([field, list]) => list.map(value => [field, value] as const))
const show = (value: unknown) => JSON.stringify(value).slice(0, 60)

test.each(cases.map(([field, value]) => [field, show(value), value] as const))(
  '%s as %s is a wrong field',
  async (field, _shown, value) => {
    for (const [method, path, body] of [
      ['POST', '/api/webhooks', { ...wanted, [field]: value }],
      ['PATCH', `/api/webhooks/${id}`, { [field]: value }],
    ] as const) {
      const { status, headers, json, text } = await at.call(method, path, body)
      expect(status, text.slice(0, 300)).toBe(422)
      expect(headers.get('content-type')).toBe('application/problem+json')
      expect(json.errors.length).toBeGreaterThan(0)
      for (const { pointer } of json.errors) expect(pointer).toMatch(new RegExp(`^/${field}(/|$)`))
      // An answer repeats little of what came in.
      expect(text.length).toBeLessThan(40_000)
    }
    expect((await at.call('GET', `/api/webhooks/${id}`)).json).toMatchObject(wanted)
  },
)

test('all wrong fields are named in one response', async () => {
  const body = { name: 7, url: null, is_active: 'no', triggers: [null, 'user.new', 7] }
  const { json } = await at.call('POST', '/api/webhooks', body)
  expect(json.errors.map(({ pointer }: { pointer: string }) => pointer)).toEqual([
    '/name',
    '/url',
    '/is_active',
    '/triggers/0',
    '/triggers/2',
  ])
})

test('a refused target and each unknown trigger are named together', async () => {
  const body = { ...wanted, url: 'https://10.1.2.3/', triggers: ['order.new'] }
  const { json } = await at.call('POST', '/api/webhooks', body)
  expect(json.errors.map(({ pointer }: { pointer: string }) => pointer).sort()).toEqual([
    '/triggers/0',
    '/url',
  ])
  expect(json.detail).toContain('add 10.1.2.3 to WALHOOK_ALLOW_TARGETS')
})

test.each([...texts, null, [], {}, true, 1.5, 1e300, [7], { id: 7 }])(
  'the test account %j is a wrong field',
  async user_id => {
    const { status, json } = await at.call('POST', `/api/webhooks/${id}/test`, { user_id })
    expect(status).toBe(422)
    expect(json.errors[0].pointer).toBe('/user_id')
  },
)

test('a body of nested brackets is a wrong field at any depth', async () => {
  for (const body of [nested(30_000), `{"name": ${nested(30_000)}}`, `{"triggers": ${nested(30_000)}}`])
    expect((await at.call('PATCH', `/api/webhooks/${id}`, body)).status).toBe(422)
})

test.each(['null', '[]', '7', '"7"', '{"user": 7}', '{"__proto__": 7}'])(
  'a test with the body %s is refused',
  async body => {
    expect((await at.call('POST', `/api/webhooks/${id}/test`, body)).status).toBe(422)
  },
)

test.each([
  ['{"name": "a", "name": }', 400],
  ['name=CRM&url=x', 400],
  ['{"name": NaN}', 400],
  ['\u0000', 400],
  [`{"__proto__": {"is_active": true}}`, 422],
  [`{"constructor": 1}`, 422],
  [JSON.stringify({ ...wanted, name: '\u200b' }), 422],
])('the response to the body %j, %#: %d', async (body, expected) => {
  const { status, headers } = await at.call('POST', '/api/webhooks', body)
  expect(status).toBe(expected)
  expect(headers.get('content-type')).toBe('application/problem+json')
})

test.each(['headers', 'filter'])(
  'a field in %s with a name like __proto__ is refused, not dropped',
  async field => {
    const body = JSON.stringify({ ...wanted, [field]: { other: 'a' } }).replace('other', '__proto__')
    for (const [method, path] of [
      ['POST', '/api/webhooks'],
      ['PATCH', `/api/webhooks/${id}`],
    ] as const) {
      const { status, json } = await at.call(method, path, body)
      expect(status).toBe(422)
      expect(json.errors).toEqual([
        { pointer: `/${field}/__proto__`, detail: `${field}.__proto__: nothing can have this name` },
      ])
    }
  },
)

const paths = [
  '/',
  '//',
  '/api',
  '/api/',
  '/API/webhooks',
  '/api/webhooks/',
  '/api/webhooks//log',
  '/api/webhooks/1/test/1',
  '/api/webhooks/1/nothing',
  '/.env',
  '/livez/',
  '/metrics/x',
  '/api/webhooks/../../livez/x',
]
test.each(paths.flatMap(path => ['GET', 'POST', 'DELETE'].map(method => [method, path] as const)))(
  '%s %s is not found',
  async (method, path) => {
    const { status, headers, json } = await at.call(method, path, method === 'GET' ? undefined : {})
    expect(status).toBe(404)
    expect(headers.get('content-type')).toBe('application/problem+json')
    expect(json).toMatchObject({ type: 'about:blank', title: 'Not found', status: 404 })
  },
)

test.each(['PUT', 'PROPFIND', 'M-SEARCH'])(
  'the response to the method %s lists the allowed methods',
  async method => {
    for (const [path, allow] of [
      ['/livez', 'GET, HEAD, OPTIONS'],
      ['/readyz', 'GET, HEAD, OPTIONS'],
      ['/metrics', 'GET, HEAD, OPTIONS'],
      ['/api/openapi.json', 'GET, HEAD, OPTIONS'],
      ['/api/webhooks', 'POST, GET, HEAD, OPTIONS'],
      [`/api/webhooks/${id}`, 'GET, HEAD, PATCH, DELETE, OPTIONS'],
      [`/api/webhooks/${id}/test`, 'POST, OPTIONS'],
    ] as const) {
      const { status, headers, json } = await at.call(method, path)
      expect({ status, json }).toMatchObject({ status: 405, json: { title: 'Method not allowed' } })
      expect(headers.get('allow')).toBe(allow)
      expect(json.detail).toContain(`only ${allow}`)
      const options = await at.call('OPTIONS', path)
      expect({ status: options.status, allow: options.headers.get('allow') }).toEqual({ status: 204, allow })
    }
  },
)

test('HEAD responds like GET, without the body', async () => {
  for (const path of ['/livez', '/api/webhooks', `/api/webhooks/${id}`, '/api/webhooks/999999']) {
    const get = await at.call('GET', path)
    const head = await at.call('HEAD', path)
    expect({ status: head.status, type: head.headers.get('content-type'), text: head.text }).toEqual({
      status: get.status,
      type: get.headers.get('content-type'),
      text: '',
    })
  }
})

test.each([
  '%',
  '%zz',
  '%00',
  '%ff',
  '1%00',
  '-1',
  '1.5',
  '1e0',
  '0x1',
  ' 1',
  '+1',
  '',
  '9'.repeat(5_000),
  '\u0661',
])('the id %j is not found or refused', async text => {
  for (const [method, path] of [
    ['GET', `/api/webhooks/${text}`],
    ['DELETE', `/api/webhooks/${text}`],
    ['GET', `/api/webhooks/${text}/log`],
    ['POST', `/api/webhooks/${text}/test`],
  ] as const) {
    if (text === '' && method === 'GET' && !path.endsWith('log')) continue
    const { status } = await at.call(method, path)
    expect([404, 422]).toContain(status)
  }
  expect((await at.call('GET', `/api/webhooks/${id}`)).status).toBe(200)
})

test.each(['limit', 'cursor'])('a wrong %s of a list or a log is a wrong field', async name => {
  for (const value of [
    '',
    'x',
    '%00',
    '-1',
    '1.5',
    '1e1',
    'NaN',
    '9'.repeat(50),
    '1&limit=2&cursor=3&limit=x',
  ]) {
    for (const path of ['/api/webhooks', `/api/webhooks/${id}/log`]) {
      const { status, json, text } = await at.call('GET', `${path}?${name}=${value}`)
      if (status === 200) expect(value, text).toContain('&')
      else expect({ status, at: json.errors[0].pointer }).toEqual({ status: 422, at: `/${name}` })
    }
  }
})

test.each([
  '',
  'Bearer',
  'Bearer ',
  `Basic ${adminToken}`,
  adminToken,
  `Bearer ${adminToken}x`,
  `Bearer ${adminToken} x`,
  `Bearer ${'x'.repeat(10_000)}`,
  'Bearer whk_\u00fc',
])('the authorization %j gets 401', async authorization => {
  const answer = await at.request('/api/webhooks', { headers: { authorization } })
  expect(answer.status).toBe(401)
  expect(answer.headers.get('www-authenticate')).toBe('Bearer')
  expect(await answer.text()).not.toContain(adminToken)
})

test('the authorization scheme is compared without case', async () => {
  for (const scheme of ['bearer', 'BEARER'])
    expect(
      (await at.request('/api/webhooks', { headers: { authorization: `${scheme} ${adminToken}` } })).status,
    ).toBe(200)
})

test('a body that is too large is refused before the token is checked, also without content-length', async () => {
  const chunk = new Uint8Array(16_384).fill(0x20)
  let sent = 0
  const body = new ReadableStream({
    pull(controller) {
      sent += chunk.length
      controller.enqueue(chunk)
      if (sent > 10_000_000) controller.close()
    },
  })
  const answer = await at.request('/api/webhooks', { method: 'POST', body, duplex: 'half' } as RequestInit)
  expect(answer.status).toBe(413)
  expect(answer.headers.get('content-type')).toBe('application/problem+json')
  expect(sent).toBeLessThan(1_000_000)
})

test.each([
  'limit=1&limit=2',
  'limit=1&limit=1',
  'entity_type=user&entity_id=1&entity_id=2',
  'limit=1&x=1&x=2',
])('a repeated parameter is an error: %s', async query => {
  const answer = await at.call('GET', `/api/events?${query}`)
  expect(answer.status).toBe(422)
  expect(answer.json.errors[0].pointer).toMatch(/^\/(limit|entity_id|x)$/)
  expect((await at.call('GET', `/api/events?${query}`)).json.data).toBeUndefined()
})
