import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Page } from '../../src/admin/kit/page.ts'
import { pages } from '../../src/admin/pages.ts'
import { openTestPages, ours } from '../support/open-pages.ts'
import { type Filled, fillTenant } from '../support/two-tenants.ts'

let at: Awaited<ReturnType<typeof openTestPages>>
let acme: Filled
let bravo: Filled
const cookies = new Map<string, string>()
const before = new Map<string, string>()
const roles = ['viewer', 'admin'] as const
const nowhere: Filled = { webhookId: 999_999, eventId: 99n, attemptId: 98n, tokenId: 999_998 }

beforeAll(async () => {
  // A minute that ends between two looks would show one more request in a plot.
  const nowMs = Date.now()
  at = await openTestPages({ hasTenants: true, nowMs: () => nowMs })
  acme = await fillTenant(at, 'acme', '7')
  for (const role of roles)
    cookies.set(role, await at.cookieFor(await at.token(role, { userId: '7', tenant: 'acme', name: 'ours' })))
  for (const role of roles)
    for (const path of lists()) before.set(`${role} ${path}`, (await get(path, role)).text)
  bravo = await fillTenant(at, 'bravo', '8')
})
afterAll(() => at[Symbol.asyncDispose]())

const lists = () =>
  pages
    .filter(({ method, path }) => method === 'get' && !path.includes(':') && !path.endsWith('/live'))
    .map(({ path }) => path)

const get = (path: string, role: 'viewer' | 'admin') =>
  at.send(path, { headers: { cookie: cookies.get(role)!, accept: 'text/html' } })

/** Without what differs at every look, or says only what the reader has sent. */
const neutral = (text: string, of: Filled) =>
  text
    .replaceAll(new RegExp(`\\b(${Object.values(of).join('|')})\\b`, 'g'), 'ID')
    .replaceAll(/[0-9a-f]{32}/g, 'KEY')

const pathOf = ({ path }: Page, of: Filled) =>
  path
    .replace('/couplings/:id', `/couplings/${of.webhookId}`)
    .replace('/tokens/:id', `/tokens/${of.tokenId}`)
    .replace(':event', String(of.eventId))
    .replace(':attempt', String(of.attemptId))

/** What forms may name; each page takes what it knows. */
const formOf = (of: Filled) => ({
  ...{ event_id: String(of.eventId), key: 'a'.repeat(32), user_id: '8' },
  ...{ from: '1000', overlap_hours: '0', is_active: 'false', url: 'https://x.example', name: 'x' },
})

const cases = pages.flatMap(page => roles.map(role => ({ role, name: `${page.method} ${page.path}`, page })))

test.each(cases)(
  'to a $role of a tenant, $name shows of what is another’s what it shows of what is not there',
  async ({ role, page }) => {
    const ask = (of: Filled) => {
      const path = pathOf(page, of)
      const cookie = cookies.get(role)!
      if (page.method === 'get' && page.path.endsWith('/live') && !page.path.includes(':'))
        return get('/couplings', role)
      if (page.method === 'get') return get(path, role)
      const headers = { cookie, 'content-type': 'application/x-www-form-urlencoded', ...ours }
      return at.send(path, { method: 'POST', headers, body: new URLSearchParams(formOf(of)).toString() })
    }
    const [theirs, none] = [await ask(bravo), await ask(nowhere)]
    expect(theirs.status).toBe(none.status)
    expect(neutral(theirs.text, bravo)).toBe(neutral(none.text, nowhere))
    if (page.tenants === undefined) expect(theirs.status).toBe(404)
    if (page.path.includes(':')) expect([403, 404]).toContain(theirs.status)
    expect(theirs.text).not.toContain('bravo')
  },
)

test('what lists show to a tenant is what they showed before there was another', async () => {
  for (const role of roles)
    for (const path of lists()) {
      const { text } = await get(path, role)
      expect({ path, text: neutral(text, nowhere) }).toEqual({
        path,
        text: neutral(before.get(`${role} ${path}`)!, nowhere),
      })
    }
})

