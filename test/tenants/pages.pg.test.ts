import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Page } from '../../src/admin/kit/page.ts'
import { pages } from '../../src/admin/pages.ts'
import { en } from '../../src/admin/texts/en.ts'
import { timeOf } from '../../src/domain/value/time-id.ts'
import { openTestPages, ours } from '../support/open-pages.ts'
import { statementsOf } from '../support/statements-sent.ts'
import { type Filled, fillTenant } from '../support/two-tenants.ts'

let at: Awaited<ReturnType<typeof openTestPages>>
let acme: Filled
let bravo: Filled
let nowMs: number
const cookies = new Map<string, string>()
const before = new Map<string, string>()
const roles = ['viewer', 'admin'] as const
const nowhere: Filled = {
  ...{
    tenant: 'nowhere',
    entityId: '9',
    webhookId: 999_999,
    eventId: 99n,
    attemptId: 98n,
    tokenId: 999_998,
  },
  replayId: 999_997,
}

beforeAll(async () => {
  // A minute that ends between two looks would show one more request in a plot.
  nowMs = Date.now()
  at = await openTestPages({ hasTenants: true, nowMs: () => nowMs, resolve: async () => ['127.0.0.1'] })
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

const idsOf = ({ webhookId, eventId, attemptId, tokenId, replayId }: Filled) => [
  ...[webhookId, eventId, attemptId, tokenId, replayId],
]

/** Without what differs at every look, or says only what the reader has sent. */
const neutral = (text: string, of: Filled) =>
  text
    .replaceAll(new RegExp(`\\b(${idsOf(of).join('|')})\\b`, 'g'), 'ID')
    .replaceAll(/"[89]\\?"/g, '"ID"')
    .replaceAll(/[0-9a-f]{32}/g, 'KEY')

/** By parameter of the path: whose it names. A new one must say it here. */
const params: Record<string, (of: Filled, path: string) => string | number | bigint> = {
  id: (of, path) => (path.startsWith('/tokens/') ? of.tokenId : of.webhookId),
  event: of => of.eventId,
  attempt: of => of.attemptId,
  replay: of => of.replayId,
  backfill: () => 1,
  trigger: () => 'user.new',
}

const pathOf = ({ path }: Page, of: Filled) =>
  path.replaceAll(/:(\w+)/g, (_, name: string) => {
    if (!params[name]) throw new Error(`the test does not know :${name} of ${path}`)
    return String(params[name](of, path))
  })

let forms = 0
/** What forms may name; each page takes what it knows. */
const formOf = (of: Filled) => ({
  ...{ event_id: String(of.eventId), key: String(++forms).padStart(32, '0'), user_id: of.entityId },
  ...{ from: '1000', overlap_hours: '0', is_active: 'false', url: 'https://x.example', name: 'x' },
})

async function ask(page: Page, role: (typeof roles)[number], of: Filled) {
  const path = pathOf(page, of)
  if (page.method === 'get') return await get(path, role)
  const headers = { cookie: cookies.get(role)!, 'content-type': 'application/x-www-form-urlencoded', ...ours }
  return await at.send(path, { method: 'POST', headers, body: new URLSearchParams(formOf(of)).toString() })
}

/** The same page, by the same statements, for what another tenant has and for what nobody has. */
async function expectAlike(look: (of: Filled) => Promise<{ status: number; text: string }>) {
  // What is kept in memory is there from the first look on.
  await look(nowhere)
  const theirs = await statementsOf(() => look(bravo))
  const none = await statementsOf(() => look(nowhere))
  expect(theirs.done.status).toBe(none.done.status)
  expect(neutral(theirs.done.text, bravo)).toBe(neutral(none.done.text, nowhere))
  expect(theirs.statements).toEqual(none.statements)
  expect(theirs.done.text).not.toContain('bravo')
  return theirs.done
}

/** Without those that never end: for a tenant they are what `what lists show` looks at. */
const ended = pages.filter(({ path }) => !path.endsWith('/live') || path.includes(':'))
const cases = ended.flatMap(page => roles.map(role => ({ role, name: `${page.method} ${page.path}`, page })))

test.each(cases)(
  'to a $role of a tenant, $name shows foreign objects like missing ones',
  async ({ role, page }) => {
    const theirs = await expectAlike(of => ask(page, role, of))
    if (page.tenants === undefined) expect(theirs.status).toBe(404)
    const hasId = page.path.replace(':trigger', '').includes(':')
    if (hasId) expect([403, 404]).toContain(theirs.status)
  },
)

const ofOwnWebhooks = ended.filter(
  ({ tenants, path }) =>
    tenants === 'webhook' && (path.match(/:/g)!.length > 1 || /\/(resend|cancel)$/.test(path)),
)

test.each(ofOwnWebhooks.map(page => ({ name: `${page.method} ${page.path}`, page })))(
  '$name of an own webhook with a foreign event, request or replay is not found',
  async ({ page }) => {
    const theirs = await expectAlike(of => ask(page, 'admin', { ...of, webhookId: acme.webhookId }))
    expect(theirs.status).toBeLessThan(500)
  },
)

test('pages of a tenant do not change when another tenant appears', async () => {
  for (const role of roles)
    for (const path of lists()) {
      const { text } = await get(path, role)
      expect({ path, text: neutral(text, nowhere) }).toEqual({
        path,
        text: neutral(before.get(`${role} ${path}`)!, nowhere),
      })
    }
})

test('searches and filters find nothing of another tenant', async () => {
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

test('a tenant sees all its own objects, and only users without a tenant see tenant names', async () => {
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

test('an administrator creates a webhook and a token for a tenant on the pages', async () => {
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

test("only the tenant that got an entity's label can read it", async () => {
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

test('the page of a backfill names only triggers that the tenant of the webhook can get', async () => {
  const { json } = await at.call('POST', '/api/webhooks', {
    ...{ name: 'Updates', url: 'https://crm.example.com/', triggers: ['user.update'], tenant: 'acme' },
  })
  const { text } = await at.get(`/couplings/${json.id}/backfill`)
  expect(text).toContain('A backfill sends rows as user.new, and')
})

test("a tenant's Health shows what was sent in the current minute", async () => {
  nowMs = timeOf(BigInt(acme.attemptId))
  const { text } = await get('/health', 'admin')
  const shown = text.split(`<p class="hint">${en.health.plotLabel('1', '0')}</p>`).length - 1
  expect(shown).toBe(2)
})
