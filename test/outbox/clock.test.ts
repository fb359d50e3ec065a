import { expect, test } from 'vitest'
import { openClock } from '../../src/outbox/database/clock.ts'
import { setHostClock } from '../support/host-clock.ts'

test('after a machine was suspended, the clock of the outbox is read again when somebody asks for the time', async () => {
  let databaseMs = 1_000_000
  let asked = 0
  const query = async () => {
    asked++
    return { rows: [{ ms: databaseMs }] }
  }
  const { nowMs } = await openClock({ pool: { query } as never })
  expect(Math.abs(nowMs() - databaseMs)).toBeLessThan(60_000)
  expect(asked).toBe(1)
  databaseMs += 600_000
  using _clock = setHostClock(600_000)
  nowMs()
  nowMs()
  expect(asked).toBe(2)
  await new Promise(resolve => setImmediate(resolve))
  expect(Math.abs(nowMs() - databaseMs)).toBeLessThan(60_000)
  expect(asked).toBe(2)
})
