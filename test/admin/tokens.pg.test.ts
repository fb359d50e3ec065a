import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { openTestPages, ours } from '../support/open-pages.ts'

let at: Awaited<ReturnType<typeof openTestPages>>
beforeAll(async () => {
  at = await openTestPages()
})
beforeEach(async () => {
  await at.outbox.pool.query('delete from walhook.tokens')
})
afterAll(() => at[Symbol.asyncDispose]())

const html = '<img src=x onerror=alert(1)>'
const filled = (change: Record<string, string> = {}) => ({
  key: 'a-key',
  name: 'Badge desk',
  role: 'operator',
  user_id: '8',
  expires: '30d',
  ...change,
})
const listed = async () => (await at.call('GET', '/api/tokens')).json.data
const tokenIn = (text: string) => /whk_[\w-]{43}/.exec(text)?.[0] ?? null

test('without tokens, the page explains them', async () => {
  expect((await at.get('/tokens')).text).toContain('A token for each person and each program')
})

test('a token is shown once, when it is created, and has the chosen role, account and expiry', async () => {
  const made = await at.post('/tokens/new', filled())
  expect(made.status).toBe(201)
  expect(made.headers.get('cache-control')).toBe('no-store')
  expect(made.text).toContain('It is shown only once.')
  const token = tokenIn(made.text)!
  const [stored] = await listed()
  expect(stored).toMatchObject({ name: 'Badge desk', role: 'operator', user_id: '8' })
  const days = (Date.parse(stored.expires_at) - Date.now()) / 86_400_000
  expect(days).toBeGreaterThan(29.99)
  expect(days).toBeLessThanOrEqual(30)
  expect((await at.call('GET', '/api/webhooks', undefined, token)).status).toBe(200)
  const { text } = await at.get('/tokens')
  expect(text).toContain('Badge desk')
  expect(tokenIn(text)).toBeNull()
  expect((await at.call('GET', '/api/audit?limit=1')).json.data[0]).toMatchObject({ action: 'token.created' })
})

test('a form submitted twice creates one token and shows it', async () => {
  const form = filled({ key: 'twice' })
  const first = tokenIn((await at.post('/tokens/new', form)).text)
  expect(tokenIn((await at.post('/tokens/new', form)).text)).toBe(first)
  expect(await listed()).toHaveLength(1)
})

test.each([
  ['never', {}, null],
  ['day', { day: '2199-12-31' }, '2199-12-31T23:59:59.999Z'],
])('a token is valid for the chosen time: %s', async (expires, change, end) => {
  expect((await at.post('/tokens/new', filled({ key: expires, expires, ...change }))).status).toBe(201)
  expect((await listed())[0].expires_at).toBe(end)
})

test.each<[string, Record<string, string>, string]>([
  ['no name', { name: ' ' }, 'Give the token a name.'],
  ['a long name', { name: 'x'.repeat(201) }, 'Use at most 200 characters for the name.'],
  ['a NUL in the name', { name: 'a\0' }, 'characters that cannot be stored'],
  ['a NUL in the account', { user_id: '\0' }, 'characters that cannot be stored'],
  ['a role that there is not', { role: 'root' }, 'Choose a role.'],
  ['an end that there is not', { expires: '1m' }, 'Choose how long the token is valid.'],
  ['a day that is past', { expires: 'day', day: '2020-01-01' }, 'Choose today or a later day.'],
  ['no day', { expires: 'day' }, 'Choose today or a later day.'],
])(
  '%s is an error at its field, the input is kept, and no token is created',
  async (_what, change, sentence) => {
    const { status, text } = await at.post('/tokens/new', filled({ user_id: html, ...change }))
    expect(status).toBe(422)
    expect(text).toContain(sentence)
    expect(text).toContain('class="problem"')
    if (!('user_id' in change)) expect(text).toContain('value="&lt;img src=x onerror=alert(1)&gt;"')
    expect(text).not.toContain('<img')
    expect(await listed()).toEqual([])
  },
)

