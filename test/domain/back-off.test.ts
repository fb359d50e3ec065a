import { expect, test } from 'vitest'
import { type Failures, fail, networkOf, waitMs } from '../../src/domain/value/back-off.ts'

function failing(times: number, everyMs = 0): Failures {
  let failures: Failures | undefined
  for (let i = 0; i < times; i++) failures = fail(failures, i * everyMs)
  return failures!
}

test.each([
  [1, 0],
  [4, 0],
  [5, 1_000],
  [6, 2_000],
  [10, 32_000],
  [11, 60_000],
  [5_000, 60_000],
])('after %d failures the next try waits %d ms', (times, expected) => {
  expect(waitMs(failing(times), 0)).toBe(expected)
  expect(waitMs(failing(times), expected)).toBe(0)
})

test('the delay is zero before the first failure, and again after 15 minutes without one', () => {
  expect(waitMs(undefined, 0)).toBe(0)
  expect(fail(failing(9), 900_000)).toEqual({ count: 10, lastAtMs: 900_000 })
  expect(fail(failing(9), 900_001)).toEqual({ count: 1, lastAtMs: 900_001 })
})

test.each([
  ['192.0.2.1', '192.0.2.1'],
  ['::ffff:192.0.2.1', '192.0.2.1'],
  ['2001:db8:1:2:3:4:5:6', '20010db800010002/64'],
  ['2001:db8:1:2::', '20010db800010002/64'],
  ['fe80::1%eth0', 'fe80000000000000/64'],
  ['::1', '0000000000000000/64'],
  ['', ''],
  ['nonsense', 'nonsense'],
])('the outcome %j counts as %j', (address, expected) => {
  expect(networkOf(address)).toBe(expected)
})
