import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { adminToken } from '../support/open-api.ts'
import { openTestPages, ours } from '../support/open-pages.ts'

let at: Awaited<ReturnType<typeof openTestPages>>
let id: number
let secret: string
beforeAll(async () => {
  at = await openTestPages()
})
beforeEach(async () => {
  const body = { name: '<b>CRM</b>', url: 'http://127.0.0.1:9/', triggers: ['user.new'] }
  const created = await at.call('POST', '/api/webhooks', body)
  id = created.json.id
  secret = created.json.secret
})
afterAll(() => at[Symbol.asyncDispose]())

const secretOf = (text: string) => /whsec_[\w+/=]{20,}/.exec(text)?.[0] ?? null
const stored = async () => (await at.call('GET', `/api/webhooks/${id}/secret`)).json.secret
const lastAudit = async () => (await at.call('GET', `/api/audit?limit=1&webhook_id=${id}`)).json.data[0]

test('an admin can reveal a secret, which is audited and never cached', async () => {
  const masked = await at.get(`/couplings/${id}/secret`)
  expect(secretOf(masked.text)).toBeNull()
  expect((await lastAudit()).action).toBe('webhook.created')
  const shown = await at.post(`/couplings/${id}/secret`, {})
  expect(secretOf(shown.text)).toBe(secret)
  expect(shown.headers.get('cache-control')).toBe('no-store')
  expect(await lastAudit()).toMatchObject({ action: 'webhook.secret_shown', webhook_id: id })
  for (const { text } of [masked, shown]) expect(text).not.toContain('<b>CRM</b>')
})

test('the code examples contain the secret only after it is revealed', async () => {
  const masked = (await at.get(`/couplings/${id}/secret`)).text
  expect(masked).toContain('isFromWalhook(&#39;whsec_…&#39;, request.headers, body)')
  const { text } = await at.post(`/couplings/${id}/secret`, {})
  expect(text).toContain(`isFromWalhook(&#39;${secret}&#39;, request.headers, body)`)
  expect(text).toContain(`IsFromWalhook(&quot;${secret}&quot;, request.Header, body)`)
  expect(text.split(secret)).toHaveLength(1 + 1 + 8)
})

test.each(['viewer', 'operator'] as const)(
  'the role %s can neither see nor replace the secret',
  async role => {
    const answers = [
      await at.get(`/couplings/${id}/secret`, role),
      await at.post(`/couplings/${id}/secret`, {}, role),
      await at.get(`/couplings/${id}/secret/rotate`, role),
      await at.post(`/couplings/${id}/secret/rotate`, { key: role, overlap_hours: '0' }, role),
    ]
    for (const { status, text } of answers) {
      expect(status).toBe(403)
      expect(secretOf(text)).toBeNull()
    }
    expect((await lastAudit()).action).not.toMatch(/secret/)
    expect(await stored()).toBe(secret)
  },
)

test('another site can neither reveal nor replace the secret', async () => {
  const { 'sec-fetch-site': _, ...fromElsewhere } = { ...ours, origin: 'https://evil.example' }
  for (const path of [`/couplings/${id}/secret`, `/couplings/${id}/secret/rotate`]) {
    const answer = await at.post(path, { key: 'evil', overlap_hours: '0' }, 'admin', fromElsewhere)
    expect(answer.status).toBe(403)
    expect(secretOf(answer.text)).toBeNull()
  }
  expect(await stored()).toBe(secret)
})

test("roles below admin do not see the secret's tab, and an operator sees the one for tests", async () => {
  expect((await at.get(`/couplings/${id}`)).text).toContain(`/couplings/${id}/secret`)
  const operated = (await at.get(`/couplings/${id}/test`, 'operator')).text
  expect(operated).not.toContain(`/couplings/${id}/secret`)
})

test('a rotation shows the new secret, and until when the old one signs too', async () => {
  const asked = (await at.get(`/couplings/${id}/secret/rotate`)).text
  expect(asked).toContain('name="overlap_hours" inputmode="numeric" value="24"')
  const done = await at.post(`/couplings/${id}/secret/rotate`, { key: 'a', overlap_hours: '48' })
  const now = secretOf(done.text)
  expect(now).toBe(await stored())
  expect(now).not.toBe(secret)
  expect(done.headers.get('cache-control')).toBe('no-store')
  const { json } = await at.call('GET', `/api/webhooks/${id}`)
  expect(done.text).toContain(`<time datetime="${json.previous_secret_expires_at}"`)
  expect(Date.parse(json.previous_secret_expires_at) - Date.now()).toBeGreaterThan(47.9 * 3_600_000)
  const later = (await at.get(`/couplings/${id}/secret`)).text
  expect(secretOf(later)).toBeNull()
  expect(later).toContain(`<time datetime="${json.previous_secret_expires_at}"`)
  // Another rotation says what it ends.
  expect((await at.get(`/couplings/${id}/secret/rotate`)).text).toContain('An earlier old secret still signs')
})

test.each([
  ['no hours are asked for', async () => {}, '0'],
  [
    'the one before is sealed with a key that is gone',
    async () => {
      await at.outbox.pool.query(
        `update walhook.webhooks set secret = 'v1:00000000:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' where id = $1`,
        [id],
      )
    },
    '24',
  ],
])('without an overlap because %s, the page shows that', async (_why, prepare, hours) => {
  await prepare()
  const { text } = await at.post(`/couplings/${id}/secret/rotate`, { key: hours, overlap_hours: hours })
  expect(text).toContain('The old secret has expired')
  expect(text).not.toContain('Requests are also signed with the old secret')
})

test("a rotation submitted twice happens once, so the receiver's secret keeps signing", async () => {
  const form = { key: 'twice', overlap_hours: '24' }
  const first = await at.post(`/couplings/${id}/secret/rotate`, form)
  const again = await at.post(`/couplings/${id}/secret/rotate`, form)
  expect(again.headers.get('location')).toBe(`/couplings/${id}/secret?done=rotated`)
  expect((await at.get(again.headers.get('location')!)).text).toContain('New secret created.')
  expect(await stored()).toBe(secretOf(first.text))
})

test.each(['', '-1', '169', '1.5', 'x', '\0'])(
  'the overlap %j is refused, and nothing is rotated',
  async hours => {
    const { status, text } = await at.post(`/couplings/${id}/secret/rotate`, {
      key: 'k',
      overlap_hours: hours,
    })
    expect(status).toBe(422)
    expect(text).toContain('Use a whole number from 0 to 168.')
    expect(await stored()).toBe(secret)
  },
)

test('a secret that cannot be decrypted is reported, and can be replaced', async () => {
  await at.outbox.pool.query(`update walhook.webhooks set secret = 'v1:00000000:AAAA' where id = $1`, [id])
  const { status, text } = await at.post(`/couplings/${id}/secret`, {})
  expect(status).toBe(409)
  expect(text).toContain('rotate the secret')
  expect((await at.get('/couplings/99999/secret')).status).toBe(404)
})

test('after log-out everywhere, a stolen cookie reveals no secret', async () => {
  const login = async () =>
    (await at.post('/login', { token: adminToken }, null)).headers.get('set-cookie')!.split(';')[0]!
  const stolen = await login()
  await at.post('/logout-everywhere', {}, null, { ...ours, cookie: await login() })
  const answer = await at.post(`/couplings/${id}/secret`, {}, null, { ...ours, cookie: stolen })
  expect(answer.status).toBe(303)
  expect(secretOf(answer.text)).toBeNull()
  expect((await at.call('GET', '/api/audit?limit=1')).json.data[0].action).toBe('sessions.ended')
})
