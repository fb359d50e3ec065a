import { afterAll, beforeAll, expect, test } from 'vitest'
import { adminToken } from '../support/open-api.ts'
import { openTestPages, ours } from '../support/open-pages.ts'
import { type Filled, fillTenant } from '../support/two-tenants.ts'

const app = 'https://app.example.com'
let at: Awaited<ReturnType<typeof openTestPages>>
let acme: Filled
let bravo: Filled
beforeAll(async () => {
  at = await openTestPages({ hasTenants: true, frames: [app] })
  acme = await fillTenant(at, 'acme', '7')
  bravo = await fillTenant(at, 'bravo', '8')
})
afterAll(() => at[Symbol.asyncDispose]())

const input = { tenant: 'acme', role: 'admin', name: 'Jane', user_id: 7, language: 'nl' }
const link = async (more: object = {}, token?: string) =>
  await at.call('POST', '/api/sessions', { ...input, ...more }, token)
const pathOf = (url: string) => url.replace('https://walhook.test', '')
/** What a browser sends with which somebody goes there. */
const visit = { 'sec-fetch-mode': 'navigate' }
const https = { 'x-forwarded-proto': 'https', ...visit }
const enter = async (url: string, headers: Record<string, string> = {}) =>
  await at.send(pathOf(url), { headers: { ...visit, ...headers } })
const cookiesOf = (headers: Headers) =>
  headers
    .getSetCookie()
    .map(cookie => cookie.split(';')[0]!)
    .join('; ')

test('a link opens the pages once for its tenant, in its language, and redirects to walhook only', async () => {
  const made = await link()
  expect(made.status).toBe(201)
  expect(made.json.url).toMatch(/^https:\/\/walhook\.test\/enter\?link=whl_[\w-]{43}$/)
  const minutes = (Date.parse(made.json.expires_at) - Date.now()) / 60_000
  expect(minutes).toBeGreaterThan(4)
  expect(minutes).toBeLessThanOrEqual(5)
  expect((await at.send(pathOf(made.json.url), { method: 'HEAD' })).status).toBe(204)

  const entered = await enter(made.json.url)
  expect({ status: entered.status, to: entered.headers.get('location') }).toEqual({
    status: 303,
    to: '/couplings',
  })
  const cookie = cookiesOf(entered.headers)
  const page = await at.send('/couplings', { headers: { cookie } })
  expect(page.text).toContain('<html lang="nl">')
  expect(page.text).toContain('CRM of acme')
  expect(page.text).not.toContain('bravo')
  expect((await at.send(`/couplings/${bravo.webhookId}`, { headers: { cookie } })).status).toBe(404)
  expect((await at.send('/backfills', { headers: { cookie } })).status).toBe(404)

  const again = await enter(made.json.url, { 'accept-language': 'en' })
  expect(again.status).toBe(410)
  expect(again.text).toContain('This link has expired')
  expect(again.headers.getSetCookie()).toEqual([])
})

test("a user of a link acts with its name and role, and is in the tenant's audit", async () => {
  const cookie = cookiesOf((await enter((await link({ name: 'Ann', role: 'operator' })).json.url)).headers)
  const form = {
    method: 'POST',
    headers: { cookie, 'content-type': 'application/x-www-form-urlencoded', ...ours },
  }
  expect(
    (await at.send(`/couplings/${acme.webhookId}/active`, { ...form, body: 'is_active=false' })).status,
  ).toBe(403)
  expect((await at.send(`/couplings/${acme.webhookId}/cancel`, { ...form, body: 'all=true' })).status).toBe(
    303,
  )
  const theirs = await at.call('GET', '/api/audit?tenant=acme')
  expect(
    theirs.json.data.map((one: { action: string; actor: { kind: string; name: string } }) => [
      one.action,
      one.actor.kind,
      one.actor.name,
    ]),
  ).toEqual(
    expect.arrayContaining([
      ['deliveries.cancelled', 'link', 'Ann'],
      ['session.started', 'link', 'Ann'],
      ['session.linked', 'configuration', 'WALHOOK_ADMIN_TOKEN'],
    ]),
  )
  expect(theirs.text).not.toContain('whl_')
  const own = await at.call(
    'GET',
    '/api/audit',
    undefined,
    await at.token('admin', { tenant: 'acme', name: 'own' }),
  )
  expect(own.text).not.toContain('WALHOOK_ADMIN_TOKEN')
  expect(own.text).toContain('administrator')
})

