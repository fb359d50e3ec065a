import { expect, test } from 'vitest'
import { lookedAt, pieceFor, spanUntil } from '../../src/domain/shown/traffic.ts'
import { timeOf } from '../../src/domain/value/time-id.ts'

const minuteMs = 60_000

test('a span ends with the last full minute', () => {
  expect(spanUntil(61 * minuteMs + 1, minuteMs, 60)).toEqual({
    fromMs: minuteMs,
    bucketMs: minuteMs,
    count: 60,
  })
  expect(spanUntil(61 * minuteMs, minuteMs, 60).fromMs).toBe(minuteMs)
  expect(spanUntil(62 * minuteMs - 1, 5 * minuteMs, 12).fromMs).toBe(minuteMs)
})

test('reading everything counts each request exactly once', () => {
  const pieces = lookedAt({ fromMs: 5 * minuteMs, bucketMs: minuteMs, count: 3 }, minuteMs)
  expect(pieces.map(({ from, to }) => [timeOf(from), timeOf(to)])).toEqual([
    [5 * minuteMs, 6 * minuteMs],
    [6 * minuteMs, 7 * minuteMs],
    [7 * minuteMs, 8 * minuteMs],
  ])
})

test.each([30_000, 6_000, 60, 1])('each stretch contains a piece of %d ms', pieceMs => {
  const span = { fromMs: 1_700_000_040_000, bucketMs: minuteMs, count: 1_000 }
  const pieces = lookedAt(span, pieceMs)
  const offsets = pieces.map(({ from, to }, i) => {
    const startMs = span.fromMs + i * minuteMs
    expect(timeOf(to) - timeOf(from)).toBe(pieceMs)
    expect(timeOf(from)).toBeGreaterThanOrEqual(startMs)
    expect(timeOf(to)).toBeLessThanOrEqual(startMs + minuteMs)
    return (timeOf(from) - startMs) / (minuteMs - pieceMs)
  })
  // Spread over the stretch: what happens at each full minute is met as often as anything else.
  for (const part of [0, 0.25, 0.5, 0.75])
    expect(offsets.filter(offset => offset >= part && offset <= part + 0.25).length).toBeGreaterThan(225)
  expect(lookedAt(span, pieceMs)).toEqual(pieces)
})

test.each([
  [10_000, 1_000, 6_000, 1_000],
  [10_000, 10_000_000, 6_000, 1],
  [10_000, 0, 6_000, 30_000],
  [10_000, 1, 6_000, 30_000],
])('for %d requests, after %d in %d ms, a piece lasts %d ms', (wanted, seen, inMs, expected) => {
  expect(pieceFor({ fromMs: 0, bucketMs: minuteMs, count: 60 }, wanted, seen, inMs)).toBe(expected)
})
