import { expect, test } from 'vitest'
import { parseSealKey, seal, unseal } from '../../src/domain/webhook/seal.ts'

const keyOf = (byte: number) => parseSealKey(Buffer.alloc(32, byte).toString('base64'))!
const key = keyOf(1)
const nonce = Buffer.alloc(12, 5)
const text = 'whsec_hunter2 🎟'
const envelope = seal(key, 'signing', text, nonce)
const [version, keyId, base64] = envelope.split(':') as [string, string, string]

test('sealed text opens with its key and purpose only, and reveals nothing', () => {
  expect(unseal(key, 'signing', envelope)).toEqual({ ok: true, text })
  expect(envelope).toMatch(/^v1:[0-9a-f]{8}:[A-Za-z0-9+/]+=*$/)
  expect(Buffer.from(envelope.split(':')[2]!, 'base64').toString('latin1')).not.toContain('hunter2')
})

test('the wrong key is named by its id', () => {
  const other = keyOf(2)
  expect(unseal(other, 'signing', envelope)).toEqual({
    ok: false,
    reason: expect.stringContaining(`key ${key.id}, but WALHOOK_SECRET_KEY is the key ${other.id}`),
  })
})

test('another purpose or a changed byte fails to open', () => {
  const bytes = Buffer.from(base64, 'base64')
  for (const at of bytes.keys()) {
    const changed = Buffer.from(bytes)
    changed[at]! ^= 1
    expect(unseal(key, 'signing', `${version}:${keyId}:${changed.toString('base64')}`).ok).toBe(false)
  }
  expect(unseal(key, 'headers', envelope).ok).toBe(false)
})

const short = Buffer.from(base64, 'base64').subarray(0, 27).toString('base64')
test.each([
  '',
  'v1',
  text,
  base64,
  `v2:${keyId}:${base64}`,
  `${version}:${keyId}:`,
  `${version}:${keyId}:AAAA`,
  `${version}:${keyId}:${short}`,
  `${envelope}:more`,
])('%j is not a sealed secret, and no error repeats it', other => {
  expect(unseal(key, 'signing', other)).toEqual({ ok: false, reason: 'it is not a sealed secret' })
})

test('an empty text can be sealed', () => {
  expect(unseal(key, 'signing', seal(key, 'signing', '', nonce))).toEqual({ ok: true, text: '' })
})

test.each([
  '',
  'abc',
  Buffer.alloc(31).toString('base64'),
  Buffer.alloc(33).toString('base64'),
  'x'.repeat(44),
  '00'.repeat(32),
])('%j is not a key', base64 => {
  expect(parseSealKey(base64)).toBeNull()
})
