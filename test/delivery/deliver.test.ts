import { Webhook } from 'standardwebhooks'
import { expect, test } from 'vitest'
import type { HttpRequest, HttpResult } from '../../src/delivery/attempt.ts'
import { createDeliver } from '../../src/delivery/deliver.ts'
import { createWaker } from '../../src/delivery/waker.ts'
import { parseSealKey, seal, signingSecretPurpose } from '../../src/domain/seal.ts'

const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const keyOf = (byte: number) => parseSealKey(Buffer.alloc(32, byte).toString('base64'))!
const sealed = seal(keyOf(1), signingSecretPurpose, secret, Buffer.alloc(12))
const target = { webhookId: 3, url: 'https://crm.example.com/', secret: sealed }
const message = {
  trigger: 'schedule' as const,
  eventId: 17n,
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

function open(key = keyOf(1)) {
  const posted: HttpRequest[] = []
  const deliver = createDeliver({
    post: async request => {
      posted.push(request)
      return delivered
    },
    sealKey: key,
    userAgent: 'walhook/1.2.3',
    nowMs: () => Date.now(),
  })
  return { posted, deliver: () => deliver(target, message, new AbortController().signal) }
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

test('a wake-up ends the wait at once, one that comes early is kept, and the end of the run ends it too', async () => {
  const waker = createWaker()
  const run = new AbortController()
  waker.wake()
  await waker.wait(60_000, run.signal)
  const waiting = waker.wait(60_000, run.signal)
  waker.wake()
  await waiting
  await waker.wait(1, run.signal)
  const last = waker.wait(60_000, run.signal)
  run.abort()
  await last
})
