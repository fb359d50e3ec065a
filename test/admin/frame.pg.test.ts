import { afterAll, beforeAll, expect, test } from 'vitest'
import { pages } from '../../src/admin/pages.ts'
import { adminToken } from '../support/open-api.ts'
import { openTestPages, ours } from '../support/open-pages.ts'

let at: Awaited<ReturnType<typeof openTestPages>>
beforeAll(async () => {
  at = await openTestPages()
})
afterAll(() => at[Symbol.asyncDispose]())

test('an anonymous request is sent to the log-in, and back to its page afterwards', async () => {
  const away = await at.get('/couplings?search=crm', null)
  expect({ status: away.status, to: away.headers.get('location') }).toEqual({
    status: 303,
    to: '/login?to=%2Fcouplings%3Fsearch%3Dcrm',
  })
  const page = await at.get('/login?to=%2Fcouplings%3Fsearch%3Dcrm', null)
  expect(page.text).toContain('<input type="hidden" name="to" value="/couplings?search=crm">')
  const back = await at.post('/login', { token: ` ${adminToken} `, to: '/couplings?search=crm' }, null)
  expect(back.headers.get('location')).toBe('/couplings?search=crm')
  expect(back.headers.get('set-cookie')).toMatch(/HttpOnly; SameSite=Strict/)
})

test.each([
  ['https://evil.example/'],
  ['//evil.example/'],
  ['/\\evil.example'],
  ['/\t/evil.example'],
  ['javascript:alert(1)'],
])('neither the log-in nor the language switch redirects to %j', async to => {
  for (const answer of [
    await at.post('/login', { token: adminToken, to }, null),
    await at.post('/language', { language: 'nl', to }, null),
  ])
    expect(answer.headers.get('location')).toBe('/')
})

test('a wrong or missing token is an error at its field, and is never repeated', async () => {
  const wrong = await at.post('/login', { token: 'whk_wrong' }, null)
  expect(wrong.status).toBe(401)
  expect(wrong.text).toContain('This token is unknown, expired or revoked.')
  expect(wrong.text).not.toContain('whk_wrong')
  expect((await at.post('/login', { token: '' }, null)).text).toContain('Enter your token.')
})

test("texts are in the browser's language, or in the chosen one", async () => {
  const dutch = await at.get('/login', null, { 'accept-language': 'fr, nl-NL;q=0.8, en;q=0.5' })
  expect(dutch.text).toContain('<html lang="nl">')
  expect((await at.get('/login', null, { 'accept-language': 'de' })).text).toContain('<html lang="en">')
  const cookie = (await at.post('/language', { language: 'nl', to: '/login' }, null)).headers.get(
    'set-cookie',
  )!
  const chosen = await at.get('/login', null, { cookie: cookie.split(';')[0]!, 'accept-language': 'en' })
  expect(chosen.text).toContain('Inloggen')
})

test('no page can be framed by another site, loads anything, or runs a foreign script', async () => {
  for (const path of ['/login', '/couplings', '/nowhere']) {
    const { headers, text } = await at.get(path, path === '/login' ? null : 'admin')
    expect(headers.get('content-security-policy')).toBe(
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    )
    expect(headers.get('cache-control')).toBe('no-store')
    expect(text).not.toMatch(/<style|style="|<script(?! src="\/assets\/)|\son\w+="/)
  }
})

