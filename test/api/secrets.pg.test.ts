import { randomBytes } from 'node:crypto'
import { Webhook } from 'standardwebhooks'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { commandLine } from '../../src/control/kit/control.ts'
import { rekey } from '../../src/control/webhooks/secrets.ts'
import { parseSealKey, seal } from '../../src/domain/webhook/seal.ts'
import { openHeaders, openSecret, unboundPurpose } from '../../src/domain/webhook/webhook-secrets.ts'
import { readDeliverySettings } from '../../src/outbox/holders/delivery-settings.ts'
import { findSealed, webhooksOfOtherKeys } from '../../src/outbox/records/secrets.ts'
import { openTestApi } from '../support/open-api.ts'
import { startTestReceiver } from '../support/test-receiver.ts'

let at: Awaited<ReturnType<typeof openTestApi>>
let receiver: Awaited<ReturnType<typeof startTestReceiver>>
beforeAll(async () => {
  at = await openTestApi()
  receiver = await startTestReceiver()
})
afterAll(async () => {
  await receiver[Symbol.asyncDispose]()
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

/** The request that a test sends. */
async function sent(id: number) {
  const before = receiver.arrivals.length
  const { json } = await at.call('POST', `/api/webhooks/${id}/test`)
  expect(json.outcome).toBe('delivered')
  return { arrival: receiver.arrivals[before]!, logged: json }
}

async function isSignedWith(id: number, secrets: string[]): Promise<boolean[]> {
  const { body, headers } = (await sent(id)).arrival
  return secrets.map(secret => {
    try {
      new Webhook(secret).verify(body, headers as Record<string, string>)
      return true
    } catch {
      return false
    }
  })
}

test('a rotated secret overlaps for the given time, and shows its expiry', async () => {
  const { id, secret } = await create()
  const rotate = (body?: object) => at.call('POST', `/api/webhooks/${id}/rotate-secret`, body)
  const first = await rotate()
  expect(first.status).toBe(200)
  expect(first.json.secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/)
  const hours = (until: string) => Math.round((Date.parse(until) - Date.now()) / 360_000) / 10
  expect(hours(first.json.previous_secret_expires_at)).toBe(24)
  expect(await isSignedWith(id, [first.json.secret, secret])).toEqual([true, true])
  const shown = await at.call('GET', `/api/webhooks/${id}`)
  expect(shown.json.previous_secret_expires_at).toBe(first.json.previous_secret_expires_at)
  expect(shown.headers.get('etag')).toBe(first.headers.get('etag'))
  expect(shown.text).not.toContain('whsec_')

  const second = await rotate({ overlap_hours: 1.5 })
  expect(hours(second.json.previous_secret_expires_at)).toBe(1.5)
  expect(await isSignedWith(id, [second.json.secret, first.json.secret, secret])).toEqual([true, true, false])

  await at.outbox.pool.query('update walhook.webhooks set previous_secret_expires_at = now() where id = $1', [
    id,
  ])
  expect(await isSignedWith(id, [second.json.secret, first.json.secret])).toEqual([true, false])
  expect((await at.call('GET', `/api/webhooks/${id}`)).json.previous_secret_expires_at).toBeNull()

  const last = await rotate({ overlap_hours: 0 })
  expect(last.json.previous_secret_expires_at).toBeNull()
  expect(await isSignedWith(id, [last.json.secret, second.json.secret])).toEqual([true, false])
  for (const overlap_hours of [-1, 169, '1', null]) expect((await rotate({ overlap_hours })).status).toBe(422)
  expect((await at.call('POST', '/api/webhooks/999999/rotate-secret')).status).toBe(404)
  const audit = (await at.call('GET', `/api/audit?webhook_id=${id}`)).text
  expect(audit.match(/webhook\.secret_rotated/g)).toHaveLength(3)
  expect(audit).not.toContain('whsec_')
})

test('only an admin can reveal the secret, and that is audited', async () => {
  const { id, secret } = await create()
  const path = `/api/webhooks/${id}/secret`
  expect((await at.call('GET', path)).json).toEqual({ secret })
  const rotated = (await at.call('POST', `/api/webhooks/${id}/rotate-secret`)).json.secret
  expect((await at.call('GET', path)).json).toEqual({ secret: rotated })
  for (const role of ['viewer', 'operator'] as const) {
    const token = await at.token(role)
    expect((await at.call('GET', path, undefined, token)).status).toBe(403)
    expect((await at.call('POST', `/api/webhooks/${id}/rotate-secret`, {}, token)).status).toBe(403)
  }
  expect((await at.call('GET', '/api/webhooks/999999/secret')).status).toBe(404)
  const { data } = (await at.call('GET', `/api/audit?webhook_id=${id}`)).json
  expect(data.map(({ action }: { action: string }) => action)).toEqual([
    'webhook.secret_shown',
    'webhook.secret_rotated',
    'webhook.secret_shown',
    'webhook.created',
  ])
})

test('custom headers are sent, changed one by one, and never shown', async () => {
  const created = await create({ headers: { 'X-Key': 'hunter22', authorization: 'Bearer hunter33' } })
  const { id } = created
  const hidden = { authorization: '[redacted]', 'x-key': '[redacted]' }
  expect(created.headers).toEqual(hidden)
  const first = await sent(id)
  expect(first.arrival.headers).toMatchObject({ 'x-key': 'hunter22', authorization: 'Bearer hunter33' })
  expect(first.logged.request.headers).toMatchObject(hidden)

  const patch = (headers: object) => at.call('PATCH', `/api/webhooks/${id}`, { headers })
  const changed = await patch({ 'x-key': 'hunter44', AUTHORIZATION: '[redacted]', 'x-other': 'o' })
  expect(changed.json.headers).toEqual({ ...hidden, 'x-other': '[redacted]' })
  expect((await sent(id)).arrival.headers).toMatchObject({
    'x-key': 'hunter44',
    authorization: 'Bearer hunter33',
    'x-other': 'o',
  })
  expect((await patch({ authorization: null, 'x-other': null })).json.headers).toEqual({
    'x-key': '[redacted]',
  })
  expect((await at.call('PATCH', `/api/webhooks/${id}`, { name: 'ERP' })).json.headers).toEqual({
    'x-key': '[redacted]',
  })
  expect((await sent(id)).arrival.headers).toMatchObject({ 'x-key': 'hunter44' })
  expect((await patch({ 'x-key': null })).json.headers).toEqual({})

  const seen = [
    (await at.call('GET', `/api/webhooks/${id}/log`)).text,
    (await at.call('GET', `/api/audit?webhook_id=${id}`)).text,
    JSON.stringify((await at.outbox.pool.query('select * from walhook.webhooks')).rows),
    JSON.stringify((await at.outbox.pool.query('select a::text from walhook.attempts a')).rows),
    JSON.stringify((await at.outbox.pool.query('select h::text from walhook.attempt_heads h')).rows),
  ]
  for (const text of seen) expect(text).not.toContain('hunter')
  expect(seen[1]).toContain('"header_values_changed":{"to":["x-key"]}')
})

test.each<[string, object, string[]]>([
  ['a name with a space', { 'x key': 'hunter2' }, ['/headers/x key']],
  ['a name with a slash and a tilde', { 'a/b~c': 'hunter2' }, ['/headers/a~1b~0c']],
  ['no name', { '': 'hunter2' }, ['/headers/']],
  ['a name too long', { ['x'.repeat(101)]: 'hunter2' }, [`/headers/${'x'.repeat(101)}`]],
  [
    'names that are ours',
    { Host: 'hunter2', 'webhook-id': 'hunter2', 'Content-Type': 'hunter2', 'proxy-x': 'hunter2', TE: 'x' },
    ['/headers/Host', '/headers/webhook-id', '/headers/Content-Type', '/headers/proxy-x', '/headers/TE'],
  ],
  ['a line break', { ok: 'fine', 'x-key': 'hunter2\r\nhost: evil' }, ['/headers/x-key']],
  ['a NUL', { 'x-key': 'hunter2\0' }, ['/headers/x-key']],
  ['beyond ASCII', { 'x-key': 'hünter2' }, ['/headers/x-key']],
  ['white space around', { 'x-key': ' hunter2' }, ['/headers/x-key']],
  ['nothing', { 'x-key': '' }, ['/headers/x-key']],
  ['a value too long', { 'x-key': 'h'.repeat(4_097) }, ['/headers/x-key']],
  ['a number', { 'x-key': 7 }, ['/headers/x-key']],
  ['one name twice', { 'x-key': 'hunter2', 'X-Key': 'hunter2' }, ['/headers/X-Key']],
  ['nothing to keep', { 'x-key': '[redacted]' }, ['/headers/x-key']],
  ['too many', Object.fromEntries(Array.from({ length: 21 }, (_, i) => [`x-${i}`, 'h'])), ['/headers']],
])('headers with %s are refused by name, without repeating a value', async (_what, headers, pointers) => {
  const { id } = await create()
  const body = { name: 'CRM', url: receiver.url, triggers: ['user.new'], headers }
  const calls = [
    await at.call('POST', '/api/webhooks', body),
    await at.call('PATCH', `/api/webhooks/${id}`, { headers }),
  ]
  for (const { status, json, text } of calls) {
    expect(status, text).toBe(422)
    expect(json.errors.map(({ pointer }: { pointer: string }) => pointer)).toEqual(pointers)
    expect(text).not.toMatch(/hunter2|hünter/)
  }
  expect((await at.call('GET', `/api/webhooks/${id}`)).json.headers).toEqual({})
})

test('re-encryption moves everything to another key in one transaction, while deliveries continue', async () => {
  const { id, secret } = await create({ headers: { 'x-key': 'hunter22' } })
  const other = await create({ name: 'ERP' })
  const rotated = (await at.call('POST', `/api/webhooks/${id}/rotate-secret`)).json.secret
  // One that was sealed before envelopes were bound to a webhook.
  const oldKey = at.control.sealKey
  await at.outbox.pool.query('update walhook.webhooks set secret = $2 where id = $1', [
    other.id,
    seal(oldKey, unboundPurpose, other.secret, randomBytes(12)),
  ])
  const call = { key: 'once', hash: Buffer.alloc(32) }
  await at.outbox.pool.query(
    `insert into walhook.idempotency_keys (holder, key, request_hash, answer) values (0, $1, $2, $3)`,
    [call.key, call.hash, seal(oldKey, 'walhook answer 0 once', '{"secret":1}', randomBytes(12))],
  )
  const newKey = parseSealKey(Buffer.alloc(32, 8).toString('base64'))!
  const withKey = (sealKey: typeof newKey) => ({ ...at.control, sealKey })
  const total = await at.count('webhooks')

  const wrong = await rekey(withKey(newKey), commandLine)
  expect(wrong).toMatchObject({ ok: false })
  expect(!wrong.ok && wrong.unreadable).toContainEqual({ id, name: 'CRM' })
  expect(await webhooksOfOtherKeys(at.outbox, [newKey.id])).toContainEqual({
    id,
    name: 'CRM',
    keyId: oldKey.id,
  })
  expect(await webhooksOfOtherKeys(at.outbox, [newKey.id, oldKey.id])).toEqual([])

  const both = { ...newKey, older: oldKey }
  const sealedOf = async (webhookId: number) => (await findSealed(at.outbox.pool, webhookId))!
  expect(openSecret(both, id, (await sealedOf(id)).secret)).toEqual({ ok: true, text: rotated })
  expect(await rekey(withKey(both), commandLine)).toEqual({ ok: true, webhooks: total, answers: 1 })
  expect(await rekey(withKey(both), commandLine)).toEqual({ ok: true, webhooks: 0, answers: 0 })

  const after = await sealedOf(id)
  expect(openSecret(newKey, id, after.secret)).toEqual({ ok: true, text: rotated })
  expect(openSecret(newKey, id, after.previousSecret!)).toEqual({ ok: true, text: secret })
  expect(openHeaders(newKey, id, after.headers)).toEqual({ ok: true, headers: { 'x-key': 'hunter22' } })
  const bound = (await sealedOf(other.id)).secret
  expect(openSecret(newKey, other.id, bound)).toEqual({ ok: true, text: other.secret })
  expect(openSecret(newKey, id, bound).ok).toBe(false)
  expect(await webhooksOfOtherKeys(at.outbox, [newKey.id])).toEqual([])
  expect((await at.call('GET', '/api/audit?limit=1')).json.data[0]).toMatchObject({
    action: 'secrets.rekeyed',
    actor: { kind: 'command line' },
    changes: { webhooks: { to: total }, answers: { to: 1 } },
  })

  // The API of this test still has the old key: nothing is sent, and the lost secret is replaced.
  const blocked = (await at.call('POST', `/api/webhooks/${id}/test`)).json
  expect(blocked).toMatchObject({ outcome: 'blocked', response: null })
  expect(blocked.error.message).toContain(`the key ${newKey.id}`)
  expect((await at.call('GET', `/api/webhooks/${id}/secret`)).status).toBe(409)
  const keep = await at.call('PATCH', `/api/webhooks/${id}`, { headers: { 'x-other': 'abc' } })
  expect(keep.json.errors).toEqual([
    {
      pointer: '/headers/x-key',
      detail: expect.stringContaining('give it again'),
      code: 'header.unreadable',
    },
  ])
  const again = (await at.call('POST', `/api/webhooks/${id}/rotate-secret`)).json
  expect(again.previous_secret_expires_at).toBeNull()
  await at.call('PATCH', `/api/webhooks/${id}`, { headers: { 'x-key': 'hunter55' } })
  expect(await isSignedWith(id, [again.secret])).toEqual([true])
})

test('requests are signed with the old secret too while it is valid', async () => {
  const { id } = await create({ triggers: ['company.new'] })
  const read = async () => {
    const { webhooks } = await readDeliverySettings(at.outbox, { sinceVersion: 0, ids: new Set() })
    return webhooks.find(webhook => webhook.id === id)!
  }
  const before = (await read()).sealed
  await at.call('POST', `/api/webhooks/${id}/rotate-secret`)
  expect((await read()).sealed.previousSecret).toBe(before.secret)
  expect((await read()).previousSecretEndsInMs).toBeGreaterThan(0)
  await at.outbox.pool.query('update walhook.webhooks set previous_secret_expires_at = now() where id = $1', [
    id,
  ])
  expect((await read()).sealed.previousSecret).toBeNull()
})
