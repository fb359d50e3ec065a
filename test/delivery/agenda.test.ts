import { expect, test } from 'vitest'
import { createAgenda } from '../../src/delivery/agenda.ts'

const slowPollMs = 5_000
const never = () => Number.POSITIVE_INFINITY

/** An agenda that has been told of `found` at 0. */
function open(found: { id: number; dueInMs: number }[] = []) {
  const agenda = createAgenda({ slowPollMs })
  expect(agenda.question(0)).toBe('all')
  agenda.answer('all', found, { atMs: 0, version: agenda.version(), nowMs: 0 })
  return agenda
}

test('at first it asks about all, then about those that have something due', () => {
  const agenda = open([
    { id: 1, dueInMs: -5 },
    { id: 2, dueInMs: 300 },
  ])
  expect(agenda.question(10)).toEqual([1])
  expect(agenda.quietMs(10, never)).toBe(290)
  expect(agenda.question(300)).toEqual([1, 2])
})

test('with nothing to do it asks about all again after the slow poll', () => {
  const agenda = open()
  expect(agenda.question(4_999)).toEqual([])
  expect(agenda.quietMs(1_000, never)).toBe(4_000)
  expect(agenda.question(5_000)).toBe('all')
})

test('a commit to the outbox makes it ask about all at once', () => {
  const agenda = open()
  agenda.lookSoon()
  expect(agenda.quietMs(10, never)).toBe(0)
  expect(agenda.question(10)).toBe('all')
})

test('asking about all fills at most a quarter of the time', () => {
  const agenda = createAgenda({ slowPollMs })
  agenda.question(0)
  agenda.answer('all', [], { atMs: 0, version: agenda.version(), nowMs: 20 })
  agenda.lookSoon()
  expect(agenda.question(79)).toEqual([])
  expect(agenda.quietMs(70, never)).toBe(10)
  expect(agenda.question(80)).toBe('all')
})

test('a commit while the question is on its way is asked about afterwards', () => {
  const agenda = createAgenda({ slowPollMs })
  agenda.question(0)
  const version = agenda.version()
  agenda.lookSoon()
  agenda.answer('all', [], { atMs: 0, version, nowMs: 0 })
  expect(agenda.question(1)).toBe('all')
})

test('a question that failed is asked again', () => {
  const agenda = createAgenda({ slowPollMs })
  agenda.unanswered(agenda.question(0))
  expect(agenda.question(0)).toBe('all')
})

test('what is noted while an answer is on its way is not lost by it', () => {
  const agenda = open()
  const version = agenda.version()
  agenda.note(1, 50)
  agenda.answer('all', [], { atMs: 0, version, nowMs: 10 })
  expect(agenda.question(50)).toEqual([1])
  agenda.answer([1], [], { atMs: 50, version: agenda.version(), nowMs: 51 })
  expect(agenda.question(51)).toEqual([])
})

test('a claim that found less than it might have ends an entry, unless something was noted meanwhile', () => {
  const agenda = open([{ id: 1, dueInMs: 0 }])
  const version = agenda.version()
  agenda.note(1, 20)
  agenda.drained(1, version)
  expect(agenda.question(20)).toEqual([1])
  agenda.drained(1, agenda.version())
  expect(agenda.question(20)).toEqual([])
})

test('the earlier of two times counts', () => {
  const agenda = open([{ id: 1, dueInMs: 100 }])
  agenda.note(1, 200)
  expect(agenda.question(100)).toEqual([1])
  agenda.note(1, 50)
  expect(agenda.question(50)).toEqual([1])
})

test('a webhook without a place needs no turn before it may have one', () => {
  const agenda = open([{ id: 1, dueInMs: 0 }])
  expect(agenda.quietMs(10, never)).toBe(4_990)
  expect(agenda.quietMs(10, () => 700)).toBe(690)
})

test('what is due later is not forgotten when something else comes and is claimed meanwhile', () => {
  const agenda = open()
  agenda.note(1, 300)
  agenda.note(1, 700)
  const version = agenda.version()
  agenda.answer('all', [{ id: 1, dueInMs: 0 }], { atMs: 100, version, nowMs: 100 })
  expect(agenda.question(100)).toEqual([1])
  agenda.drained(1, version, 100)
  expect(agenda.question(299)).toEqual([])
  expect(agenda.question(300)).toEqual([1])
  agenda.drained(1, version, 300)
  expect(agenda.quietMs(300, never)).toBe(400)
  agenda.answer([1], [], { atMs: 700, version, nowMs: 700 })
  expect(agenda.question(1_000)).toEqual([])
})

test('of many moments of a webhook the earliest are known', () => {
  const agenda = open()
  for (let ms = 100; ms > 0; ms--) agenda.note(1, ms)
  agenda.drained(1, agenda.version(), 31)
  expect(agenda.question(31)).toEqual([])
  expect(agenda.question(32)).toEqual([1])
  agenda.drained(1, agenda.version(), 32)
  expect(agenda.question(1_000)).toEqual([])
})