test("over https the cookie is partitioned for frames; without frames it is Lax, and a token's stays Strict", async () => {
  const { url } = (await link()).json
  const entered = await at.send(pathOf(url), { headers: { ...https, 'sec-fetch-dest': 'iframe' } })
  for (const cookie of entered.headers.getSetCookie())
    expect(cookie).toMatch(/^(?=.*HttpOnly)(?=.*Secure)(?=.*SameSite=None)(?=.*Partitioned)/)
  expect(entered.headers.getSetCookie().join()).toContain('__Host-walhook_frame=')
  await using alone = await openTestPages({ hasTenants: true })
  const made = await alone.call('POST', '/api/sessions', input)
  const lax = await alone.send(pathOf(made.json.url), { headers: https })
  expect(lax.headers.getSetCookie().find(one => one.includes('session'))).toMatch(/SameSite=Lax/)
  expect(lax.headers.getSetCookie().join()).not.toContain('Partitioned')
})

test('a link opened in a tab has its own cookie, which frames do not get', async () => {
  const { url } = (await link()).json
  const entered = await at.send(pathOf(url), { headers: { ...https, 'sec-fetch-dest': 'document' } })
  const [cookie] = entered.headers.getSetCookie().filter(one => one.includes('walhook_session='))
  expect(cookie).toMatch(/^__Host-walhook_session=.*SameSite=Lax/)
  expect(cookie).not.toContain('Partitioned')
})

test('a frame and the tabs have separate sessions', async () => {
  const frame = { 'sec-fetch-dest': 'iframe' }
  const admin = cookiesOf((await at.post('/login', { token: adminToken }, null)).headers)
  const entered = cookiesOf((await enter((await link()).json.url, frame)).headers)
  expect(entered).not.toContain('walhook_session')
  const cookie = `${admin}; ${entered}`
  const read = async (headers: Record<string, string>, path = '/couplings') =>
    await at.send(path, { headers: { cookie, ...headers } })
  const all = await read({ 'sec-fetch-dest': 'document' })
  expect(all.text).toContain('CRM of bravo')
  for (const headers of [frame, { 'sec-fetch-dest': 'empty', 'walhook-frame': 'true' }]) {
    const own = await read(headers)
    expect(own.text).toContain('CRM of acme')
    expect(own.text).not.toContain('bravo')
    expect(own.headers.get('content-security-policy')).toContain(`frame-ancestors ${app}`)
  }
  const out = await at.send('/logout', { method: 'POST', headers: { cookie, ...ours, ...frame } })
  expect(cookiesOf(out.headers)).toMatch(/^walhook_frame=$/)
  expect((await read({ 'sec-fetch-dest': 'document' })).status).toBe(200)
})

test('only sessions of links are shown in frames, and only by the configured origins', async () => {
  const cookie = cookiesOf((await enter((await link()).json.url)).headers)
  const framed = await at.send('/couplings', { headers: { cookie } })
  expect(framed.headers.get('content-security-policy')).toMatch(
    /frame-ancestors https:\/\/app\.example\.com$/,
  )
  expect(framed.headers.get('x-frame-options')).toBe(null)
  for (const { headers } of [await at.get('/couplings'), await at.get('/login', null)]) {
    expect(headers.get('content-security-policy')).toMatch(/frame-ancestors 'none'$/)
    expect(headers.get('x-frame-options')).toBe('DENY')
  }
  const ended = await at.send('/couplings', { headers: { 'sec-fetch-dest': 'iframe' } })
  expect(ended.status).toBe(410)
  expect(ended.headers.get('content-security-policy')).toMatch(/frame-ancestors https:\/\/app/)
  const out = await at.send('/logout', { method: 'POST', headers: { cookie, ...ours } })
  expect(out.status).toBe(410)
  expect((await at.send('/couplings', { headers: { cookie } })).status).toBe(303)
})

test('a form of another site is refused, although the browser sends the cookie', async () => {
  const cookie = cookiesOf((await enter((await link()).json.url)).headers)
  const answer = await at.send(`/couplings/${acme.webhookId}/active`, {
    method: 'POST',
    headers: {
      cookie,
      'content-type': 'application/x-www-form-urlencoded',
      'sec-fetch-site': 'cross-site',
      origin: app,
    },
    body: 'is_active=false',
  })
  expect(answer.status).toBe(403)
})

test('a link and its session end with the token that created it, and expired or invented links are refused', async () => {
  const token = await at.token('admin', { name: 'SaaS' })
  const cookie = cookiesOf((await enter((await link({}, token)).json.url)).headers)
  const unused = (await link({}, token)).json.url
  expect((await at.send('/couplings', { headers: { cookie } })).status).toBe(200)
  const { rows } = await at.outbox.pool.query(`select id from walhook.tokens where name = 'SaaS'`)
  await at.call('DELETE', `/api/tokens/${rows[0].id}`)
  expect((await at.send('/couplings', { headers: { cookie } })).status).toBe(303)
  expect((await enter(unused)).status).toBe(410)

  const late = (await link()).json.url
  await at.outbox.pool.query(`update walhook.session_links set expires_at = now() - interval '1 s'`)
  expect((await enter(late)).status).toBe(410)
  expect((await enter(`https://walhook.test/enter?link=whl_${'a'.repeat(43)}`)).status).toBe(410)
  expect((await enter('https://walhook.test/enter')).status).toBe(410)
})

