import { expect, test } from 'vitest'
import { type Backend, describeSlow, isLost } from '../../src/domain/capture/backend.ts'

const working: Backend = { state: 'active', stateMs: 9_000, waitEventType: null, waitsFor: null, heldBy: [] }

test.each<[string, Backend | null, boolean]>([
  ['works', working, false],
  ['waits for a lock', { ...working, waitEventType: 'Lock' }, false],
  ['writes to disk', { ...working, waitEventType: 'IO' }, false],
  ['sends what does not arrive', { ...working, waitEventType: 'Client' }, true],
  ['rests, and has answered long ago', { ...working, state: 'idle' }, true],
  ['rests in a transaction', { ...working, state: 'idle in transaction' }, true],
  ['has answered this moment', { ...working, state: 'idle', stateMs: 100 }, false],
  ['is not counted', { ...working, state: null }, false],
  ['is gone', null, true],
])('a statement of a process that %s', (_what, backend, expected) => {
  expect(isLost(backend, 9_000)).toBe(expected)
})

test('a backend whose server cannot be asked is given up after a minute', () => {
  expect(isLost({ ...working, state: 'disabled' }, 61_000)).toBe(true)
})

test("a slow statement is described with the lock's holder", () => {
  const heldBy = ['pid 7 (app, since 2026-01-31, alter table users add x int)']
  expect(describeSlow({ seconds: 9, statement: 'select 1', waitsFor: 'a lock of users', heldBy })).toBe(
    'a statement waits for a lock of users, held by pid 7 (app, since 2026-01-31, alter table users add x int), for 9 s (select 1)',
  )
})
