import { Webhook } from 'standardwebhooks'
import { expect, test } from 'vitest'
import type { HttpRequest, HttpResult } from '../../src/delivery/attempt.ts'
import { createDeliver, type Target } from '../../src/delivery/deliver.ts'
import { judgeStatus } from '../../src/domain/outcome.ts'
import { parseSealKey, seal, signingSecretPurpose } from '../../src/domain/seal.ts'
import { formatSecret } from '../../src/domain/signature.ts'

const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const keyOf = (byte: number) => parseSealKey(Buffer.alloc(32, byte).toString('base64'))!
const sealed = seal(keyOf(1), signingSecretPurpose, secret, Buffer.alloc(12))
const target = { webhookId: 3, url: 'https://crm.example.com/', secret: sealed }
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

test('a message is posted as it is stored, signed so that a stock library verifies it, and logged as it was sent', async () => {
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

test('nothing is sent unsigned: with another key the attempt is blocked and says which key is missing', async () => {
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

test('a secret that was opened once is known, and another one is not taken for it', async () => {
  const other = formatSecret(Buffer.alloc(32, 9))
  const at = open()
  await at.deliver()
  await at.deliver()
  await at.deliver({ ...target, secret: seal(keyOf(1), signingSecretPurpose, other, Buffer.alloc(12, 1)) })
  const [first, again, third] = at.posted
  for (const request of [first!, again!]) new Webhook(secret).verify(request.body, { ...request.headers })
  new Webhook(other).verify(third!.body, { ...third!.headers })
})

test('an attempt that failed is logged with its sentence and class', async () => {
  const refused = judgeStatus(503, null)
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