test.each(['viewer', 'operator'] as const)(
  'the role %s can neither create, see nor revoke tokens, nor see the audit',
  async role => {
    await at.post('/tokens/new', filled({ key: role }))
    // Tokens of tests come and go: this one has a token now.
    const [{ id }] = await listed()
    const token = await at.token(role)
    const login = await at.sessions.logIn(token, '192.0.2.1')
    if (!login.ok) throw new Error('not let in')
    const cookie = `walhook_session=${login.session}`
    const before = await listed()
    for (const path of ['/tokens', '/tokens/new', `/tokens/${id}/revoke`, '/audit']) {
      const { status, text } = await at.get(path, null, { cookie })
      expect(status, path).toBe(403)
      expect(text).not.toMatch(/Badge desk|whk_/)
    }
    for (const path of ['/tokens/new', `/tokens/${id}/revoke`])
      expect((await at.post(path, filled({ key: `${role} 2` }), null, { ...ours, cookie })).status).toBe(403)
    expect(await listed()).toEqual(before)
  },
)

test('a token is revoked after a confirmation, and stops working at once', async () => {
  await at.post('/tokens/new', filled({ name: html, role: 'admin' }))
  const made = tokenIn((await at.post('/tokens/new', filled({ name: html, role: 'admin' }))).text)!
  const login = await at.sessions.logIn(made, '192.0.2.1')
  if (!login.ok) throw new Error('not let in')
  const cookie = `walhook_session=${login.session}`
  const [{ id }] = await listed()
  const question = await at.get(`/tokens/${id}/revoke`)
  expect(question.text).toContain('Revoke the token “&lt;img')
  expect(question.text).not.toContain('you are logged out as well')
  const own = await at.get(`/tokens/${id}/revoke`, null, { cookie })
  expect(own.text).toContain('you are logged out as well')
  expect((await at.get('/tokens', null, { cookie })).text).toContain('yours')
  const done = await at.post(`/tokens/${id}/revoke`, {}, null, { ...ours, cookie })
  expect(done.headers.get('location')).toBe('/tokens?done=revoked')
  for (const path of ['/tokens', '/audit', '/tokens/new'])
    expect((await at.get(path, null, { cookie })).status, path).toBe(303)
  expect((await at.call('GET', '/api/webhooks', undefined, made)).status).toBe(401)
  const after = await at.get('/tokens')
  expect(after.text).toContain('Revoked')
  expect(after.text).not.toMatch(new RegExp(`<img|/tokens/${id}/revoke`))
  expect((await at.get('/tokens/999999/revoke')).status).toBe(404)
  expect((await at.post('/tokens/999999/revoke', {})).status).toBe(404)
})

test('a page of the list has fifty tokens, including expired ones', async () => {
  await at.outbox.pool.query(
    `insert into walhook.tokens (name, role, hash, expires_at)
     select 'T' || lpad(i::text, 3, '0'), 'viewer', sha256(i::text::bytea), now() - interval '1 day'
     from generate_series(1, 51) as i`,
  )
  const first = (await at.get('/tokens')).text
  expect(first).toContain('T050')
  expect(first).not.toContain('T051')
  expect(first).toContain('Expired')
  const next = /href="(\/tokens\?after=\d+)"/.exec(first)![1]!
  const second = (await at.get(next)).text
  expect(second).toContain('T051')
  expect(second).not.toContain('href="/tokens?after=')
})

test('after log-out everywhere, a stolen cookie creates no token', async () => {
  const made = tokenIn((await at.post('/tokens/new', filled({ role: 'admin', key: 'out' }))).text)!
  const logIn = async () => {
    const login = await at.sessions.logIn(made, '192.0.2.1')
    if (!login.ok) throw new Error('not let in')
    return { ...ours, cookie: `walhook_session=${login.session}` }
  }
  const stolen = await logIn()
  expect((await at.get('/audit', null, stolen)).status).toBe(200)
  await at.post('/logout-everywhere', {}, null, await logIn())
  expect((await at.get('/audit', null, stolen)).status).toBe(303)
  expect((await at.post('/tokens/new', filled({ key: 'stolen' }), null, stolen)).status).toBe(401)
  expect(await listed()).toHaveLength(1)
})
