import { createServer } from 'node:net'
import { afterAll, expect, test } from 'vitest'
import { type OidcProvider, startOidcProvider } from '../support/oidc-provider.ts'
import { openTestPages } from '../support/open-pages.ts'
import { configFor, openSigningIn } from '../support/signing-in.ts'

/** Each test has an outbox and a provider of its own: what is known of a provider is kept. */
const opened = new AsyncDisposableStack()
afterAll(() => opened.disposeAsync())

async function open(
  how: {
    secret?: string | null
    more?: Parameters<typeof configFor>[1]
    pages?: Parameters<typeof openTestPages>[0]
  } = {},
) {
  const { secret = 'secret' } = how
  const provider = opened.use(await startOidcProvider({ id: 'walhook', secret }))
  const config = configFor(provider, how.more)
  const pages = opened.use(await openTestPages({ ...how.pages, signIn: config }))
  return { provider, pages, config, browser: openSigningIn(pages) }
}

const problemAt = async (browser: ReturnType<typeof openSigningIn>) =>
  (await browser.get('/login/oidc')).headers.get('location')

test('while the provider is down, tokens still log in; when it is back, sign-in works', async () => {
  let now = Date.now()
  const { provider, pages, browser } = await open({ pages: { nowMs: () => now } })
  provider.misbehaves = { answer: (_path, response) => Boolean(response.destroy()) }
  expect(await problemAt(browser)).toBe('/login?problem=unreachable')
  expect(pages.failures).toMatchObject([{ problem: 'unreachable' }])
  // Asked twice, and not again at once, however many come.
  const asked = provider.requests.length
  expect(asked).toBe(2)
  await Promise.all(Array.from({ length: 10 }, () => problemAt(browser)))
  expect(provider.requests.length).toBe(asked)

  expect((await pages.get('/couplings')).status).toBe(200)
  const page = await browser.get('/login?problem=unreachable', { 'accept-language': 'nl' })
  expect(page.text).toContain('Example antwoordt niet')
  expect(page.text).toContain('name="token"')

  provider.misbehaves = {}
  expect(await problemAt(browser)).toBe('/login?problem=unreachable')
  now += 2_001
  expect(await problemAt(browser)).toMatch(/\/authorize/)
  provider.user = { ...provider.user, roles: ['viewer'] }
  expect((await browser.signIn()).status).toBe(200)
  // What it is like is known now: a log-in still begins while it is down.
  provider.misbehaves = { answer: (_path, response) => Boolean(response.destroy()) }
  expect(await problemAt(browser)).toMatch(/\/authorize/)
})

test('a provider that does not respond is given up after seconds', {
  timeout: 30_000,
}, async () => {
  const { provider, browser } = await open()
  const back = await browser.toProvider()
  provider.misbehaves = { answer: path => path === '/token' }
  const since = performance.now()
  expect((await browser.get(back)).headers.get('location')).toBe('/login?problem=unreachable')
  expect(performance.now() - since).toBeGreaterThan(4_000)
})

test('a port without HTTP counts as a provider that does not respond', async () => {
  const server = createServer(socket => socket.end('\0'))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  const { browser, pages } = await open({ more: { issuer: `http://127.0.0.1:${port}` } })
  expect(await problemAt(browser)).toMatch(/problem=(unreachable|unusable)/)
  expect(pages.failures.length).toBe(1)
  server.close()
})

test.each<[string, OidcProvider['misbehaves']]>([
  ['names another issuer', { metadata: { issuer: 'https://evil.example' } }],
  ['has no page for log-ins', { metadata: { authorization_endpoint: undefined } }],
  [
    'is no JSON',
    {
      answer: (_path, response) =>
        Boolean(response.writeHead(200, { 'content-type': 'text/html' }).end('<p>')),
    },
  ],
  [
    'leads elsewhere',
    { answer: (_path, response) => Boolean(response.writeHead(302, { location: '/a' }).end()) },
  ],
])('a provider whose metadata %s is refused', async (_, misbehaves) => {
  const { provider, pages, browser } = await open()
  provider.misbehaves = misbehaves
  expect(await problemAt(browser)).toBe('/login?problem=unusable')
  expect(pages.failures).toMatchObject([{ problem: 'unusable', reason: expect.stringMatching(/\w/) }])
})

test('a wrong client secret is reported as such, and is in no log', async () => {
  const { provider, pages, browser } = await open()
  provider.client.secret = 'another'
  expect((await browser.signIn()).headers.get('location')).toBe('/login?problem=client')
  expect(pages.failures).toEqual([{ problem: 'client', reason: 'invalid_client', address: '192.0.2.1' }])
})

