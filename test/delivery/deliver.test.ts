import { Webhook } from 'standardwebhooks'
import { expect, test } from 'vitest'
import type { HttpRequest, HttpResult } from '../../src/delivery/sending/attempt.ts'
import { createDeliver, type Target } from '../../src/delivery/sending/deliver.ts'
import { classifyStatus } from '../../src/domain/delivery/outcome.ts'
import { parseSealKey, seal } from '../../src/domain/webhook/seal.ts'
import { formatSecret } from '../../src/domain/webhook/signature.ts'
import { sealHeaders, sealSecret, unboundPurpose } from '../../src/domain/webhook/webhook-secrets.ts'

const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const keyOf = (byte: number) => parseSealKey(Buffer.alloc(32, byte).toString('base64'))!
let nonces = 0
const nonce = () => Buffer.alloc(12, ++nonces)
const envelope = sealSecret(keyOf(1), 3, secret, nonce())
const sealed = { secret: envelope, previousSecret: null, headers: null }
const unboundEnvelope = seal(keyOf(1), unboundPurpose, secret, nonce())
const target = { webhookId: 3, url: 'https://crm.example.com/', sealed }
const message = {
  trigger: 'schedule' as const,
  eventId: 17n,
  eventIds: null,
  messageId: 'msg_3_17',
  entityType: 'user',
  entityId: '1',
  actionType: 'new',
  number: 2,
  body: '{"entity_id":1,"name":"Zoë"}',
}
const delivered: HttpResult = {
  outcome: 'delivered',
  failure: null,
  startedAt: new Date(0),
  durationMs: 1,
  phases: {},
  remoteAddress: null,
  response: { status: 204, headers: {}, body: '', truncated: false },
}

function open(key = keyOf(1), result: HttpResult = delivered) {
  const posted: HttpRequest[] = []
  const deliver = createDeliver({
    post: async request => {
      posted.push(request)
      return result
    },
    sealKey: key,
    userAgent: 'walhook/1.2.3',
    nowMs: () => Date.now(),
  })
  const { signal } = new AbortController()
  return { posted, deliver: (to: Target = target) => deliver(to, message, signal) }
}

test('a message is sent as stored, verifies with a stock library, and is logged as sent', async () => {
  const at = open()
  const attempt = await at.deliver()
  const [request] = at.posted
  expect(request!.body).toBe(message.body)
  expect(request!.headers).toEqual({
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(message.body)),
    'user-agent': 'walhook/1.2.3',
    'accept-encoding': 'identity',
    'webhook-id': 'msg_3_17',
    'webhook-timestamp': expect.stringMatching(/^\d{10}$/),
    'webhook-signature': expect.stringMatching(/^v1,\S+$/),
  })
  expect(new Webhook(secret).verify(request!.body, { ...request!.headers })).toEqual(JSON.parse(message.body))
  expect(attempt).toMatchObject({ webhookId: 3, number: 2, outcome: 'delivered', errorClass: null, request })
})

test('without the right key an attempt is blocked, and names the missing key', async () => {
  const at = open(keyOf(2))
  const attempt = await at.deliver()
  expect(at.posted).toEqual([])
  expect(attempt).toMatchObject({
    outcome: 'blocked',
    errorClass: 'blocked_target',
    errorMessage: expect.stringContaining(`the key ${keyOf(1).id}`),
    response: null,
  })
})

test('after a webhook gets another secret, its requests are signed with that one', async () => {
  const other = formatSecret(Buffer.alloc(32, 9))
  const at = open()
  await at.deliver()
  await at.deliver()
  await at.deliver({ ...target, sealed: { ...sealed, secret: sealSecret(keyOf(1), 3, other, nonce()) } })
  const [first, again, third] = at.posted
  for (const request of [first!, again!]) new Webhook(secret).verify(request.body, { ...request.headers })
  new Webhook(other).verify(third!.body, { ...third!.headers })
})

test('more than ten thousand secrets are decrypted once each', async () => {
  const at = open()
  const targets = Array.from({ length: 12_000 }, (_, i) => {
    let reads = 0
    // Opens at its first reading only.
    const sealed = {
      get secret() {
        return reads++ === 0 ? unboundEnvelope : 'opened before'
      },
      previousSecret: null,
      headers: null,
    }
    return { ...target, webhookId: i + 1, sealed } as unknown as Target
  })
  for (const each of targets) await at.deliver(each)
  for (const each of targets) expect((await at.deliver(each)).outcome).toBe('delivered')
})

