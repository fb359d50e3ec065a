import { expect, test } from 'vitest'
import { parseSealKey, seal, unseal } from '../../src/domain/seal.ts'

const keyOf = (byte: number) => parseSealKey(Buffer.alloc(32, byte).toString('base64'))!
const key = keyOf(1)
const nonce = Buffer.alloc(12, 5)
const text = 'whsec_hunter2 🎟'
const envelope = seal(key, 'signing', text, nonce)

test('what is sealed opens with the same key and purpose, and shows nothing of itself', () => {
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

test('another purpose, a changed byte and other text do not open', () => {
  const [version, id, base64] = envelope.split(':') as [string, string, string]
  const bytes = Buffer.from(base64, 'base64')
  for (const at of [0, 12, bytes.length - 1]) {
    const changed = Buffer.from(bytes)
    changed[at]! ^= 1
    expect(unseal(key, 'signing', `${version}:${id}:${changed.toString('base64')}`).ok).toBe(false)
  }
  expect(unseal(key, 'headers', envelope).ok).toBe(false)
  for (const other of ['', 'v1', 'v2:a:b', text, `v1:${id}:`, `v1:${id}:AAAA`]) {
    const opened = unseal(key, 'signing', other)
    expect(opened.ok).toBe(false)
    expect(JSON.stringify(opened)).not.toContain('hunter2')
  }
})

test.each([
  '',
  'abc',
  Buffer.alloc(31).toString('base64'),
  Buffer.alloc(33).toString('base64'),
  'x'.repeat(44),
  '00'.repeat(32),
])('%j is no key', base64 => {
  expect(parseSealKey(base64)).toBeNull()
})
