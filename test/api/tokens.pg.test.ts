import { afterAll, beforeAll, expect, test } from 'vitest'
import { routes } from '../../src/api/routes.ts'
import { mayAct, roles } from '../../src/domain/access/role.ts'
import { openTestApi } from '../support/open-api.ts'

let at: Awaited<ReturnType<typeof openTestApi>>
beforeAll(async () => {
  at = await openTestApi()
})
afterAll(() => at[Symbol.asyncDispose]())

const tomorrow = () => new Date(Date.now() + 86_400_000).toISOString()
const get = (token: string) => at.call('GET', '/api/webhooks', undefined, token)

test('a token is created, shown once, used, listed and revoked', async () => {
  const expires_at = tomorrow()
  const made = await at.call('POST', '/api/tokens', { name: ' CI ', role: 'viewer', user_id: 8, expires_at })
  expect(made.status).toBe(201)
  const { token, ...rest } = made.json
  expect(token).toMatch(/^whk_[\w-]{43}$/)
  expect(rest).toEqual({
    id: expect.any(Number),
    name: 'CI',
    role: 'viewer',
    tenant: null,
    user_id: '8',
    created_at: expect.any(String),
    expires_at,
    last_used_at: null,
    revoked_at: null,
  })
  expect((await get(token)).status).toBe(200)
  const listed = async () => {
    const { json } = await at.call('GET', `/api/tokens?limit=1&cursor=${rest.id - 1}`)
    return json.data[0]
  }
  expect(await listed()).toEqual({ ...rest, last_used_at: expect.any(String) })

  expect((await at.call('DELETE', `/api/tokens/${rest.id}`)).status).toBe(204)
  expect((await get(token)).status).toBe(401)
  const revoked = await listed()
  expect(revoked.revoked_at).toEqual(expect.any(String))
  expect((await at.call('DELETE', `/api/tokens/${rest.id}`)).status).toBe(204)
  expect((await listed()).revoked_at).toBe(revoked.revoked_at)
  const { json } = await at.call('GET', '/api/audit')
  const about = json.data.filter((one: { target_id: string }) => one.target_id === String(rest.id))
  expect(about.map(({ action }: { action: string }) => action)).toEqual(['token.revoked', 'token.created'])
  expect(JSON.stringify(json)).not.toContain(token)
})

test('a token expires', async () => {
  const token = await at.token('viewer', { expiresAt: new Date(Date.now() + 86_400_000) })
  expect((await get(token)).status).toBe(200)
  await at.outbox.pool.query(`update walhook.tokens set expires_at = now() where expires_at > now()`)
  const { status, json } = await get(token)
  expect({ status, detail: json.detail }).toEqual({ status: 401, detail: expect.stringContaining('expired') })
})

test.each<[string, object, string]>([
  ['no name', { role: 'viewer' }, '/name'],
  ['no role', { name: 'CI' }, '/role'],
  ['a role that there is not', { name: 'CI', role: 'owner' }, '/role'],
  ['an account that is none', { name: 'CI', role: 'viewer', user_id: [] }, '/user_id'],
  ['an end that is past', { name: 'CI', role: 'viewer', expires_at: '2020-01-01T00:00:00Z' }, '/expires_at'],
  [
    'an end without an offset',
    { name: 'CI', role: 'viewer', expires_at: '2099-01-01T00:00:00' },
    '/expires_at',
  ],
  ['an end that is no time', { name: 'CI', role: 'viewer', expires_at: 'soon' }, '/expires_at'],
  ['a token of one’s own', { name: 'CI', role: 'viewer', token: 'whk_mine' }, '/token'],
])('%s is a wrong field', async (_what, body, pointer) => {
  const { status, json } = await at.call('POST', '/api/tokens', body)
  expect({ status, pointers: json.errors.map((one: { pointer: string }) => one.pointer) }).toEqual({
    status: 422,
    pointers: [pointer],
  })
})

/** All that calls could change, but when a token was used last. */
async function everything(): Promise<string> {
  const tables = ['webhooks', 'tokens', 'audit', 'deliveries', 'skips', 'ended_deliveries', 'attempts']
  const contents = []
  for (const table of tables) {
    const { rows } = await at.outbox.pool.query(
      `select to_jsonb(t) - 'last_used_at' as row from walhook.${table} t order by t::text`,
    )
    contents.push(rows)
  }
  return JSON.stringify(contents, (_key, value) => (typeof value === 'bigint' ? String(value) : value))
}

test.each(roles)(
  'across the whole OpenAPI document, the role %s can call exactly the permitted operations',
  async role => {
    const body = { name: 'CRM', url: 'https://crm.example.com/hooks', triggers: ['user.new'] }
    const { id } = (await at.call('POST', '/api/webhooks', body)).json
    const token = await at.token(role)
    const before = await everything()
    for (const route of routes.filter(route => !mayAct(role, route.role))) {
      const path = route.path.replaceAll(/\{\w+\}/g, String(id))
      for (const sent of [undefined, {}, body]) {
        const { status, json } = await at.call(
          route.method.toUpperCase(),
          path,
          route.method === 'get' ? undefined : sent,
          token,
        )
        expect({ status, json }, route.id).toMatchObject({
          status: 403,
          json: { title: 'Role not sufficient' },
        })
        expect(json.detail).toContain(`the role ${route.role}; "CI" has the role ${role}`)
      }
    }
    expect(await everything()).toBe(before)
    for (const route of routes.filter(route => mayAct(role, route.role))) {
      const path = route.path.replaceAll(/\{\w+\}/g, '999999')
      const { status } = await at.call(route.method.toUpperCase(), path, undefined, token)
      expect([200, 400, 404, 409, 422], `${route.id} ${status}`).toContain(status)
    }
  },
)

test('a viewer can only read', () => {
  for (const { method, role, id } of routes) if (role === 'viewer') expect(method, id).toBe('get')
})
