import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import {
  classifyCredential,
  randomBytesOfCredential,
  writeCredential,
} from '../../src/domain/access/credential.ts'

const key = Buffer.alloc(32, 1)
const made = writeCredential('whk_', randomBytes(randomBytesOfCredential), key)

test('a created credential is recognised only with its key and prefix', () => {
  expect(made).toMatch(/^whk_[\w-]{43}$/)
  expect(classifyCredential('whk_', made, key)).toBe('ours')
  expect(classifyCredential('whk_', made, Buffer.alloc(32, 2))).toBe('perhaps old')
  expect(classifyCredential('whs_', made, key)).toBe('not ours')
  expect(classifyCredential('whs_', made.replace('whk_', 'whs_'), key)).toBe('perhaps old')
})

test('none of a thousand invented credentials passes', () => {
  for (let i = 0; i < 1_000; i++)
    expect(classifyCredential('whk_', `whk_${randomBytes(32).toString('base64url')}`, key)).toBe(
      'perhaps old',
    )
})

test.each(['', 'whk_', 'whk_wrong', `${made}x`, made.slice(0, -1), ` ${made}`, made.replace(/.$/, '%')])(
  '%j is not a walhook credential',
  text => {
    expect(classifyCredential('whk_', text, key)).toBe('not ours')
  },
)
