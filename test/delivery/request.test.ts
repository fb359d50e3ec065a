import { Webhook } from 'standardwebhooks'
import { expect, test } from 'vitest'
import { buildRequest } from '../../src/delivery/sending/request.ts'
import { formatSecret, parseSecret } from '../../src/domain/webhook/signature.ts'

const secrets = [1, 2].map(byte => formatSecret(Buffer.alloc(32, byte)))
const message = { id: 'msg_1_2', body: '{"name":"Zoë 🎟"}' }
const build = (nowMs: number, keys = secrets) =>
  buildRequest('https://crm.example.com/hook', message, {
    secrets: keys.map(parseSecret),
    nowMs,
    userAgent: 'walhook/1.2.3',
  })

test('a request has the documented headers and no other', () => {
  expect(build(1_614_265_330_999)).toEqual({
    url: 'https://crm.example.com/hook',
    body: message.body,
    headers: {
      'content-type': 'application/json',
      'content-length': '20',
      'user-agent': 'walhook/1.2.3',
      'accept-encoding': 'identity',
      'webhook-id': 'msg_1_2',
      'webhook-timestamp': '1614265330',
      'webhook-signature': expect.stringMatching(/^v1,[A-Za-z0-9+/]{43}= v1,[A-Za-z0-9+/]{43}=$/),
    },
  })
})

test('each attempt has its own signature, with the same id, over the same bytes', () => {
  const [first, second] = [build(1_614_265_330_000), build(1_614_265_331_000)]
  expect(second.headers['webhook-id']).toBe(first.headers['webhook-id'])
  expect(second.body).toBe(first.body)
  expect(second.headers['webhook-signature']).not.toBe(first.headers['webhook-signature'])
})

test('a receiver with either secret verifies it with a stock library', () => {
  const { body, headers } = build(Date.now())
  for (const secret of secrets)
    expect(new Webhook(secret).verify(body, { ...headers })).toEqual({ name: 'Zoë 🎟' })
})

test("a custom header never replaces one of walhook's", () => {
  const headers = { 'webhook-id': 'other', 'content-type': 'text/plain', 'x-tenant': 'a' }
  const options = { secrets: [], nowMs: 0, userAgent: 'walhook/1.2.3', headers }
  expect(buildRequest('https://crm.example.com/', message, options).headers).toMatchObject({
    'webhook-id': 'msg_1_2',
    'content-type': 'application/json',
    'x-tenant': 'a',
  })
})
