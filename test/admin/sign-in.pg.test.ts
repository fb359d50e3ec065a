import type { ServerResponse } from 'node:http'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type OidcProvider, startOidcProvider } from '../support/oidc-provider.ts'
import { openTestPages } from '../support/open-pages.ts'
import { configFor, openSigningIn } from '../support/signing-in.ts'

let provider: OidcProvider
let pages: Awaited<ReturnType<typeof openTestPages>>
beforeAll(async () => {
  provider = await startOidcProvider({ id: 'walhook', secret: 'a secret: of-the/client' })
  pages = await openTestPages({ signIn: configFor(provider), addressOf: () => `192.0.2.${network}` })
})
afterAll(async () => {
  await pages[Symbol.asyncDispose]()
  await provider[Symbol.asyncDispose]()
})
const jane = { sub: 'jane', email: 'jane@example.com', roles: ['viewer'] }
/** A network of its own for each test: how often one may sign in is bounded. */
let network = 0
beforeEach(() => {
  network++
  Object.assign(provider, { user: jane, userinfo: {}, misbehaves: {} })
  provider.requests.length = 0
  pages.failures.length = 0
})

const inserted = async () =>
  (await pages.outbox.pool.query('select count(*)::int from walhook.sessions')).rows[0].count

test("a sign-in at the provider starts a session in that person's name, which the audit records", async () => {
  const browser = openSigningIn(pages)
  const login = await browser.get('/login?to=/events')
  expect(login.text).toContain('href="/login/oidc?to=%2Fevents"')
  expect(login.text).toContain('Log in with Example')

  const done = await browser.signIn('/login/oidc?to=%2Fevents')
  expect(done.status).toBe(200)
  // By our own page, and not by a redirection: the session's cookie is Strict.
  expect(done.headers.get('refresh')).toBe('0;url=/events')
  expect(done.headers.get('referrer-policy')).toBe('no-referrer')
  expect(done.headers.getSetCookie().find(line => line.startsWith('walhook_session='))).toMatch(
    /HttpOnly; SameSite=Strict/,
  )
  expect([...browser.cookies.keys()]).toEqual(['walhook_session'])

  const page = await browser.get('/events')
  expect(page.status).toBe(200)
  expect(page.text).toContain('jane@example.com')
  expect((await browser.get('/tokens')).status).toBe(403)
  const audit = await pages.get('/audit')
  expect(audit.text).toContain('jane@example.com')
  const { rows } = await pages.outbox.pool.query(
    "select actor_kind, actor, changes from walhook.audit where action = 'session.started' and actor_kind = 'oidc'",
  )
  expect(rows).toMatchObject([
    { actor: 'jane@example.com', changes: { subject: { to: 'jane' }, role: { to: 'viewer' } } },
  ])
})

test('a browser is sent to the provider with PKCE, a state and a nonce, which differ each time', async () => {
  const browser = openSigningIn(pages)
  const sent = async () => new URL((await browser.get('/login/oidc')).headers.get('location')!).searchParams
  const [first, second] = [await sent(), await sent()]
  expect(Object.fromEntries(first)).toMatchObject({
    client_id: 'walhook',
    code_challenge_method: 'S256',
    redirect_uri: 'http://walhook.test/login/oidc/callback',
    response_type: 'code',
    scope: 'openid email',
  })
  for (const name of ['state', 'nonce', 'code_challenge']) {
    expect(first.get(name)!.length).toBeGreaterThan(30)
    expect(first.get(name)).not.toBe(second.get(name))
  }
})

test("over https, sign-in cookies are bound to the host, and only the sign-in's own cookie is sent across sites", async () => {
  const https = { 'x-forwarded-proto': 'https' }
  const begun = await openSigningIn(pages).get('/login/oidc', https)
  expect(begun.headers.getSetCookie()).toEqual([
    expect.stringMatching(/^__Host-walhook_sign_in_[\w-]{8}=.*; Path=\/; HttpOnly; Secure; SameSite=Lax$/),
  ])
})

