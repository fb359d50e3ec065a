import { expect, test } from 'vitest'
import { createPatientClock } from '../../src/runtime/patient-clock.ts'

test('the clock leaves out late checks, and never goes back', () => {
  let nowMs = 1_000
  const clock = createPatientClock(() => nowMs)
  expect(clock.nowMs()).toBe(1_000)
  nowMs = 1_500
  expect(clock.nowMs()).toBe(1_500)
  clock.late(400)
  expect(clock.nowMs()).toBe(1_500)
  nowMs = 1_900
  expect(clock.nowMs()).toBe(1_500)
  nowMs = 2_000
  expect(clock.nowMs()).toBe(1_600)
  // A check that comes early makes nobody slower.
  clock.late(-500)
  expect(clock.nowMs()).toBe(1_600)
})
