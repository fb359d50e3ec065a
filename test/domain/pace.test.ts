import { expect, test } from 'vitest'
import {
  classifyAttempt,
  firstPace,
  freeByPace,
  type Pace,
  paceAfter,
  type Reaction,
} from '../../src/domain/delivery/pace.ts'

const max = 100
const after = (pace: Pace, reaction: Reaction, change: Partial<Parameters<typeof paceAfter>[1]> = {}) =>
  paceAfter(pace, {
    reaction,
    startedAtMs: 1_000,
    nowMs: 1_050,
    inFlight: Math.floor(pace.limit),
    retryAfterMs: null,
    max,
    ...change,
  })
const pace = (change: Partial<Pace> = {}): Pace => ({ ...firstPace(max), ...change })

test.each([
  ['delivered', 204, null, 'delivered'],
  ['cancelled', null, null, 'cut off'],
  ['refused', 429, 'http_error', 'overloaded'],
  ['refused', 502, 'http_error', 'overloaded'],
  ['refused', 503, 'http_error', 'overloaded'],
  ['refused', 504, 'http_error', 'overloaded'],
  ['refused', 500, 'http_error', 'failed'],
  ['refused', 501, 'http_error', 'failed'],
  ['refused', 505, 'http_error', 'failed'],
  ['refused', 404, 'http_error', 'failed'],
  ['refused', 410, 'http_error', 'failed'],
  ['refused', 302, 'redirect', 'failed'],
  ['unreachable', null, 'timeout', 'late'],
  ['unreachable', 200, 'timeout', 'late'],
  ['unreachable', null, 'connection_refused', 'silent'],
  ['unreachable', null, 'tls_error', 'silent'],
  ['blocked', null, 'blocked_target', 'silent'],
] as const)(
  'an attempt that is %s with status %s and error %s counts as %s',
  (outcome, status, errorClass, reaction) => {
    expect(classifyAttempt({ outcome, status, errorClass })).toBe(reaction)
  },
)

test.each<[string, Pace, Reaction, object, Partial<Pace>]>([
  ['it begins at 10 and grows with each delivery', pace(), 'delivered', {}, { limit: 11 }],
  ['not while less than half of it is used', pace(), 'delivered', { inFlight: 4 }, { limit: 10 }],
  ['at half it grows', pace(), 'delivered', { inFlight: 5 }, { limit: 11 }],
  ['never above the most', pace({ limit: 100 }), 'delivered', {}, { limit: 100 }],
  [
    'above the threshold by one per round',
    pace({ limit: 20, threshold: 20 }),
    'delivered',
    {},
    { limit: 20.05 },
  ],
  ['an entity that fails changes nothing', pace({ limit: 50 }), 'failed', {}, { limit: 50, pauses: 0 }],
  ['429 halves it', pace({ limit: 51 }), 'overloaded', {}, { limit: 25, threshold: 25, fellAtMs: 1_050 }],
  ['once per round', pace({ limit: 50, fellAtMs: 1_001 }), 'overloaded', {}, { limit: 50 }],
  ['at 1, it pauses', pace({ limit: 1.5 }), 'overloaded', {}, { limit: 1, pauses: 1, pausedUntilMs: 2_050 }],
  [
    'a time-out among answers halves it',
    pace({ limit: 40, respondedAtMs: 1_020 }),
    'late',
    {},
    { limit: 20 },
  ],
  [
    'one of the same round does not',
    pace({ limit: 20, respondedAtMs: 1_020, fellAtMs: 1_040 }),
    'late',
    {},
    { limit: 20 },
  ],
  [
    'a lost connection among answers is nothing',
    pace({ limit: 40, respondedAtMs: 1_020 }),
    'silent',
    {},
    { limit: 40 },
  ],
  [
    'no answer at all: one, after a pause',
    pace({ limit: 80 }),
    'silent',
    {},
    { limit: 1, threshold: 10, pauses: 1, pausedUntilMs: 2_050 },
  ],
  [
    'also after the round has cost a half',
    pace({ limit: 40, respondedAtMs: 999, fellAtMs: 1_040 }),
    'late',
    {},
    { limit: 1, pauses: 1 },
  ],
  [
    'the rest of that round is the same news',
    pace({ limit: 1, fellAtMs: 1_040, pauses: 1, pausedUntilMs: 2_040 }),
    'silent',
    {},
    { limit: 1, pauses: 1, pausedUntilMs: 2_040 },
  ],
  [
    'the next pause is twice as long',
    pace({ limit: 1, fellAtMs: 900, pauses: 3 }),
    'silent',
    {},
    { pauses: 4, pausedUntilMs: 9_050 },
  ],
  [
    'none is longer than a minute',
    pace({ limit: 1, fellAtMs: 900, pauses: 99 }),
    'late',
    {},
    { pauses: 100, pausedUntilMs: 61_050 },
  ],
  [
    'an answer ends the pause',
    pace({ limit: 1, pauses: 4, pausedUntilMs: 60_000 }),
    'delivered',
    {},
    { limit: 2, pauses: 0, pausedUntilMs: 1_050 },
  ],
  [
    'any answer',
    pace({ limit: 1, pauses: 4, pausedUntilMs: 60_000 }),
    'failed',
    {},
    { limit: 1, pauses: 0, pausedUntilMs: 1_050 },
  ],
  [
    'Retry-After bridges at most 2 s',
    pace({ limit: 8 }),
    'overloaded',
    { retryAfterMs: 60_000 },
    { limit: 4, pauses: 0, pausedUntilMs: 3_050 },
  ],
  [
    'also within a round',
    pace({ limit: 8, fellAtMs: 1_001 }),
    'overloaded',
    { retryAfterMs: 500 },
    { limit: 8, pausedUntilMs: 1_550 },
  ],
  [
    'a delivery does not end that',
    pace({ limit: 8, pausedUntilMs: 3_000 }),
    'delivered',
    {},
    { pausedUntilMs: 3_000 },
  ],
  ['our own shutdown says nothing', pace({ limit: 8 }), 'cut off', {}, pace({ limit: 8 })],
])('%s', (_what, before, reaction, change, expected) => {
  expect(after(before, reaction, change)).toMatchObject(expected)
})