test('a failed attempt is logged with its sentence and class', async () => {
  const refused = classifyStatus(503, null)
  const attempt = await open(keyOf(1), { ...delivered, ...refused }).deliver()
  expect(attempt).toMatchObject({
    trigger: 'schedule',
    eventId: 17n,
    messageId: 'msg_3_17',
    outcome: 'refused',
    errorClass: 'http_error',
    errorMessage: refused.failure!.message,
  })
  expect(Object.keys(attempt)).not.toContain('failure')
})

test('after a rotation both secrets sign, the new one first; later only the new one', async () => {
  const other = formatSecret(Buffer.alloc(32, 9))
  const at = open()
  const secretOf = sealSecret(keyOf(1), 3, other, nonce())
  await at.deliver({ ...target, sealed: { ...sealed, secret: secretOf, previousSecret: envelope } })
  await at.deliver({ ...target, sealed: { ...sealed, secret: secretOf } })
  const [both, alone] = at.posted
  for (const each of [other, secret]) new Webhook(each).verify(both!.body, { ...both!.headers })
  const signed = (request: HttpRequest) => request.headers['webhook-signature']!.split(' ')
  const first = { ...both!.headers, 'webhook-signature': signed(both!)[0]! }
  new Webhook(other).verify(both!.body, first)
  expect([signed(both!).length, signed(alone!).length]).toEqual([2, 1])
  expect(() => new Webhook(secret).verify(alone!.body, { ...alone!.headers })).toThrow()
})

test('sealed values of another webhook do not open, even from the cache', async () => {
  const headers = sealHeaders(keyOf(1), 3, { 'x-key': 'abcdefgh' }, nonce())
  const at = open()
  const known = { ...target, sealed: { ...sealed, headers } }
  expect((await at.deliver(known)).outcome).toBe('delivered')
  const moved = await at.deliver({ ...known, webhookId: 4 })
  expect(moved).toMatchObject({
    outcome: 'blocked',
    errorMessage: expect.stringMatching(/the signing secret can't be read: .*belongs to something else/),
  })
  const own = sealSecret(keyOf(1), 4, secret, nonce())
  expect(
    await at.deliver({ ...target, webhookId: 4, sealed: { ...sealed, secret: own, headers } }),
  ).toMatchObject({
    outcome: 'blocked',
    errorMessage: expect.stringContaining("custom headers can't be read"),
  })
  expect(at.posted).toHaveLength(1)
})

test('values sealed before they were bound to a webhook still open', async () => {
  const unbound = seal(keyOf(1), unboundPurpose, secret, nonce())
  const at = open()
  expect((await at.deliver({ ...target, sealed: { ...sealed, secret: unbound } })).outcome).toBe('delivered')
})

test('custom headers are sent, and redacted in the log, also where a receiver repeats them', async () => {
  const token = 'tok"en-1234567890'
  const headers = sealHeaders(keyOf(1), 3, { authorization: `Bearer ${token}`, 'x-tenant': 'a' }, nonce())
  const escaped = JSON.stringify(token).slice(1, -1)
  const at = open(keyOf(1), {
    ...delivered,
    outcome: 'refused',
    failure: { errorClass: 'redirect', message: `to https://other/?${token}` },
    response: {
      status: 302,
      headers: { location: `https://other/?${token}`, a: 'a' },
      body: `a {"authorization":"Bearer ${escaped}"} ${token} and its beginning ${token.slice(0, 9)}`,
      truncated: true,
    },
  })
  const attempt = await at.deliver({ ...target, sealed: { ...sealed, headers } })
  expect(at.posted[0]!.headers).toMatchObject({ authorization: `Bearer ${token}`, 'x-tenant': 'a' })
  expect(attempt.request.headers).toEqual({
    ...at.posted[0]!.headers,
    authorization: '[redacted]',
    'x-tenant': '[redacted]',
  })
  const kept = JSON.stringify({ ...attempt, eventId: null })
  for (const text of [token, escaped, token.slice(0, 9)]) expect(kept).not.toContain(text)
  expect(attempt.response!.body).toBe(
    'a {"authorization":"[redacted]"} [redacted] and its beginning [redacted]',
  )
})