test('nor do searches and filters find anything of another', async () => {
  for (const path of [
    '/couplings?search=bravo',
    '/couplings?tenant=bravo',
    `/events?id=${bravo.eventId}`,
    `/events?id=msg_${bravo.webhookId}_${bravo.eventId}`,
    '/events?entity_type=user&entity_id=8',
    '/events?tenant=bravo',
    '/events?state=dead&action=update',
    '/events?state=pending',
    '/events/live',
    '/tokens?tenant=bravo',
    '/audit?tenant=bravo',
    `/audit?webhook=${bravo.webhookId}`,
  ]) {
    const { text } = await get(path, 'admin')
    const unsaid = text.replaceAll(/value="[^"]*"|\?[^"]*"|“bravo”/g, '')
    expect({ path, unsaid }).not.toEqual({ path, unsaid: expect.stringMatching(/bravo/) })
    expect(text).not.toContain(`/couplings/${bravo.webhookId}`)
  }
  // What the other tenant's webhooks have is counted nowhere: one dead letter, one that is delivered, one that waits.
  for (const state of ['dead', 'delivered', 'pending']) {
    const { text } = await get(`/events?state=${state}`, 'viewer')
    expect({ state, lines: text.match(/<tr><th scope="row">/g)?.length }).toEqual({ state, lines: 1 })
  }
})

test('its own are all there, and only whoever belongs to no tenant sees whose they are', async () => {
  for (const path of [
    '/couplings',
    '/tokens',
    '/audit',
    '/events',
    `/couplings/${acme.webhookId}`,
    `/events/${acme.eventId}`,
    '/health',
  ]) {
    const { status, text } = await get(path, 'admin')
    expect({ path, status }).toEqual({ path, status: 200 })
    expect(text).not.toContain('Tenant acme')
    expect(text).not.toMatch(/slot|WAL\b|WALHOOK_ADMIN_TOKEN/)
  }
  for (const path of [
    '/couplings',
    '/tokens',
    '/audit',
    '/events',
    `/couplings/${acme.webhookId}`,
    `/events/${acme.eventId}`,
  ])
    expect({ path, text: (await at.get(path)).text }).toEqual({
      path,
      text: expect.stringContaining('Tenant acme'),
    })
  const only = (await at.get('/couplings?tenant=bravo')).text
  expect(only).toContain('CRM of bravo')
  expect(only).not.toContain('CRM of acme')
})

test('an administrator makes a webhook and a token for a tenant on the pages', async () => {
  const made = await at.post('/couplings/new', {
    ...{
      name: 'Made',
      url: 'https://made.example/',
      is_active: 'true',
      trigger: 'user.new',
      tenant: 'carol',
      key: 'b'.repeat(32),
    },
  })
  expect(made.status).toBe(201)
  expect(
    (
      await at.post('/tokens/new', {
        name: 'Made',
        role: 'admin',
        user_id: '',
        tenant: 'carol',
        expires: '30d',
        key: 'c'.repeat(32),
      })
    ).status,
  ).toBe(201)
  const { rows } = await at.outbox.pool.query(
    `select tenant from walhook.webhooks where name = 'Made' union all select tenant from walhook.tokens where name = 'Made'`,
  )
  expect(rows).toEqual([{ tenant: 'carol' }, { tenant: 'carol' }])
})

test('a tenant reads no name of an entity that another tenant got, and the one that got it does', async () => {
  const [moved] = await at.append('user 77 update bravo acme')
  await at.outbox.pool.query(
    `update walhook.events set body = left(body, -1) || ',"result":{"name_first":"Anna"}}' where id = $1`,
    [moved],
  )
  const cookie = await at.cookieFor(
    await at.token('viewer', { userId: '8', tenant: 'bravo', name: 'theirs' }),
  )
  for (const path of ['/events', `/events/${moved}`]) {
    expect((await get(path, 'admin')).text).not.toContain('Anna')
    expect((await at.send(path, { headers: { cookie } })).text).toContain('Anna')
    expect((await at.get(path)).text).toContain('Anna')
  }
})
