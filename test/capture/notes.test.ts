import { expect, test } from 'vitest'
import { createNotes, isNoteDue } from '../../src/capture/stream/notes.ts'

test.each<[string, bigint, number, number, boolean]>([
  ['nothing new', 0n, 60_000, 3, false],
  ['much, at once', 1_048_576n, 0, 0, true],
  ['less than that, at once', 1_048_575n, 0, 0, false],
  ['less than that, after a rest', 1_048_575n, 5_000, 0, true],
  ['what a note may have written itself, after a long rest', 32_768n, 3_600_000, 0, false],
  ['the same, soon after much', 32_768n, 5_000, 1, true],
  ['the same, without a rest', 32_768n, 4_999, 1, false],
])('%s', (_what, bytes, sinceMs, trailingLeft, due) => {
  expect(isNoteDue(bytes, sinceMs, trailingLeft)).toBe(due)
})

test('an idle source is noted only a few times', () => {
  let nowMs = 0
  let walEnd = 2_000_000n
  let count = 0
  const notes = createNotes(0n, () => nowMs)
  for (; nowMs < 3_600_000; nowMs += 1_000) {
    if (!notes.isDue(walEnd)) continue
    notes.add(walEnd)
    walEnd += 17_000n
    count++
  }
  expect(count).toBe(4)
  expect(notes.noted()).toBe(2_000_000n + 3n * 17_000n)
  expect(notes.reached()).toBe(walEnd)
})

test('a position that an append stores needs no separate note', () => {
  const notes = createNotes(0n, () => 0)
  notes.ride(2_000_000n)
  expect(notes.isDue(2_000_000n)).toBe(false)
  expect(notes.noted()).toBe(2_000_000n)
})