const misbehaviours: [string, OidcProvider['misbehaves'], string][] = [
  ['a token with the nonce of another sign-in', { claims: { nonce: 'another' } }, 'unusable'],
  ['a token without a nonce', { claims: { nonce: undefined } }, 'unusable'],
  ['a token of another issuer', { claims: { iss: 'https://evil.example' } }, 'unusable'],
  ['a token for another client', { claims: { aud: 'another' } }, 'unusable'],
  ['a token for several, given to another', { claims: { aud: ['walhook', 'b'], azp: 'b' } }, 'unusable'],
  ['a token that has expired', { claims: { exp: 1_700_000_000 } }, 'clock'],
  ['a token that is valid later', { claims: { nbf: 4_000_000_000 } }, 'clock'],
  ['a token that nobody signed', { header: { alg: 'none' } }, 'unusable'],
  ['a token that a stranger signed', { otherKey: true }, 'unusable'],
  ['a token with a key that nobody has', { header: { kid: 'two' } }, 'unusable'],
  ['an answer that names another issuer', { callback: { iss: 'https://evil.example' } }, 'unusable'],
  ['an answer that names no issuer, although it always does', { callback: { iss: '' } }, 'unusable'],
  ['a code of its own making', { callback: { code: 'invented' } }, 'used'],
  ['a log-in that was cancelled', { callback: { code: '', error: 'access_denied' } }, 'cancelled'],
  ['an error', { callback: { code: '', error: 'server_error' } }, 'refused'],
  ['a session that has ended there', { claims: { session_expiry: 1_700_000_000 } }, 'clock'],
  [
    'an error of its own',
    { answer: (path, response, json) => path === '/token' && busy(response, json) },
    'unreachable',
  ],
]
test.each(misbehaviours)('a provider that returns %s signs nobody in', async (_, misbehaves, problem) => {
  const before = await inserted()
  provider.misbehaves = misbehaves
  const browser = openSigningIn(pages)
  const back = await browser.toProvider()
  const done = await browser.get(back)
  expect(done.status).toBe(303)
  expect(done.headers.get('location')).toBe(`/login?problem=${problem}`)
  expect(browser.cookies.size).toBe(0)
  expect(await inserted()).toBe(before)
  const [failure] = pages.failures
  expect(failure).toMatchObject({ problem })
  // Neither codes nor tokens are in the log, also where the provider repeats them.
  const { code = '', state } = Object.fromEntries(new URL(back, 'http://a').searchParams)
  for (const secret of [code, state!, 'a secret', 'eyJ'].filter(one => one !== ''))
    expect(JSON.stringify(failure)).not.toContain(secret)
  expect((await browser.get(`/login?problem=${problem}`)).text).toContain('role="alert"')
})

test('a callback that no browser started causes no request and no query', async () => {
  const first = openSigningIn(pages)
  const back = await first.toProvider()
  provider.requests.length = 0
  const { query } = pages.outbox.pool
  let asked = 0
  pages.outbox.pool.query = ((...args: Parameters<typeof query>) => {
    asked++
    return query.apply(pages.outbox.pool, args)
  }) as typeof query
  try {
    const other = openSigningIn(pages)
    for (const path of [
      back,
      '/login/oidc/callback',
      '/login/oidc/callback?code=a&state=b',
      `${back}&state=${'a'.repeat(32)}`,
    ])
      expect((await other.get(path)).headers.get('location')).toBe('/login?problem=unknown')
    // A cookie that somebody made up, and one of another sign-in of this browser.
    const [[name, kept]] = [...first.cookies] as [[string, string]]
    await other.toProvider()
    const [, ofOther] = [...other.cookies][0]!
    for (const value of [`${kept}x`, kept.replace('.', 'a.'), 'x.y', '', ofOther]) {
      const answer = await other.get(back, { cookie: `${name}=${value}` })
      expect(answer.headers.get('location')).toBe('/login?problem=unknown')
    }
    expect(provider.requests.filter(({ path }) => path === '/token')).toEqual([])
    expect(asked).toBe(0)
  } finally {
    pages.outbox.pool.query = query
  }
  // It was not used up by that.
  expect((await first.get(back)).status).toBe(200)
})

test('a sign-in can be completed once, even if the provider accepts its code twice', async () => {
  provider.misbehaves = { codesLast: true }
  const browser = openSigningIn(pages)
  const back = await browser.toProvider()
  const kept = [...browser.cookies]
  expect((await browser.get(back)).status).toBe(200)
  expect((await browser.get(back)).headers.get('location')).toBe('/login?problem=unknown')
  for (const [name, value] of kept) browser.cookies.set(name, value)
  expect((await browser.get(back)).headers.get('location')).toBe('/login?problem=used')
})

test('two log-ins in two tabs of a browser do not interfere', async () => {
  const browser = openSigningIn(pages)
  const [first, second] = [await browser.toProvider('/login/oidc?to=/audit'), await browser.toProvider()]
  expect((await browser.get(second)).status).toBe(200)
  expect((await browser.get(first)).headers.get('refresh')).toBe('0;url=/audit')
})

test.each([
  '//evil.example',
  'https://evil.example',
  '/\\evil.example',
  '/login',
  `/${'a'.repeat(600)}`,
  '/\n',
])("a log-in redirects to walhook's own pages only, never to %j", async to => {
  const done = await openSigningIn(pages).signIn(`/login/oidc?to=${encodeURIComponent(to)}`)
  expect(done.headers.get('refresh')).toBe('0;url=/')
})

