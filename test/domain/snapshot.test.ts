import { expect, test } from 'vitest'
import { parseSnapshot, sees, widenXid } from '../../src/domain/value/snapshot.ts'

test('a snapshot sees transactions that ended before it', () => {
  const snapshot = parseSnapshot('10:20:10,14')
  expect([9n, 10n, 11n, 14n, 19n, 20n, 21n].map(xid => sees(snapshot, xid))).toEqual([
    true,
    false,
    true,
    false,
    true,
    false,
    false,
  ])
  expect(parseSnapshot('20:20:').running.size).toBe(0)
  expect(() => parseSnapshot('20')).toThrow('"20" is no snapshot')
})

test('a 32-bit id becomes the nearest 64-bit id, also across epochs', () => {
  const epoch = 2n ** 32n
  expect(widenXid(7, 9n)).toBe(7n)
  expect(widenXid(4_294_967_290, 3n * epoch + 5n)).toBe(3n * epoch - 6n)
  expect(widenXid(5, 3n * epoch - 6n)).toBe(3n * epoch + 5n)
  expect(widenXid(4_294_967_290, 5n)).toBe(4_294_967_290n)
})