test('the free capacity is the limit less requests in flight, and zero in a pause', () => {
  expect(freeByPace(pace({ limit: 10.9 }), 4, 0)).toBe(6)
  expect(freeByPace(pace({ limit: 2 }), 10, 0)).toBe(0)
  expect(freeByPace(pace({ pausedUntilMs: 100 }), 0, 99)).toBe(0)
  expect(freeByPace(pace({ pausedUntilMs: 100 }), 0, 100)).toBe(10)
})

test('a configured maximum below ten is respected', () => {
  expect(firstPace(3)).toMatchObject({ limit: 3 })
  expect(after(firstPace(3), 'delivered', { max: 3 }).limit).toBe(3)
  const back = after(after(firstPace(3), 'silent', { max: 3 }), 'delivered', { max: 3 })
  expect(after(after(back, 'delivered', { max: 3 }), 'delivered', { max: 3 }).limit).toBe(3)
})

/**
 * A receiver that answers in `responseTimeoutMs` and can hold `capacity` requests: what comes above is answered 503. Away until
 * `backAtMs`. Counts what it was asked in each second.
 */
function simulate(
  receiver: { capacity: number; responseTimeoutMs: number; backAtMs: number },
  untilMs: number,
) {
  let state = firstPace(max)
  const underWay: { startedAtMs: number; endsAtMs: number; reaction: Reaction }[] = []
  const perSecond: { asked: number; overloaded: number; delivered: number }[] = []
  for (let nowMs = 0; nowMs < untilMs; nowMs++) {
    perSecond[Math.floor(nowMs / 1_000)] ??= { asked: 0, overloaded: 0, delivered: 0 }
    const second = perSecond.at(-1)!
    for (const request of underWay.filter(({ endsAtMs }) => endsAtMs <= nowMs)) {
      const inFlight = underWay.length
      underWay.splice(underWay.indexOf(request), 1)
      const { reaction, startedAtMs } = request
      state = paceAfter(state, { reaction, startedAtMs, nowMs, inFlight, retryAfterMs: null, max })
      if (reaction === 'overloaded') second.overloaded++
      if (reaction === 'delivered') second.delivered++
    }
    while (freeByPace(state, underWay.length, nowMs) > 0) {
      second.asked++
      const reaction =
        nowMs < receiver.backAtMs
          ? 'silent'
          : underWay.length < receiver.capacity
            ? 'delivered'
            : 'overloaded'
      underWay.push({
        startedAtMs: nowMs,
        endsAtMs: nowMs + (reaction === 'delivered' ? receiver.responseTimeoutMs : 1),
        reaction,
      })
    }
  }
  return { state, perSecond }
}

test('a receiver that returns after an hour was tried a few times a minute, and gets its backlog at its own rate', () => {
  const hourS = 3_600
  const { perSecond } = simulate(
    { capacity: 40, responseTimeoutMs: 50, backAtMs: hourS * 1_000 },
    (hourS + 120) * 1_000,
  )
  const away = perSecond.slice(0, hourS)
  expect(away.reduce((sum, { asked }) => sum + asked, 0)).toBeLessThan(10 + 7 + 60)
  const back = perSecond.findIndex(({ delivered }) => delivered > 0)
  expect(back - hourS).toBeLessThanOrEqual(60)
  // In its first second no more than it is known to take, then more and more.
  expect(perSecond[back]!.asked).toBeLessThan(300)
  expect(perSecond[back]!.overloaded).toBe(0)
  const steady = perSecond.slice(back + 20, back + 50)
  const sum = (of: 'overloaded' | 'delivered') => steady.reduce((total, second) => total + second[of], 0)
  // It can do 800 a second; it gets most of that, and few that are too many.
  expect(sum('delivered') / steady.length).toBeGreaterThan(500)
  expect(sum('overloaded') / sum('delivered')).toBeLessThan(0.05)
})

test('a healthy receiver has a hundred requests in flight within a second', () => {
  const { state, perSecond } = simulate({ capacity: 1_000, responseTimeoutMs: 50, backAtMs: 0 }, 2_000)
  expect(state.limit).toBe(max)
  expect(perSecond[1]!.delivered).toBeGreaterThan(1_900)
})