test.each([
  ['no role claim', { roles: undefined }],
  ['a role that nothing is said about', { roles: ['Admin', 'root'] }],
  ['a role claim of another form', { roles: { admin: true } }],
])('a user with %s gets a page that explains it', async (_, claims) => {
  provider.user = { ...jane, email: '<b>jane</b>', ...claims }
  const browser = openSigningIn(pages)
  const done = await browser.signIn()
  expect(done.status).toBe(403)
  expect(done.text).toContain('has no role in walhook')
  expect(done.text).toContain('&lt;b&gt;jane&lt;/b&gt;')
  expect(browser.cookies.size).toBe(0)
  expect((await browser.get('/couplings')).headers.get('location')).toMatch(/^\/login/)
  const { rows } = await pages.outbox.pool.query(
    "select changes from walhook.audit where action = 'session.refused' order by id desc limit 1",
  )
  expect(rows).toMatchObject([{ changes: { subject: { to: 'jane' }, problem: { to: 'no_role' } } }])
})

test('claims missing from the ID token are read from the userinfo endpoint', async () => {
  provider.user = { sub: 'jane' }
  provider.userinfo = { roles: 'operator', email: 'jane@example.org' }
  expect((await openSigningIn(pages).signIn()).status).toBe(200)
  // Of somebody else they count for nothing.
  provider.userinfo = { sub: 'eve', roles: 'admin' }
  expect((await openSigningIn(pages).signIn()).headers.get('location')).toBe('/login?problem=unusable')
})

test("log-out ends both the local and the provider's session, without a token in a URL", async () => {
  const browser = openSigningIn(pages)
  await browser.signIn()
  const cookie = browser.sessionCookie()
  const out = await pages.post('/logout', {}, null, { cookie, 'sec-fetch-site': 'same-origin' })
  expect(out.status).toBe(200)
  expect(out.text).toContain(`action="${provider.issuer}/end"`)
  expect(out.text).toMatch(/name="id_token_hint" value="eyJ[\w-]+\.[\w-]+\.[\w-]+"/)
  expect(out.text).toContain('name="post_logout_redirect_uri" value="http://walhook.test/login/oidc/out"')
  expect(out.headers.get('content-security-policy')).toContain(`form-action 'self' ${provider.issuer};`)
  expect((await pages.send('/couplings', { headers: { cookie } })).status).toBe(303)
  expect((await browser.get('/login/oidc/out')).headers.get('location')).toBe('/login?done=out')
})

test('log-out everywhere ends all sessions of that person only', async () => {
  const browsers = [openSigningIn(pages), openSigningIn(pages), openSigningIn(pages)]
  for (const [i, browser] of browsers.entries()) {
    provider.user = { ...jane, sub: i < 2 ? 'joan' : 'jim' }
    expect((await browser.signIn()).status).toBe(200)
  }
  const headers = { cookie: browsers[0]!.sessionCookie(), 'sec-fetch-site': 'same-origin' }
  await pages.post('/logout-everywhere', {}, null, headers)
  const seen = await Promise.all(browsers.map(async browser => (await browser.get('/couplings')).status))
  expect(seen).toEqual([303, 303, 200])
  expect((await pages.get('/couplings')).status).toBe(200)
})

test("a session ends at the earlier of the provider's limit and the configured one", async () => {
  const ends = async () => {
    const { rows } = await pages.outbox.pool.query(
      'select extract(epoch from expires_at - now())::float8 s from walhook.sessions order by created_at desc limit 1',
    )
    return rows[0].s
  }
  await openSigningIn(pages).signIn()
  expect(await ends()).toBeGreaterThan(3_500)
  expect(await ends()).toBeLessThanOrEqual(3_600)
  provider.user = { ...jane, session_expiry: Math.floor(Date.now() / 1000) + 600 }
  await openSigningIn(pages).signIn()
  expect(await ends()).toBeLessThanOrEqual(600)
})

test('the ID token is stored sealed, and the session id as a hash', async () => {
  await openSigningIn(pages).signIn()
  const { rows } = await pages.outbox.pool.query('select * from walhook.sessions where subject is not null')
  expect(rows.length).toBeGreaterThan(0)
  // Where a value begins: three letters come by chance inside of what is sealed.
  expect(JSON.stringify(rows)).not.toMatch(/"eyJ|"whs_/)
  expect(rows.every(row => row.id_token.startsWith('v1:'))).toBe(true)
})
function busy(response: ServerResponse, json: (to: ServerResponse, status: number, body: object) => void) {
  json(response, 503, {})
  return true
}

test('an endless response is cut off', async () => {
  let written = 0
  provider.misbehaves = {
    answer(path, response) {
      if (path !== '/token') return false
      response.writeHead(200, { 'content-type': 'application/json' })
      const more = () => {
        while (!response.destroyed && response.write(' '.repeat(65_536))) written += 65_536
      }
      response.on('drain', more)
      more()
      return true
    },
  }
  const done = await openSigningIn(pages).signIn()
  expect(done.headers.get('location')).toBe('/login?problem=unusable')
  expect(pages.failures).toMatchObject([{ reason: expect.stringContaining('more than 524288 bytes') }])
  expect(written).toBeLessThan(50_000_000)
})
