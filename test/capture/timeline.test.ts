import { expect, test } from 'vitest'
import { forkOf } from '../../src/capture/continuity/timeline.ts'

const history = '1\t0/3000148\tno recovery target specified\n\n2\t0/50000A0\tbefore 2026-01-01 00:00:00+00\n'

test('a history shows where each earlier timeline ended', () => {
  expect(forkOf(history, 1)).toBe(0x3000148n)
  expect(forkOf(history, 2)).toBe(0x50000a0n)
})

test('a timeline outside the history is not part of it', () => {
  expect(forkOf(history, 3)).toBeNull()
  expect(forkOf('', 1)).toBeNull()
})