test('scripts and styles are cached under addresses that change with their content', async () => {
  const { text } = await at.get('/login', null)
  const addresses = [...text.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map(([, address]) => address!)
  expect(addresses).toHaveLength(3)
  const first = await Promise.all(['/couplings', '/health'].map(path => at.get(path)))
  let bytes = Math.max(...first.map(({ text }) => Buffer.byteLength(text)))
  for (const address of addresses) {
    const asset = await at.get(address, null)
    expect(asset.headers.get('cache-control')).toBe('public, max-age=31536000, immutable')
    const again = await at.get(address, null, { 'if-none-match': asset.headers.get('etag')! })
    expect({ status: again.status, text: again.text }).toEqual({ status: 304, text: '' })
    const old = await at.get(address.replace(/v=.*/, 'v=old'), null)
    expect(old.headers.get('cache-control')).toBe('no-cache')
    bytes += Buffer.byteLength(asset.text)
  }
  expect(bytes).toBeLessThan(100_000)
})

const samples: Record<string, string> = { id: '1' }
const example = (path: string) => path.replaceAll(/:(\w+)/g, (_, name) => samples[name] ?? '1')

test.each(pages.map(({ method, path, role }) => [method, example(path), role] as const))(
  '%s %s needs the role %s or a higher one, and refuses other sites',
  async (method, path, role) => {
    const call = (who: 'viewer' | 'operator' | null) =>
      method === 'get' ? at.get(path, who) : at.post(path, {}, who)
    expect([204, 303]).toContain((await call(null)).status)
    const below = { viewer: [], operator: ['viewer'], admin: ['viewer', 'operator'] } as const
    for (const who of below[role]) {
      const refused = await call(who)
      expect(refused.status, who).toBe(403)
      expect(refused.text).toContain(`This needs the role ${role}; your token has the role ${who}.`)
    }
    if (method === 'get') return
    const { 'sec-fetch-site': _, ...fromElsewhere } = { ...ours, origin: 'https://evil.example' }
    expect((await at.post(path, {}, 'admin', fromElsewhere)).status).toBe(403)
  },
)

test('a stolen cookie is invalid after log-out, and every cookie is after log-out everywhere', async () => {
  const logIn = async () =>
    (await at.post('/login', { token: adminToken }, null)).headers.get('set-cookie')!.split(';')[0]!
  const [stolen, other] = [await logIn(), await logIn()]
  const status = async (cookie: string) => (await at.get('/couplings', null, { cookie })).status
  expect(await status(stolen)).toBe(200)
  await at.post('/logout', {}, null, { ...ours, cookie: stolen })
  expect([await status(stolen), await status(other)]).toEqual([303, 200])
  await at.post('/logout-everywhere', {}, null, { ...ours, cookie: await logIn() })
  expect(await status(other)).toBe(303)
})

test('an htmx request without a session redirects the whole page to the log-in', async () => {
  const answer = await at.get('/couplings', null, { 'hx-request': 'true' })
  expect({ status: answer.status, to: answer.headers.get('hx-redirect') }).toEqual({
    status: 204,
    to: '/login',
  })
  expect((await at.get('/couplings', null, { accept: 'text/event-stream' })).status).toBe(401)
})

test("a form submitted after the session's end comes back after log-in; a partial request is dropped", async () => {
  const form = { name: 'CRM "of" <b>', header_value: 'line', trigger: 'user.new' }
  const over = await at.post('/tokens/new', form, null)
  expect(over.status).toBe(401)
  expect(over.text).toContain('<form method="post" action="/tokens/new"')
  expect(over.text).toContain('name="name" value="CRM &quot;of&quot; &lt;b&gt;"')
  expect(over.text).toContain('name="header_value" value="line"')
  const part = await at.post('/couplings/preview', form, null, { ...ours, 'hx-request': 'true' })
  expect({ status: part.status, at: part.headers.get('hx-retarget') }).toEqual({ status: 200, at: '#stale' })
  expect(part.text).toContain('Your session has expired. Your input is still on this page.')
  const foreign = { ...ours, origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }
  expect((await at.post('/tokens/new', form, null, foreign)).text).not.toContain('CRM')
})

test("the browser keeps an ended session's cookie for a day, so that its forms can come back", async () => {
  const { headers } = await at.post('/login', { token: adminToken }, null)
  const kept = Date.parse(/expires=([^;]+)/i.exec(headers.get('set-cookie')!)![1]!) - Date.now()
  expect(kept / 3_600_000).toBeCloseTo(36, 1)
})
