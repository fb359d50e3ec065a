import { expect, test } from 'vitest'
import { captureCodes } from '../../src/domain/capture/capture-code.ts'
import {
  addFailure,
  type CaptureFailure,
  classifyFailures,
  type FailureRow,
  kindOfError,
} from '../../src/domain/capture/capture-failures.ts'

const read: CaptureFailure = { kind: 'read', reason: 'x', position: '0/1' }

function after(...failures: [CaptureFailure, number][]) {
  const row = failures.reduce<FailureRow | null>(
    (so, [failure, atMs]) => addFailure(so, failure, atMs),
    null,
  )!
  return classifyFailures(row, failures.at(-1)![1])
}

test('three failures of one kind at one position have a code; progress resets it', () => {
  expect(after([read, 0], [read, 1])).toBeNull()
  expect(after([read, 0], [read, 1], [read, 2])).toEqual({ code: 'capture.cannot_read', isBlocked: true })
  expect(after([read, 0], [read, 1], [{ ...read, position: '0/2' }, 2])).toBeNull()
  expect(after([read, 0], [read, 1], [{ ...read, kind: 'store' }, 2])).toBeNull()
})

test('a lost database gets a code after half a minute', () => {
  const lost: CaptureFailure = { ...read, kind: 'outbox lost' }
  expect(after([lost, 0], [lost, 20_000])).toBeNull()
  expect(after([lost, 0], [lost, 30_000])).toEqual({ code: 'capture.outbox_unavailable', isBlocked: false })
})

test.each([
  [{ code: '57014', message: 'canceling statement due to statement timeout' }, 'timeout'],
  [{ code: '25P04', message: 'terminating connection due to transaction timeout' }, 'timeout'],
  [{ code: '57P01', message: 'terminating connection due to administrator command' }, 'lost'],
  [{ code: 'ECONNREFUSED', message: '' }, 'lost'],
  [{ code: '53300', message: 'too many clients' }, 'lost'],
  [{ code: '28P01', message: 'password authentication failed for user "walhook"' }, 'lost'],
  [{ code: '28000', message: 'role "walhook" is not permitted to log in' }, 'lost'],
  [{ code: '25006', message: 'cannot execute INSERT in a read-only transaction' }, 'lost'],
  [{ message: 'Connection terminated unexpectedly' }, 'lost'],
  [{ code: 'XX000', message: 'invalid memory alloc request size 1073741824' }, null],
  [{ message: 'the stream changes relation 7 without having announced it' }, null],
])('%j is classified as %j', (error, kind) => {
  expect(kindOfError(error)).toBe(kind)
})

test('each code has a description and a fix', () => {
  for (const [code, { sees, mend }] of Object.entries(captureCodes)) {
    expect(code).toMatch(/^capture\.[a-z_]+$/)
    expect(sees.length * mend.length).toBeGreaterThan(0)
  }
})
