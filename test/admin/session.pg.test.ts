import { Hono } from 'hono'
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest'
import {
  type AdminEnv,
  dropSession,
  keepSession,
  onlyOurPages,
  requireSession,
  sessionOf,
} from '../../src/admin/kit/session.ts'
import { createAuthenticator } from '../../src/control/access/authenticate.ts'
import { hashOf } from '../../src/control/access/credentials.ts'
import { createRates } from '../../src/control/access/rates.ts'
import { createSessions } from '../../src/control/access/sessions.ts'
import { revokeToken } from '../../src/control/access/tokens.ts'
import { commandLine } from '../../src/control/kit/control.ts'
import { parseSealKey } from '../../src/domain/webhook/seal.ts'
import { adminToken, openTestApi } from '../support/open-api.ts'

let at: Awaited<ReturnType<typeof openTestApi>>
beforeAll(async () => {
  at = await openTestApi()
})
afterAll(() => at[Symbol.asyncDispose]())

function open(token: string | null = adminToken) {
  const admin = { token, userId: '7' }
  const authenticate = createAuthenticator({ outbox: at.outbox, admin, nowMs: () => Date.now() })
  return createSessions({ control: at.control, authenticate, admin, nowMs: () => Date.now() })
}

async function logIn(sessions: ReturnType<typeof open>, token: string) {
  const result = await sessions.logIn(token, '192.0.2.1')
  if (!result.ok) throw new Error('not let in')
  return result
}

test('a token starts a session of twelve hours, stored only as a hash', async () => {
  const sessions = open()
  const token = await at.token('operator', { name: 'Ann', userId: '8' })
  const { session, caller, expiresAt } = await logIn(sessions, token)
  expect(session).toMatch(/^whs_[\w-]{43}$/)
  expect(caller).toMatchObject({ kind: 'token', name: 'Ann', role: 'operator', userId: '8' })
  expect(await sessions.find(session)).toEqual(caller)
  expect(expiresAt.getTime() - Date.now()).toBeGreaterThan(11.9 * 3_600_000)
  expect(expiresAt.getTime() - Date.now()).toBeLessThanOrEqual(12 * 3_600_000 + 1_000)
  const { rows } = await at.outbox.pool.query(
    `select s::text || encode(hash, 'escape') as row from walhook.sessions s`,
  )
  expect(JSON.stringify(rows)).not.toContain(session.slice(4))
})

test('a wrong token starts no session and slows its address down; the right one still works', async () => {
  const sessions = open()
  for (let i = 0; i < 5; i++)
    expect(await sessions.logIn(`whk_${i}`, '192.0.2.9')).toMatchObject({ ok: false })
  expect(await sessions.logIn('whk_5', '192.0.2.9')).toMatchObject({ ok: false, isHeld: true })
  expect(await sessions.logIn(adminToken, '192.0.2.9')).toMatchObject({ ok: true })
})

test('log-ins are audited; failed ones once a minute per network, with their number', async () => {
  const clock = { ms: 0 }
  const admin = { token: adminToken, userId: '7' }
  const nowMs = () => clock.ms
  const authenticate = createAuthenticator({ outbox: at.outbox, admin, nowMs })
  const sessions = createSessions({ control: at.control, authenticate, admin, nowMs })
  await at.outbox.pool.query('delete from walhook.audit')
  const recorded = async () => {
    const { rows } = await at.outbox.pool.query(
      'select actor_kind, action, changes from walhook.audit order by id',
    )
    return rows.map(row => [
      row.actor_kind,
      row.action,
      row.changes.address.to,
      row.changes.failures?.to ?? null,
    ])
  }
  for (let i = 0; i < 100; i++) await sessions.logIn('whk_guess', `2001:db8::${i.toString(16)}`)
  expect(await recorded()).toEqual([['walhook', 'session.refused', '2001:db8::0', 1]])
  clock.ms += 60_000
  await sessions.logIn('whk_guess', '2001:db8::1')
  await sessions.logIn(adminToken, '192.0.2.1')
  expect((await recorded()).slice(1)).toEqual([
    ['walhook', 'session.refused', '2001:db8::1', 100],
    ['configuration', 'session.started', '192.0.2.1', null],
  ])
  // However many addresses fail, and however often a token logs in.
  for (let i = 0; i < 100; i++) await sessions.logIn('whk_guess', `198.51.100.${i}`)
  for (let i = 0; i < 100; i++) await sessions.logIn(adminToken, '192.0.2.1')
  expect((await recorded()).length).toBeLessThanOrEqual(62)
})

test('an invented session id causes no query; session ids of the previous version still work', async () => {
  const sessions = open()
  const token = await at.token('viewer')
  const { session, caller } = await logIn(sessions, token)
  const old = `whs_${Buffer.alloc(32, 7).toString('base64url')}`
  await at.outbox.pool.query(
    `insert into walhook.sessions (hash, token_id, expires_at) values ($1, $2, now() + interval '1 hour')`,
    [hashOf(old), caller.tokenId],
  )
  expect(await sessions.find(old)).toEqual(caller)
  const { count } = countQueries()
  for (let i = 0; i < 1_000; i++)
    expect(await sessions.find(`whs_${Buffer.alloc(32, i).toString('base64url').slice(0, 42)}x`)).toBeNull()
  // The old ones are read again once a second at most.
  expect(count()).toBeLessThanOrEqual(5)
  expect(await sessions.find(session)).toEqual(caller)
})

