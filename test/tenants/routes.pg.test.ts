import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Route } from '../../src/api/kit/route.ts'
import { routes } from '../../src/api/routes.ts'
import { openTestApi } from '../support/open-api.ts'
import { statementsOf } from '../support/statements-sent.ts'
import { type Filled, fillTenant } from '../support/two-tenants.ts'

let at: Awaited<ReturnType<typeof openTestApi>>
let acme: Filled
let bravo: Filled
const tokens = new Map<string, string>()
/** What acme got where it asked for lists, before there was a bravo. */
const before = new Map<string, string>()
const roles = ['viewer', 'admin'] as const

beforeAll(async () => {
  at = await openTestApi({ hasTenants: true, resolve: async () => ['127.0.0.1'] })
  acme = await fillTenant(at, 'acme', '7')
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

/** By operation: what a call sends besides the path. A new operation must say it here, and so is asked as another tenant. */
const bodies: Record<string, ((of: Filled) => unknown) | null> = {
  createWebhook: of => ({
    name: 'x',
    url: 'https://x.example',
    triggers: ['user.new'],
    tenant: of.tenant,
  }),
  applyWebhooks: of => ({
    source: 'x.yaml',
    prune: true,
    webhooks: {
      x: {
        url: 'https://x.example',
        triggers: ['user.new'],
        tenant: of.tenant,
      },
    },
  }),
  previewFilter: () => ({ triggers: ['user.new'], filter: { 'user.email': 'x' } }),
  changeWebhook: () => ({ name: 'taken' }),
  testWebhook: of => ({ user_id: of.entityId }),
  resendEvent: of => ({ event_id: String(of.eventId) }),
  resendFailed: () => ({ from: '2020-01-01T00:00:00Z' }),
  replayEvents: of => ({ event_ids: [String(of.eventId)] }),
  startReplay: () => ({ from: '2020-01-01T00:00:00Z' }),
  cancelWaiting: of => ({ event_id: String(of.eventId) }),
  askRecipient: of => ({ address: `ops@${of.tenant}.example` }),
  rotateSecret: () => ({ overlap_hours: 0 }),
  startBackfill: of => ({ entity_type: 'user', webhook_id: of.webhookId }),
  changeBackfill: () => ({ rows_per_second: 5 }),
  forgetEntity: of => ({ entity_type: 'user', entity_id: of.entityId }),
  createSession: of => ({ name: 'x', role: 'admin', tenant: of.tenant }),
  createToken: of => ({ name: 'x', role: 'admin', tenant: of.tenant }),
}

/** By parameter of the path: whose it names. A new one must say it here. */
const params: Record<string, (of: Filled, path: string) => string | number | bigint> = {
  id: (of, path) =>
    path.startsWith('/api/webhooks/') ? of.webhookId : path.startsWith('/api/tokens/') ? of.tokenId : 1,
  event_id: of => of.eventId,
  attempt_id: of => of.attemptId,
  replay_id: of => of.replayId,
  trigger: () => 'user.new',
}
/** By parameter of the query; null: it names nothing that somebody has. */
const queries: Record<string, ((of: Filled) => string) | null> = {
  tenant: of => `tenant=${of.tenant}`,
  webhook_id: of => `webhook_id=${of.webhookId}`,
  event_id: of => `event_id=${of.eventId}`,
  entity_id: of => `entity_type=user&entity_id=${of.entityId}`,
  ...{ entity_type: null, action: null, state: null, outcome: null, trigger: null, from: null, to: null },
  ...{ limit: null, cursor: null, open: null, force: null },
}

const pathOf = ({ path }: Route, of: Filled) =>
  path.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    if (!params[name]) throw new Error(`the test does not know {${name}} of ${path}`)
    return String(params[name](of, path))
  })

const idsOf = ({ webhookId, eventId, attemptId, tokenId, replayId }: Filled) => [
  ...[webhookId, eventId, attemptId, tokenId, replayId],
]

