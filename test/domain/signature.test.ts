import { Webhook } from 'standardwebhooks'
import { expect, test } from 'vitest'
import { formatSecret, parseSecret, sign } from '../../src/domain/webhook/signature.ts'

const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'

test('the example of Standard Webhooks gets the documented signature', () => {
  const message = { id: 'msg_p5jXN8AQM9LWM0D4loKWxJek', timestampS: 1614265330, body: '{"test": 2432232314}' }
  expect(sign({ ...message, secrets: [parseSecret(secret)] })).toBe(
    'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
  )
})

test('with two secrets, a stock library verifies with either one, also beyond ASCII', () => {
  const other = formatSecret(Buffer.alloc(32, 9))
  const message = { id: 'msg_1', timestampS: Math.floor(Date.now() / 1000), body: '{"name":"Zoë 🎟"}' }
  const signature = sign({ ...message, secrets: [secret, other].map(parseSecret) })
  expect(signature.split(' ')).toHaveLength(2)
  const headers = {
    'webhook-id': message.id,
    'webhook-timestamp': String(message.timestampS),
    'webhook-signature': signature,
  }
  for (const each of [secret, other])
    expect(new Webhook(each).verify(message.body, headers)).toEqual({ name: 'Zoë 🎟' })
  expect(() => new Webhook(formatSecret(Buffer.alloc(32, 8))).verify(message.body, headers)).toThrow()
})

test.each([
  'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
  'secretMfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
  'whsec_',
  'whsec_c2hvcnQ=',
  'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw=',
  'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS_',
  'whsec_MfKQ9r8G KYqrTwjUPD8ILPZIo2LaLaSw',
])('%j is not a secret, and no error repeats it', text => {
  expect(() => parseSecret(text)).toThrow(RangeError)
  const secretPart = text.replace('whsec_', '')
  if (secretPart !== '') expect(() => parseSecret(text)).not.toThrow(secretPart)
})
