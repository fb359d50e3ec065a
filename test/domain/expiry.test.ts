import { expect, test } from 'vitest'
import { parseExpiry } from '../../src/domain/value/expiry.ts'

const now = Date.parse('2026-11-24T12:00:00Z')

test.each([
  ['30m', '2026-11-24T12:30:00.000Z'],
  ['12h', '2026-11-25T00:00:00.000Z'],
  ['90d', '2027-02-22T12:00:00.000Z'],
  ['2026-11-24', '2026-11-24T23:59:59.999Z'],
  ['2026-12-31T10:00Z', '2026-12-31T10:00:00.000Z'],
  ['2026-12-31T10:00:00+02:00', '2026-12-31T08:00:00.000Z'],
])('the expiry %s means %s', (text, expected) => {
  expect(parseExpiry(text, now)?.toISOString()).toBe(expected)
})

test.each([
  '',
  '0d',
  '90',
  '90 d',
  '-1d',
  '1w',
  '2026-11-23',
  '2026-11-24T11:59Z',
  '2026-12-31T10:00',
  '2026-13-01',
  '2026-02-30T25:00Z',
  'tomorrow',
])('the expiry %j is refused', text => {
  expect(parseExpiry(text, now)).toBeNull()
})
