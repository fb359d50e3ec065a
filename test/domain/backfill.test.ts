import { expect, test } from 'vitest'
import { forecast, pageRows, pauseMs } from '../../src/domain/capture/backfill.ts'

test('a page holds half a second of the pace, starts small, and is bounded in rows and bytes', () => {
  const table: [rowsPerSecond: number, bytesPerRow: number | null, rows: number][] = [
    [1, null, 1],
    [1_000, null, 100],
    [1_000, 200, 500],
    [100_000, 200, 1_000],
    [100_000, 20_000, 209],
    [100_000, 50_000_000, 1],
    [3, 0, 2],
  ]
  for (const [rowsPerSecond, bytesPerRow, rows] of table)
    expect(pageRows(rowsPerSecond, bytesPerRow)).toBe(rows)
})

test('the pause after a page keeps the pace, and is zero after a slow page', () => {
  expect(pauseMs(500, 1_000, 20)).toBe(480)
  expect(pauseMs(500, 1_000, 900)).toBe(0)
})

test('the forecast uses the average pace so far', () => {
  const startedAt = new Date(10_000)
  const running = { state: 'running', startedAt, endedAt: null, rowsDone: 100, rowsEstimate: 300 } as const
  expect(forecast(running, 20_000)).toEqual({ rowsPerSecond: 10, doneAt: new Date(40_000) })
  expect(forecast({ ...running, rowsEstimate: 50 }, 20_000).doneAt).toEqual(new Date(20_000))
  expect(forecast({ ...running, rowsEstimate: null }, 20_000).doneAt).toBe(null)
  const done = { ...running, state: 'done', endedAt: new Date(15_000) } as const
  expect(forecast(done, 99_000)).toEqual({ rowsPerSecond: 20, doneAt: null })
  expect(forecast({ ...running, startedAt: null, rowsDone: 0 }, 20_000)).toEqual({
    rowsPerSecond: null,
    doneAt: null,
  })
})
