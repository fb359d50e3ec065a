import { expect, test } from 'vitest'
import { noteBeats, type Silences } from '../../src/domain/delivery/silence.ts'

/** What is known of holder 1 after beats of ours, each `[so many ms after the one before, its beat]`. */
function silentMs(beats: readonly (readonly [number, number | null])[]): number | undefined {
  let known: Silences = new Map()
  for (const [passedMs, beat] of beats)
    known = noteBeats(known, beat === null ? [] : [{ id: 1, beat: BigInt(beat), hasSession: true }], passedMs)
  return known.get(1)?.silentMs
}

test.each([
  ['it was seen once', [[1_000, 7]], 0],
  [
    'its beat grows',
    [
      [1_000, 7],
      [1_000, 8],
      [1_000, 9],
    ],
    0,
  ],
  [
    'its beat stands still',
    [
      [1_000, 7],
      [1_000, 7],
      [1_000, 7],
      [1_100, 7],
    ],
    3_100,
  ],
  [
    'it beats again',
    [
      [1_000, 7],
      [2_000, 7],
      [1_000, 8],
      [1_000, 8],
    ],
    1_000,
  ],
  [
    'the database was away for a minute: theirs were not written either',
    [
      [1_000, 7],
      [60_000, 7],
    ],
    1_500,
  ],
  [
    'it is gone',
    [
      [1_000, 7],
      [1_000, null],
    ],
    undefined,
  ],
  [
    'it is gone, and another one has its id',
    [
      [1_000, 7],
      [1_000, null],
      [1_000, 7],
    ],
    0,
  ],
] as const)('%s', (_, beats, expected) => {
  expect(silentMs(beats)).toBe(expected)
})
