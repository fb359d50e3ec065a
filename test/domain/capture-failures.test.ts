import { expect, test } from 'vitest'
import { captureCodes } from '../../src/domain/capture/capture-code.ts'
import {
  addFailure,
  type CaptureFailure,
  classifyFailures,
  type FailureRow,
  kindOfError,
} from '../../src/domain/capture/capture-failures.ts'
import { classifyPageFailures } from '../../src/domain/capture/page-failures.ts'

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

/** Every class of the appendix of PostgreSQL, and the codes that differ from their class. A null may be caused by a change. */
const states: Record<'lost' | 'setup' | 'timeout' | 'null', string> = {
  lost: '08006 08P01 25006 28000 28P01 3D000 53000 53100 53200 53300 53400 55000 55006 57000 57P01 57P02 57P03 57P04',
  setup: '0P000 26000 3F000 42501 42703 42809 42883 42P01 58000 58030 F0000 F0001 XX002',
  timeout: '25P03 25P04 40001 40P01 55P03 57014 57P05',
  null: '03000 09000 0A000 0B000 0F000 0L000 0Z000 10608 20000 21000 22021 23505 24000 25000 27000 2B000 2D000 2F000 34000 38000 39000 3B000 42601 42704 44000 54000 58P01 HV000 P0001 XX000 XX001',
}
const eachState = Object.entries(states).flatMap(([kind, codes]) =>
  codes.split(' ').map(code => [code, kind === 'null' ? null : kind] as const),
)

test.each(eachState)('SQLSTATE %s is classified as %s', (code, kind) => {
  expect(kindOfError({ code, message: 'x' })).toBe(kind)
})

test('the fix of what no change causes skips nothing, and only timeouts are shown as blocked', () => {
  const kinds = ['source lost', 'outbox lost', 'setup', 'timeout'] as const
  for (const kind of kinds) {
    const failure = { ...read, kind }
    const verdict = after([failure, 0], [failure, 1], [failure, 2])!
    expect(captureCodes[verdict.code].mend).not.toMatch(/resync|--force/)
    expect(verdict.isBlocked).toBe(kind === 'timeout')
  }
})

test('a page that the setup of a database refuses is tried again for ever', () => {
  expect(classifyPageFailures({ kind: 'setup', position: '7', count: 9 })).toEqual({
    code: 'page.source_problem',
    isFinal: false,
  })
})

test('each code has a description and a fix', () => {
  for (const [code, { sees, mend }] of Object.entries(captureCodes)) {
    expect(code).toMatch(/^capture\.[a-z_]+$/)
    expect(sees.length * mend.length).toBeGreaterThan(0)
  }
})