test('a link survives previews by programs and prefetching by browsers', async () => {
  const { url } = (await link()).json
  const looks = [{}, { 'sec-fetch-mode': 'cors' }, { ...visit, 'sec-purpose': 'prefetch;prerender' }]
  for (const headers of looks) {
    const looked = await at.send(pathOf(url), { headers })
    expect(looked).toMatchObject({ status: 200, text: expect.stringContaining('<form action="/enter"') })
    expect(looked.headers.getSetCookie()).toEqual([])
    expect(looked.headers.get('referrer-policy')).toBe('no-referrer')
  }
  // Over http a browser does not say that somebody goes there: they press the button.
  expect((await at.send(`${pathOf(url)}&open=true`, {})).status).toBe(303)
  expect((await enter(url)).status).toBe(410)
})

test('a form shown to one tenant is refused in the session of another', async () => {
  const cookieFor = async (tenant: string) =>
    cookiesOf((await enter((await link({ tenant })).json.url)).headers)
  const [ofAcme, ofBravo] = [await cookieFor('acme'), await cookieFor('bravo')]
  const webhook = { name: 'CRM', url: 'https://1.1.1.1/hook', is_active: 'true', trigger: 'user.new' }
  const token = { name: 'CRM', role: 'viewer', expires: 'never' }
  const forms = { '/couplings/new': webhook, '/tokens/new': token }
  for (const [path, form] of Object.entries(forms)) {
    const page = await at.send(path, { headers: { cookie: ofAcme } })
    const tenant = /name="tenant" value="(\w+)"/.exec(page.text)![1]!
    expect((await at.post(path, { ...form, tenant }, null, { ...ours, cookie: ofBravo })).status).toBe(422)
    expect((await at.post(path, { ...form, tenant }, null, { ...ours, cookie: ofAcme })).status).toBe(201)
  }
})

test("a tenant's token creates links for its tenant only; a viewer creates none", async () => {
  const own = await at.token('admin', { tenant: 'acme', name: 'own admin' })
  expect((await link({ tenant: undefined }, own)).status).toBe(201)
  expect((await link({ tenant: 'bravo' }, own)).json.errors).toMatchObject([
    { pointer: '/tenant', code: 'tenant.foreign' },
  ])
  expect((await link({}, await at.token('viewer', { tenant: 'acme', name: 'v' }))).status).toBe(403)
})

test.each([
  [{ tenant: undefined }, '/tenant', 'link.no_tenant'],
  [{ path: '//evil.example' }, '/path', 'link.path'],
  [{ path: '/login' }, '/path', 'link.path'],
  [{ path: '/enter?link=x' }, '/path', 'link.path'],
  [{ language: 'de' }, '/language', undefined],
  [{ role: 'owner' }, '/role', undefined],
  [{ valid_minutes: 61 }, '/valid_minutes', undefined],
  [{ name: ' ' }, '/name', undefined],
])('%j is refused', async (wrong, pointer, code) => {
  const { status, json } = await link(wrong)
  expect(status).toBe(422)
  expect(json.errors).toMatchObject([{ pointer, ...(code && { code }) }])
})

test('a tenant with blanks around its name, as of a column char(8), works on the pages', async () => {
  const tenant = 'carol   '
  const cookie = cookiesOf((await enter((await link({ tenant })).json.url)).headers)
  const webhook = { name: 'CRM', url: 'https://1.1.1.1/hook', is_active: 'true', trigger: 'user.new' }
  const token = { name: 'CRM', role: 'viewer', expires: 'never' }
  for (const [path, form] of Object.entries({ '/couplings/new': webhook, '/tokens/new': token })) {
    const page = await at.send(path, { headers: { cookie } })
    const shown = /name="tenant" value="([^"]*)"/.exec(page.text)![1]!
    expect((await at.post(path, { ...form, tenant: shown }, null, { ...ours, cookie })).status).toBe(201)
    expect((await at.post(path, { ...form, tenant: 'carol' }, null, { ...ours, cookie })).status).toBe(422)
  }
  const { rows } = await at.outbox.pool.query(
    `select tenant from walhook.webhooks where tenant like 'carol%' union all select tenant from walhook.tokens where tenant like 'carol%'`,
  )
  expect(rows).toEqual([{ tenant }, { tenant }])
})
