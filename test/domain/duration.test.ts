import { expect, test } from 'vitest'
import { parseDuration } from '../../src/domain/value/duration.ts'

test.each([
  ['30s', 30_000],
  ['5m', 300_000],
  ['12h', 43_200_000],
  ['90d', 7_776_000_000],
  ['0s', 0],
  ['5', null],
  ['5 m', null],
  ['-5m', null],
  ['1.5h', null],
  ['1000000s', null],
  ['5w', null],
  ['', null],
])('%j is %j ms', (text, ms) => {
  expect(parseDuration(text)).toBe(ms)
})
