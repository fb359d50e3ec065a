import { expect, test } from 'vitest'
import { createCapacity } from '../../src/delivery/sending/capacity.ts'
import type { Reaction } from '../../src/domain/delivery/pace.ts'

const url = 'https://crm.example.com/'

function open(options: { max?: number; total?: number } = {}) {
  let nowMs = 0
  const capacity = createCapacity({
    max: options.max ?? 100,
    total: options.total ?? 500,
    nowMs: () => nowMs,
  })
  return {
    ...capacity,
    free: (id: number, to = url, isFailing = false) => capacity.free(id, { url: to, isFailing }),
    pass: (ms: number) => {
      nowMs += ms
    },
    nowMs: () => nowMs,
    /** Claims all there is room for. */
    fill(id: number, isFailing = false): number {
      const free = capacity.free(id, { url, isFailing })
      for (let i = 0; i < free; i++) capacity.begin(id, { url, isFailing })
      return free
    },
    reaction: (id: number, reaction: Reaction, startedAtMs = nowMs) => {
      const isFailing = capacity.end(id, url, { reaction, startedAtMs, retryAfterMs: null })
      capacity.settled(id)
      return isFailing
    },
  }
}

const capacity = (at: ReturnType<typeof open>, id: number) =>
  at.waitsForCapacity(id, { url, isFailing: false })

test('a webhook waits for free capacity only, and unknown receivers do not wait for hanging ones', () => {
  const at = open({ total: 40 })
  expect(capacity(at, 1)).toBe(true)
  at.begin(1, { url, isFailing: false })
  at.reaction(1, 'delivered')
  for (let id = 100; id < 160; id++) at.fill(id)
  // The process has no room for those that nobody knows, and none of it hangs yet.
  expect([at.free(200), capacity(at, 200)]).toEqual([0, true])
  at.pass(1_500)
  expect(capacity(at, 200)).toBe(false)
  expect(capacity(at, 1)).toBe(true)
  expect(capacity(at, 100)).toBe(false)
  // Its pace is used up.
  while (capacity(at, 1)) at.begin(1, { url, isFailing: false })
  expect(at.free(1)).toBe(0)
})

/** Lets a webhook prove that it can take the most. */
function grow(at: ReturnType<typeof open>, id: number) {
  for (let round = 0; round < 10; round++) for (let n = at.fill(id); n > 0; n--) at.reaction(id, 'delivered')
}

test('five hanging webhooks with a hundred requests each leave capacity for a sixth and a tenth', () => {
  const at = open()
  for (const id of [1, 2, 3, 4, 5, 6, 10]) grow(at, id)
  const taken = [1, 2, 3, 4, 5].map(id => at.fill(id))
  expect(taken).toEqual([100, 100, 100, 66, 44])
  expect(at.fill(6)).toBe(30)
  expect(at.fill(10)).toBeGreaterThanOrEqual(15)
})

test('with any number of hanging receivers, responsive ones never wait, and new ones wait for hanging ones at most', () => {
  const at = open({ total: 40 })
  at.begin(1, { url, isFailing: false })
  at.reaction(1, 'delivered')
  // Nobody knows them: they have seven eighths.
  const taken = Array.from({ length: 60 }, (_, id) => at.fill(100 + id))
  expect(taken.reduce((sum, n) => sum + n)).toBe(35)
  expect(at.free(199)).toBe(0)
  expect(at.free(1)).toBeGreaterThan(0)
  // Each hears nothing, and is asked again after a pause: now they have half.
  const startedAtMs = at.nowMs()
  at.pass(15_000)
  for (const [i, n] of taken.entries()) for (let k = 0; k < n; k++) at.reaction(100 + i, 'late', startedAtMs)
  at.pass(1_001)
  const again = taken.map((n, i) => (n > 0 ? at.fill(100 + i) : 0))
  expect(again.reduce((sum, n) => sum + n)).toBe(Math.min(20, taken.filter(n => n > 0).length))
  expect(at.free(199)).toBeGreaterThan(0)
})

test('webhooks that failed before the process started get one request each, and leave half of the capacity to others', () => {
  const at = open({ total: 40 })
  const taken = Array.from({ length: 60 }, (_, id) => at.fill(100 + id, true))
  expect(taken.slice(0, 20)).toEqual(Array(20).fill(1))
  expect(at.free(199, url, true)).toBe(0)
  expect(at.fill(1)).toBeGreaterThan(1)
  // One answer, and it is like any other.
  at.reaction(100, 'delivered')
  expect(at.free(100, url, true)).toBeGreaterThan(1)
})

test('a responsive receiver that stops responding counts as silent after a second', () => {
  const at = open({ total: 40 })
  for (const id of [1, 2, 3, 4]) grow(at, id)
  const held = [1, 2, 3].map(id => at.fill(id)).reduce((sum, n) => sum + n)
  expect(held).toBeGreaterThan(20)
  at.pass(1_001)
  expect(at.free(3)).toBe(0)
  expect(at.free(4)).toBeGreaterThan(0)
})

