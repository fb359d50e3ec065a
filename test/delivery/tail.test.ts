import { expect, test } from 'vitest'
import { createTail } from '../../src/delivery/stream/tail.ts'
import type { LogEvent } from '../../src/outbox/log/log.ts'

const event = (id: bigint, body = '{}') => ({ id, body, previous: null }) as LogEvent
const idsOf = (found: { events: readonly LogEvent[] } | null) => found?.events.map(({ id }) => id)

test('a tail goes on only with what follows, and begins where it was cut', () => {
  const tail = createTail()
  tail.begin(5n)
  expect(tail.push([event(7n)], 6n, 7n)).toBe(false)
  expect(tail.push([event(6n), event(7n), event(8n)], 5n, 8n)).toBe(true)
  expect(idsOf(tail.after(5n, 2))).toEqual([6n, 7n])
  tail.push(null, 8n, 20n)
  expect([tail.after(8n, 10), tail.fromId()]).toEqual([null, 20n])
})

test('what all have passed is given up, once it is the larger part', () => {
  const tail = createTail()
  tail.push([event(1n), event(2n), event(3n), event(4n)], 0n, 9n)
  tail.pass(2n)
  expect(idsOf(tail.after(0n, 10))).toEqual([1n, 2n, 3n, 4n])
  tail.pass(3n)
  expect([tail.after(2n, 10), idsOf(tail.after(3n, 10)), tail.fromId()]).toEqual([null, [4n], 3n])
  tail.pass(9n)
  expect([idsOf(tail.after(4n, 10)), tail.upToId()]).toEqual([[], 9n])
})

test('of more than 8 MB the older half is given up', () => {
  const tail = createTail()
  const large = 'x'.repeat(3_000_000)
  for (const id of [1n, 2n, 3n]) tail.push([event(id, large)], id - 1n, id)
  expect([tail.fromId(), idsOf(tail.after(2n, 10))]).toEqual([2n, [3n]])
})
