import { expect, test } from 'vitest'
import { statusUpdate } from '../../src/capture/stream/reports.ts'

test('a status update has 34 bytes: one LSN three times, the time since 2000, and whether a reply is requested', () => {
  const at = Date.UTC(2026, 0, 1)
  const lsn = 0xffff_ffff_ffff_ff01n
  const bytes = statusUpdate(lsn, at, true)
  expect(bytes).toHaveLength(34)
  expect(bytes.toString('latin1', 0, 1)).toBe('r')
  expect([1, 9, 17].map(offset => bytes.readBigUInt64BE(offset))).toEqual(Array(3).fill(lsn))
  expect(bytes.readBigInt64BE(25)).toBe(BigInt(at - Date.UTC(2000, 0, 1)) * 1000n)
  expect(bytes[33]).toBe(1)
  expect(statusUpdate(0n, at, false)[33]).toBe(0)
})

test('unstored WAL is reported as received only, so the server does not wait and the slot stays', () => {
  const bytes = statusUpdate(5n, 0, false, 7n)
  expect([1, 9, 17].map(offset => bytes.readBigUInt64BE(offset))).toEqual([7n, 0n, 0n])
})