test('a client without a secret signs in with PKCE only', async () => {
  const { browser } = await open({ secret: null })
  expect((await browser.signIn()).status).toBe(200)
})

test('a log-in expires after ten minutes', async () => {
  let now = Date.now()
  const { browser } = await open({ pages: { nowMs: () => now } })
  const back = await browser.toProvider()
  now += 11 * 60_000
  expect((await browser.get(back)).headers.get('location')).toBe('/login?problem=expired')
})

test('sign-ins are limited per network and minute, without delaying other networks', async () => {
  let address = '192.0.2.1'
  // However long they take, they come within one minute.
  const now = Date.now()
  const { pages, provider } = await open({ pages: { addressOf: () => address, nowMs: () => now } })
  const results = []
  for (let i = 0; i < 31; i++) results.push((await openSigningIn(pages).signIn()).status)
  expect(results).toEqual([...Array(30).fill(200), 303])
  const asked = provider.requests.filter(({ path }) => path === '/token').length
  expect(asked).toBe(30)
  address = '198.51.100.7'
  expect((await openSigningIn(pages).signIn()).status).toBe(200)
})

const ofTenants = {
  roleClaim: 'roles',
  roles: new Map([
    ['viewer', 'viewer'],
    ['admin', 'admin'],
  ] as const),
  tenantClaim: 'org',
  allTenants: new Set(['admin']),
  nameClaim: null,
  userClaim: 'account',
}

test("a user with a tenant sees and changes only that tenant's webhooks", async () => {
  const { provider, pages, browser } = await open({
    more: { mapping: ofTenants },
    pages: { hasTenants: true },
  })
  const ids: Record<string, unknown> = {}
  for (const tenant of ['acme', 'bravo']) {
    const body = { name: `CRM of ${tenant}`, url: 'https://example.com', triggers: ['user.update'], tenant }
    const made = await pages.call('POST', '/api/webhooks', body)
    ids[tenant] = made.json.id
  }
  // Although their role value needs no tenant.
  provider.user = { sub: 'jane', email: 'jane@acme.example', roles: ['admin'], org: 'acme', account: 7 }
  expect((await browser.signIn()).status).toBe(200)
  const list = await browser.get('/couplings')
  expect(list.text).toContain('CRM of acme')
  expect(list.text).not.toContain('CRM of bravo')
  expect((await browser.get(`/couplings/${ids.acme}`)).status).toBe(200)
  expect((await browser.get(`/couplings/${ids.bravo}`)).status).toBe(404)

  provider.user = { sub: 'joe', roles: ['viewer'] }
  const refused = await openSigningIn(pages).signIn()
  expect(refused.status).toBe(403)
  expect(refused.text).toContain('belongs to no tenant')
  provider.user = { sub: 'root', roles: ['admin'] }
  const staff = openSigningIn(pages)
  expect((await staff.signIn()).status).toBe(200)
  expect((await staff.get('/couplings')).text).toContain('CRM of bravo')
})

test('sessions end when the provider, client or claim mapping changes', async () => {
  const { pages, config, browser } = await open()
  await browser.signIn()
  const cookie = browser.sessionCookie()
  const { createSessions } = await import('../../src/control/access/sessions.ts')
  const { providerMacOf } = await import('../../src/control/access/sign-in.ts')
  const callerWith = async (signIn: typeof config | undefined) => {
    const { control } = pages
    const providerMac = providerMacOf(control.sealKey, signIn)
    const sessions = createSessions({
      ...{ control, providerMac, nowMs: Date.now },
      authenticate: async () => ({ ok: false, isHeld: false, waitMs: 0 }),
      admin: { token: 'an-admin-token-for-tests', userId: null },
    })
    return await sessions.find(cookie.replace('walhook_session=', ''))
  }
  expect(await callerWith(config)).toMatchObject({ kind: 'oidc', subject: 'jane', role: 'viewer' })
  // How long and under which name is no matter of who is who.
  expect(await callerWith({ ...config, sessionMs: 1, providerName: 'b', clientSecret: 'c' })).not.toBeNull()
  expect(await callerWith(undefined)).toBeNull()
  expect(await callerWith({ ...config, issuer: 'https://other.example' })).toBeNull()
  expect(await callerWith({ ...config, clientId: 'b' })).toBeNull()
  const mapping = { ...config.mapping, roles: new Map([['viewer', 'admin'] as const]) }
  expect(await callerWith({ ...config, mapping })).toBeNull()
})
