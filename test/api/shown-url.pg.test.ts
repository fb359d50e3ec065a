import { afterAll, beforeAll, expect, test } from 'vitest'
import { openTestPages } from '../support/open-pages.ts'
import { startTestReceiver } from '../support/test-receiver.ts'

let at: Awaited<ReturnType<typeof openTestPages>>
let receiver: Awaited<ReturnType<typeof startTestReceiver>>
let other: Awaited<ReturnType<typeof startTestReceiver>>
beforeAll(async () => {
  at = await openTestPages()
  receiver = await startTestReceiver(() => 500)
  other = await startTestReceiver()
})
afterAll(async () => {
  await receiver[Symbol.asyncDispose]()
  await other[Symbol.asyncDispose]()
  await at[Symbol.asyncDispose]()
})

const create = async (change: object = {}) =>
  (
    await at.call('POST', '/api/webhooks', {
      name: 'CRM',
      url: receiver.url,
      triggers: ['user.new'],
      ...change,
    })
  ).json

test.each(['viewer', 'operator'] as const)(
  'the secret in a URL is hidden from the role %s everywhere, and shown to an admin',
  async role => {
    const url = `${new URL(receiver.url).origin}/hooks/s3cret-path?token=t0ken-value`
    const { id } = await create({ url })
    const { json: made } = await at.call('POST', `/api/webhooks/${id}/test`)
    await at.post('/couplings/try', { url: `${url}-unsaved`, trigger: 'user.new' })
    await at.call('PATCH', `/api/webhooks/${id}`, { url: `${url}2` })
    const token = await at.token(role)
    const calls = [
      '/api/webhooks',
      `/api/webhooks/${id}`,
      `/api/webhooks/${id}/log`,
      `/api/webhooks/${id}/log/${made.id}`,
      '/api/status',
    ]
    for (const path of calls) {
      const { status, text, headers } = await at.call('GET', path, undefined, token)
      expect([path, status]).toEqual([path, 200])
      expect(`${text}${JSON.stringify([...headers])}`).not.toMatch(/s3cret-path|t0ken-value/)
    }
    const origin = new URL(receiver.url).origin
    expect((await at.call('GET', `/api/webhooks/${id}`, undefined, token)).json.url).toBe(
      `${origin}/[redacted]`,
    )
    for (const path of [
      '/couplings',
      `/couplings/${id}`,
      `/couplings/${id}/log`,
      `/couplings/${id}/log/${made.id}`,
      `/couplings/${id}/test`,
      '/health',
    ]) {
      const { text } = await at.get(path, role)
      expect(text, path).not.toMatch(/s3cret-path|t0ken-value/)
    }
    // Nor can it be found out letter by letter.
    expect((await at.get('/couplings?search=s3cret', role)).text).not.toContain(`/couplings/${id}"`)
    expect((await at.get('/couplings?search=127.0.0.1', role)).text).toContain(`/couplings/${id}"`)
    expect((await at.get('/couplings?search=s3cret')).text).toContain(`/couplings/${id}"`)
    expect((await at.call('GET', `/api/webhooks/${id}`)).json.url).toBe(`${url}2`)
    expect((await at.get(`/couplings/${id}/log/${made.id}`)).text).toContain('t0ken-value')
  },
)

test('the audit, which has URLs of unsaved tests, is for admins only, in the API and on its page', async () => {
  for (const role of ['viewer', 'operator'] as const) {
    expect((await at.call('GET', '/api/audit', undefined, await at.token(role))).status).toBe(403)
    expect((await at.get('/audit', role)).status).toBe(403)
  }
  expect((await at.call('GET', '/api/audit')).status).toBe(200)
})

test('a new origin drops header values that are not repeated; a new path keeps them', async () => {
  const { id } = await create({
    headers: { authorization: 'Bearer s3cret-value', 'x-tenant': 'tenant-value' },
  })
  const patch = (change: object) => at.call('PATCH', `/api/webhooks/${id}`, change)
  const names = async () => Object.keys((await at.call('GET', `/api/webhooks/${id}`)).json.headers)
  expect((await patch({ url: `${receiver.url}/elsewhere` })).status).toBe(200)
  expect(await names()).toEqual(['authorization', 'x-tenant'])
  // A value that is to be kept can't be.
  const kept = await patch({
    url: other.url,
    headers: { authorization: '[redacted]', 'x-tenant': 'new-value' },
  })
  expect(kept.status).toBe(422)
  expect(kept.json.errors[0]).toMatchObject({ pointer: '/headers/authorization' })
  expect((await patch({ url: other.url, headers: { 'x-tenant': 'new-value' } })).status).toBe(200)
  expect(await names()).toEqual(['x-tenant'])
  await at.call('POST', `/api/webhooks/${id}/test`)
  expect(other.arrivals.at(-1)!.headers).toMatchObject({ 'x-tenant': 'new-value' })
  expect(other.arrivals.at(-1)!.headers.authorization).toBeUndefined()
  expect((await patch({ url: receiver.url })).json.headers).toEqual({})
})

test('a test of unsaved settings sends stored header values to their own origin only', async () => {
  const { id } = await create({ headers: { authorization: 'Bearer s3cret-value' } })
  const attempts = async (url: string) => {
    const tried = { url, trigger: 'user.new', header_name: 'authorization', header_value: '' }
    return await at.post(`/couplings/${id}/try`, tried, 'admin')
  }
  const before = other.arrivals.length
  await attempts(other.url)
  expect(other.arrivals.slice(before).map(({ headers }) => headers.authorization)).not.toContain(
    'Bearer s3cret-value',
  )
  await attempts(receiver.url)
  expect(receiver.arrivals.at(-1)!.headers.authorization).toBe('Bearer s3cret-value')
})