test('a token and all its sessions share one rate limit, also after a restart', async () => {
  const admin = { token: adminToken, userId: '7' }
  const authenticate = createAuthenticator({ outbox: at.outbox, admin, nowMs: () => Date.now() })
  const sessions = open()
  const token = await at.token('viewer')
  const { session, caller } = await logIn(sessions, token)
  const { session: another } = await logIn(sessions, token)
  const key = `token ${caller.tokenId}`
  expect([sessions.classify(session), sessions.classify(another)]).toEqual(
    Array(2).fill({ is: 'holder', key }),
  )
  // The log-in has used another authenticator: by this one it has not been found yet.
  expect(authenticate.classify(token)).toEqual({ is: 'perhaps' })
  await authenticate(token, '192.0.2.1')
  expect(authenticate.classify(token)).toEqual({ is: 'holder', key })
  expect(authenticate.classify(adminToken)).toEqual({ is: 'holder', key: 'token of the configuration' })
  expect(authenticate.classify('whk_invented')).toEqual({ is: 'invented' })

  const restarted = open()
  expect(restarted.classify(session)).toEqual({ is: 'perhaps' })
  await restarted.find(session)
  expect([restarted.classify(session), restarted.classify(another)]).toEqual([
    { is: 'holder', key },
    { is: 'holder', key: another },
  ])
})

function countQueries() {
  const query = vi.spyOn(at.outbox.pool, 'query')
  onTestFinished(() => query.mockRestore())
  return { count: () => query.mock.calls.length }
}

test('a session that requests pages without a pause is limited like a token in the API', async () => {
  const at = pages(3)
  const cookie = (await cookieOf(at)).split(';')[0]!
  const status = async () => (await at.call('GET', '/admin/page', { cookie })).status
  expect([await status(), await status(), await status(), await status()]).toEqual([200, 200, 200, 429])
  expect((await at.call('GET', '/admin/page', { cookie })).headers.get('retry-after')).toBe('20')
})

test.each(['', 'whs_', 'whs_wrong', 'whk_wrong', adminToken])('%j is not a session', async text => {
  expect(await open().find(text)).toBeNull()
})

test('a session ends with its token: revoked, or expired', async () => {
  const sessions = open()
  const ends: ((id: number) => Promise<unknown>)[] = [
    id => revokeToken(at.control, commandLine, id),
    id => at.outbox.pool.query('update walhook.tokens set expires_at = now() where id = $1', [id]),
  ]
  for (const end of ends) {
    const { session, caller } = await logIn(sessions, await at.token('viewer'))
    expect(await sessions.find(session)).not.toBeNull()
    await end(caller.tokenId!)
    expect(await sessions.find(session)).toBeNull()
  }
})

test("a session ends no later than its token, and has the token's current role", async () => {
  const sessions = open()
  const soon = new Date(Date.now() + 3_600_000)
  const { session, expiresAt, caller } = await logIn(sessions, await at.token('admin', { expiresAt: soon }))
  expect(expiresAt).toEqual(soon)
  await at.outbox.pool.query(`update walhook.tokens set role = 'viewer' where id = $1`, [caller.tokenId])
  expect((await sessions.find(session))?.role).toBe('viewer')
})

test('a session of the configured token ends when the token or the key changes', async () => {
  const { session } = await logIn(open(), adminToken)
  expect(await open().find(session)).toMatchObject({ kind: 'configuration', role: 'admin', userId: '7' })
  expect(await open('another-admin-token').find(session)).toBeNull()
  expect(await open(null).find(session)).toBeNull()
  const sealKey = parseSealKey(Buffer.alloc(32, 9).toString('base64'))!
  const other = createSessions({
    control: { ...at.control, sealKey },
    authenticate: async () => ({ ok: false, isHeld: false, waitMs: 0 }),
    admin: { token: adminToken, userId: '7' },
    nowMs: () => Date.now(),
  })
  expect(await other.find(session)).toBeNull()
})

test('a session ends at its time, and is then forgotten', async () => {
  const sessions = open()
  const { session } = await logIn(sessions, adminToken)
  await at.outbox.pool.query(`update walhook.sessions set expires_at = now() - interval '1 second'`)
  expect(await sessions.find(session)).toBeNull()
  await logIn(sessions, adminToken)
  expect(await at.count('sessions')).toBe(1)
})