const neutral = (text: string, of: Filled) =>
  text
    .replaceAll(new RegExp(`\\b(${idsOf(of).join('|')})\\b`, 'g'), 'ID')
    .replaceAll(/"[89]\\?"/g, '"ID"')
    .replaceAll(/"(created|updated)_at":"[^"]*"/g, '')

/** Asks for what another tenant has and for what nobody has: the same answer, by the same statements. */
async function expectAlike(ask: (of: Filled) => Promise<{ status: number; text: string }>) {
  // What is kept in memory is there from the first call on.
  await ask(nowhere)
  const theirs = await statementsOf(() => ask(bravo))
  const none = await statementsOf(() => ask(nowhere))
  expect(theirs.done.status).toBe(none.done.status)
  expect(neutral(theirs.done.text, bravo)).toBe(neutral(none.done.text, nowhere))
  expect(theirs.statements).toEqual(none.statements)
  expect(theirs.done.text).not.toMatch(/bravo(?!\.example)/)
  return theirs.done
}

const cases = routes.flatMap(route =>
  roles.map(role => ({ role, name: `${route.method} ${route.path}`, route })),
)

test.each(cases)(
  'to a $role of a tenant, $name responds for foreign objects as for missing ones',
  async ({ role, route }) => {
    const body = route.body ? bodies[route.id] : null
    expect({ route: route.id, hasBody: body !== undefined }).toEqual({ route: route.id, hasBody: true })
    const theirs = await expectAlike(of =>
      at.call(route.method.toUpperCase(), pathOf(route, of), body?.(of), tokens.get(role)!),
    )
    if (route.tenants === undefined) expect(theirs.status).toBe(404)
    const hasId = route.path.replace('{trigger}', '').includes('{')
    if (hasId) expect([403, 404]).toContain(theirs.status)
  },
)

const ofQueries = routes.flatMap(route =>
  Object.keys(route.query?.shape ?? {}).map(name => ({ name, path: route.path, route })),
)

test.each(ofQueries)(
  'a foreign $name in the query of $path responds like a missing one',
  async ({ name, route }) => {
    expect(Object.keys(queries)).toContain(name)
    const query = queries[name]
    if (!query) return
    // Of its own webhook, where the path has one.
    const path = (of: Filled) =>
      `${pathOf(route, { ...acme, ...(route.params && { eventId: acme.eventId }) })}?${query(of)}`
    await expectAlike(of => at.call(route.method.toUpperCase(), path(of), undefined, tokens.get('admin')!))
  },
)

const ofOwnWebhooks = routes.filter(
  ({ id, tenants, path }) =>
    tenants === 'webhook' &&
    (path.match(/\{/g)!.length > 1 ||
      JSON.stringify(bodies[id]?.({ ...nowhere, eventId: 1n })) !==
        JSON.stringify(bodies[id]?.({ ...nowhere, eventId: 2n, entityId: '2' }))),
)

test.each(ofOwnWebhooks.map(route => ({ name: `${route.method} ${route.path}`, route })))(
  '$name of an own webhook with a foreign event, request or replay is not found',
  async ({ route }) => {
    const own = (of: Filled) => ({ ...of, webhookId: acme.webhookId })
    const theirs = await expectAlike(of =>
      at.call(
        route.method.toUpperCase(),
        pathOf(route, own(of)),
        bodies[route.id]?.(of),
        tokens.get('admin')!,
      ),
    )
    // 202: counted by what was found, which is nothing.
    expect([202, 404, 409, 422]).toContain(theirs.status)
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

test('lists of a tenant do not change when another tenant appears', async () => {
  for (const role of roles)
    for (const { path } of lists()) {
      const { text } = await at.call('GET', path, undefined, tokens.get(role)!)
      expect({ role, path, text }).toEqual({ role, path, text: before.get(`${role} ${path}`) })
      expect(text).not.toMatch(tellsOfBravo())
    }
})