test('a single webhook gets everything that its pace allows', () => {
  const at = open()
  grow(at, 1)
  expect(at.fill(1)).toBe(100)
  expect(at.free(1)).toBe(0)
})

test('an ended attempt frees capacity before its settlement commits, up to three times the limit', () => {
  const at = open()
  for (let round = 0; round < 3; round++) {
    expect(at.fill(1)).toBe(10)
    for (let i = 0; i < 10; i++) at.end(1, url, { reaction: 'failed', startedAtMs: 0, retryAfterMs: null })
  }
  expect(at.free(1)).toBe(0)
  expect(at.unsettled()).toBe(30)
  at.settled(1)
  expect(at.free(1)).toBe(1)
})

test('while settlements are delayed, at most three times the capacity is claimed', () => {
  const at = open({ total: 30 })
  for (let id = 0; id < 90; id++)
    for (let n = at.fill(id); n > 0; n--)
      at.end(id, url, { reaction: 'failed', startedAtMs: 0, retryAfterMs: null })
  expect(at.unsettled()).toBe(90)
  expect(at.free(99)).toBe(0)
})

test('a silent receiver gets one request after a pause, and a new URL resets that', () => {
  const at = open()
  at.pass(1)
  for (let n = at.fill(1); n > 0; n--) at.reaction(1, 'silent')
  at.pass(999)
  expect(at.free(1)).toBe(0)
  at.pass(1)
  expect(at.free(1)).toBe(1)
  expect(at.free(1, url)).toBe(1)
  expect(at.free(1, 'https://elsewhere.example.com/')).toBe(10)
})

test('a response of the old URL does not count for the new one', () => {
  const at = open()
  at.fill(1)
  at.begin(1, { url: 'https://elsewhere.example.com/', isFailing: false })
  for (let n = 0; n < 2; n++) at.reaction(1, 'silent')
  expect(at.free(1, 'https://elsewhere.example.com/')).toBe(1)
})

test('a failure within a minute of a success does not make the webhook failing', () => {
  const at = open()
  at.fill(1)
  expect(at.reaction(1, 'failed')).toBe(true)
  expect(at.reaction(1, 'cut off')).toBe(false)
  expect(at.reaction(1, 'delivered')).toBe(false)
  at.pass(60_000)
  expect(at.reaction(1, 'failed')).toBe(false)
  at.pass(1)
  expect(at.reaction(1, 'failed')).toBe(true)
})

test('a success after an outage is reported once, but not between failures of one entity', () => {
  const at = open()
  const fail = () => {
    at.begin(1, { url, isFailing: false })
    at.reaction(1, 'failed')
  }
  const deliver = () => {
    at.begin(1, { url, isFailing: false })
    at.reaction(1, 'delivered')
    return at.takeRecovery(1)
  }
  for (let i = 0; i < 5; i++) {
    fail()
    at.pass(3_000)
    expect(deliver()).toBe(false)
  }
  fail()
  at.pass(5_000)
  fail()
  const startedAtMs = at.nowMs()
  at.pass(1)
  expect(at.hasRecoveredSince(1, startedAtMs)).toBe(false)
  expect(deliver()).toBe(true)
  expect(at.takeRecovery(1)).toBe(false)
  expect([at.hasRecoveredSince(1, startedAtMs), at.hasRecoveredSince(1, at.nowMs())]).toEqual([true, false])
  // What began before the success says nothing of what comes after it.
  for (let i = 0; i < 3; i++) at.begin(1, { url, isFailing: false })
  for (let i = 0; i < 3; i++) at.reaction(1, 'failed', startedAtMs)
  at.pass(5_000)
  expect(deliver()).toBe(false)
})

test('the shown pace equals the applied one: fewer requests at once, or a pause', () => {
  const at = open()
  expect(at.paceOf(1)).toBeNull()
  grow(at, 1)
  expect(at.paceOf(1)).toEqual({ limit: 100, pausedForMs: 0 })
  const count = at.fill(1)
  at.pass(1)
  at.reaction(1, 'overloaded', at.nowMs())
  expect(at.paceOf(1)).toEqual({ limit: 50, pausedForMs: 0 })
  for (let i = 1; i < count; i++) at.reaction(1, 'failed')
  at.pass(10)
  at.fill(1)
  at.reaction(1, 'silent', at.nowMs())
  const { limit, pausedForMs } = at.paceOf(1)!
  expect({ limit, isPaused: pausedForMs > 0 }).toEqual({ limit: 1, isPaused: true })
  expect(at.free(1)).toBe(0)
  at.pass(pausedForMs)
  expect(at.paceOf(1)!.pausedForMs).toBe(0)
})