test('log-out ends one session; log-out everywhere ends all sessions of that token only', async () => {
  const sessions = open()
  const token = await at.token('viewer')
  const [first, second, third] = [
    await logIn(sessions, token),
    await logIn(sessions, token),
    await logIn(sessions, token),
  ]
  const other = await logIn(sessions, adminToken)
  await sessions.logOut(first.session)
  expect(await sessions.find(first.session)).toBeNull()
  expect(await sessions.find(second.session)).not.toBeNull()
  expect(await sessions.logOutEverywhere(second.caller)).toBe(2)
  for (const { session } of [second, third]) expect(await sessions.find(session)).toBeNull()
  expect(await sessions.find(other.session)).not.toBeNull()
  const { json } = await at.call('GET', '/api/audit?limit=1')
  expect(json.data[0]).toMatchObject({ action: 'sessions.ended', changes: { count: { to: 2 } } })
  expect(await sessions.logOutEverywhere(other.caller)).toBeGreaterThan(0)
  expect(await sessions.find(other.session)).toBeNull()
})

/** Pages as they will be: log-in, something to look at, something that changes. */
function pages(quota = 1_000) {
  const sessions = open()
  const changed: string[] = []
  const app = new Hono<AdminEnv>()
    .post('/login', onlyOurPages(), async c => {
      const result = await sessions.logIn(await c.req.text(), '192.0.2.1')
      if (!result.ok) return c.text('no', 401)
      keepSession(c, result)
      return c.text('welcome')
    })
    .use(
      '/admin/*',
      requireSession(sessions, c => c.redirect('/login'), {
        rates: createRates({ quota, windowS: 60 }, () => 0),
        onOften: c => c.text('often', 429),
        frames: [],
      }),
    )
    .get('/admin/page', c => c.text(c.get('caller').name))
    .post('/admin/change', c => {
      changed.push(c.get('caller').name)
      return c.text('changed')
    })
    .post('/admin/logout', async c => {
      await sessions.logOut(sessionOf(c)!)
      dropSession(c, c.get('caller'))
      return c.text('bye')
    })
  const call = (method: string, path: string, headers: Record<string, string>, body?: string) =>
    app.request(`http://walhook.test${path}`, {
      method,
      headers: { host: 'walhook.test', ...headers },
      ...(body !== undefined && { body }),
    })
  return { call, changed }
}
const ours = { 'sec-fetch-site': 'same-origin', origin: 'http://walhook.test' }

async function cookieOf(at: ReturnType<typeof pages>, headers: Record<string, string> = {}) {
  const answer = await at.call('POST', '/login', { ...ours, ...headers }, adminToken)
  return answer.headers.get('set-cookie')!
}

test('the cookie is HttpOnly, SameSite, and Secure over https', async () => {
  const plain = await cookieOf(pages())
  expect(plain).toMatch(/^walhook_session=whs_[\w-]+; Path=\/; Expires=[^;]+GMT; HttpOnly; SameSite=Strict$/)
  // No other host of the domain can set it.
  expect(await cookieOf(pages(), { 'x-forwarded-proto': 'https' })).toMatch(
    /^__Host-walhook_session=whs_[\w-]+; Path=\/; Expires=[^;]+GMT; HttpOnly; Secure; SameSite=Strict$/,
  )
})

test('a session can read and change; a missing or wrong one can do neither', async () => {
  const at = pages()
  const cookie = (await cookieOf(at)).split(';')[0]!
  expect(await (await at.call('GET', '/admin/page', { cookie })).text()).toBe('WALHOOK_ADMIN_TOKEN')
  expect((await at.call('POST', '/admin/change', { cookie, ...ours })).status).toBe(200)
  for (const wrong of [
    {},
    { cookie: 'walhook_session=whs_wrong' },
    { cookie: `walhook_session=${adminToken}` },
  ]) {
    expect((await at.call('GET', '/admin/page', wrong)).headers.get('location')).toBe('/login')
    expect((await at.call('POST', '/admin/change', { ...wrong, ...ours })).status).toBe(302)
  }
  expect(at.changed).toEqual(['WALHOOK_ADMIN_TOKEN'])
})

test.each<[string, Record<string, string>]>([
  ['another site', { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' }],
  ['another site that hides', { 'sec-fetch-site': 'cross-site', origin: 'null' }],
  ['a neighbour of the same site', { 'sec-fetch-site': 'same-site', origin: 'http://other.walhook.test' }],
  ['another origin, from an old browser', { origin: 'https://evil.example' }],
  ['nobody in particular', {}],
])('%s can neither post with a session nor log somebody in', async (_who, headers) => {
  const at = pages()
  const cookie = (await cookieOf(at)).split(';')[0]!
  expect((await at.call('POST', '/admin/change', { cookie, ...headers })).status).toBe(403)
  expect(at.changed).toEqual([])
  const logIn = await at.call('POST', '/login', headers, adminToken)
  expect({ status: logIn.status, cookie: logIn.headers.get('set-cookie') }).toEqual({
    status: 403,
    cookie: null,
  })
})

test('a stolen cookie ends with log-out', async () => {
  const at = pages()
  const cookie = (await cookieOf(at)).split(';')[0]!
  const out = await at.call('POST', '/admin/logout', { cookie, ...ours })
  expect(out.headers.get('set-cookie')).toMatch(/^walhook_session=; Max-Age=0/)
  expect((await at.call('GET', '/admin/page', { cookie })).status).toBe(302)
})
