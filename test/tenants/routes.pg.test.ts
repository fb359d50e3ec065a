import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Route } from '../../src/api/kit/route.ts'
import { routes } from '../../src/api/routes.ts'
import { openTestApi } from '../support/open-api.ts'
import { type Filled, fillTenant } from '../support/two-tenants.ts'

let at: Awaited<ReturnType<typeof openTestApi>>
let bravo: Filled
const tokens = new Map<string, string>()
/** What acme got where it asked for lists, before there was a bravo. */
const before = new Map<string, string>()
const roles = ['viewer', 'admin'] as const

beforeAll(async () => {
  at = await openTestApi({ hasTenants: true })
  await fillTenant(at, 'acme', '7')
  for (const role of roles)
    tokens.set(role, await at.token(role, { userId: '7', tenant: 'acme', name: 'ours' }))
  for (const role of roles)
    for (const { path } of lists())
      before.set(`${role} ${path}`, (await at.call('GET', path, undefined, tokens.get(role)!)).text)
  bravo = await fillTenant(at, 'bravo', '8')
})
afterAll(() => at[Symbol.asyncDispose]())

const lists = () => routes.filter(({ method, params }) => method === 'get' && !params)

/** What no answer to acme may hold, however it is written. */
const tellsOfBravo = () => new RegExp(`bravo|"(id|webhook_id)":"?(${bravo.webhookId}|${bravo.eventId})"?[,}]`)
/** There is nothing with these ids. */
const nowhere: Filled = { webhookId: 999_999, eventId: 99n, attemptId: 98n, tokenId: 999_998 }

/** By operation: what a call sends besides the path. A new operation must say it here, and so is asked as another tenant. */
const bodies: Record<string, ((of: Filled) => unknown) | null> = {
  createWebhook: of => ({
    name: 'x',
    url: 'https://x.example',
    triggers: ['user.new'],
    tenant: of === bravo ? 'bravo' : 'nowhere',
  }),
  applyWebhooks: of => ({
    source: 'x.yaml',
    prune: true,
    webhooks: {
      x: {
        url: 'https://x.example',
        triggers: ['user.new'],
        tenant: of === bravo ? 'bravo' : 'nowhere',
      },
    },
  }),
  previewFilter: () => ({ triggers: ['user.new'], filter: { 'user.email': 'x' } }),
  changeWebhook: () => ({ name: 'taken' }),
  testWebhook: () => ({ user_id: 8 }),
  resendEvent: of => ({ event_id: String(of.eventId) }),
  resendFailed: () => ({ from: '2020-01-01T00:00:00Z' }),
  replayEvents: of => ({ event_ids: [String(of.eventId)] }),
  startReplay: () => ({ from: '2020-01-01T00:00:00Z' }),
  cancelWaiting: of => ({ event_id: String(of.eventId) }),
  rotateSecret: () => ({ overlap_hours: 0 }),
  startBackfill: of => ({ entity_type: 'user', webhook_id: of.webhookId }),
  changeBackfill: () => ({ rows_per_second: 5 }),
  forgetEntity: () => ({ entity_type: 'user', entity_id: '8' }),
  createSession: of => ({ name: 'x', role: 'admin', tenant: of === bravo ? 'bravo' : 'nowhere' }),
  createToken: of => ({ name: 'x', role: 'admin', tenant: of === bravo ? 'bravo' : 'nowhere' }),
}

function pathOf({ path }: Route, of: Filled): string {
  return path
    .replace('/webhooks/{id}', `/webhooks/${of.webhookId}`)
    .replace('/tokens/{id}', `/tokens/${of.tokenId}`)
    .replace('{event_id}', String(of.eventId))
    .replace('{attempt_id}', String(of.attemptId))
    .replace(/\{\w+\}/, '1')
}

const cases = routes.flatMap(route =>
  roles.map(role => ({ role, name: `${route.method} ${route.path}`, route })),
)

test.each(cases)(
  'to a $role of a tenant, $name says the same of what is another’s as of what is not there',
  async ({ role, route }) => {
    const body = route.body ? bodies[route.id] : null
    expect({ route: route.id, hasBody: body !== undefined }).toEqual({ route: route.id, hasBody: true })
    const ask = (of: Filled) =>
      at.call(route.method.toUpperCase(), pathOf(route, of), body?.(of), tokens.get(role)!)
    const [theirs, none] = [await ask(bravo), await ask(nowhere)]
    const neutral = (text: string, of: Filled) =>
      text
        .replaceAll(new RegExp(`\\b(${Object.values(of).join('|')})\\b`, 'g'), 'ID')
        .replaceAll(/"(created|updated)_at":"[^"]*"/g, '')
    expect(theirs.status).toBe(none.status)
    expect(neutral(theirs.text, bravo)).toBe(neutral(none.text, nowhere))
    if (route.tenants === undefined) expect(theirs.status).toBe(404)
    if (route.params) expect([403, 404]).toContain(theirs.status)
    expect(theirs.text).not.toMatch(/bravo(?!\.example)/)
  },
)

test('nothing of another tenant was changed by all these calls', async () => {
  const { rows } = await at.outbox.pool.query(
    `select w.name, w.version, t.revoked_at, (select count(*)::int from walhook.audit where tenant = 'bravo') as audited,
            (select count(*)::int from walhook.skips) as skips, (select count(*)::int from walhook.deliveries) as rows
     from walhook.webhooks w, walhook.tokens t where w.id = $1 and t.id = $2`,
    [bravo.webhookId, bravo.tokenId],
  )
  expect(rows).toEqual([
    { name: 'CRM of bravo', version: 1, revoked_at: null, audited: 2, skips: 0, rows: 0 },
  ])
})

test('lists of a tenant are what they were before there was another', async () => {
  for (const role of roles)
    for (const { path } of lists()) {
      const { text } = await at.call('GET', path, undefined, tokens.get(role)!)
      expect({ role, path, text }).toEqual({ role, path, text: before.get(`${role} ${path}`) })
      expect(text).not.toMatch(tellsOfBravo())
    }
})
