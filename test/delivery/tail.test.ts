import { expect, test } from 'vitest'
import { createTail } from '../../src/delivery/stream/tail.ts'
import type { LogEvent } from '../../src/outbox/log/log.ts'

const event = (id: bigint, body = '{}') =>
  ({ id, body, previous: null, entityType: 'user', entityId: String(id) }) as LogEvent
const idsOf = (found: { events: readonly LogEvent[] } | null) => found?.events.map(({ id }) => id)
const large = 'x'.repeat(1_500_000)

/** A tail of large events with these ids. */
function tailOf(...ids: bigint[]) {
  const tail = createTail()
  for (const id of ids) tail.push([event(id, large)], id - 1n, id)
  return tail
}

test('a tail accepts only gapless events, up to its size', () => {
  const tail = createTail()
  tail.begin(5n)
  expect(tail.push([event(7n)], 6n, 7n)).toBe(false)
  expect(tail.push([event(6n), event(7n), event(8n)], 5n, 8n)).toBe(true)
  expect(idsOf(tail.after(5n, 2))).toEqual([6n, 7n])
  expect(tail.push(null, 8n, 20n)).toBe(false)
  expect([idsOf(tail.after(5n, 9)), tail.upToId()]).toEqual([[6n, 7n, 8n], 8n])
  // A page of the table closes the gap, also where both overlap.
  expect(tail.add([event(8n), event(19n)], 7n, 20n)).toBe(true)
  expect(idsOf(tail.after(5n, 9))).toEqual([6n, 7n, 8n, 19n])
})

test('events that every stream has passed are dropped once they are more than half', () => {
  const tail = createTail()
  tail.push([event(1n), event(2n), event(3n), event(4n)], 0n, 9n)
  tail.pass(2n, true)
  expect(idsOf(tail.after(0n, 10))).toEqual([1n, 2n, 3n, 4n])
  tail.pass(3n, true)
  expect([tail.after(2n, 10), idsOf(tail.after(3n, 10)), tail.fromId()]).toEqual([null, [4n], 3n])
  tail.pass(9n, true)
  expect([idsOf(tail.after(4n, 10)), tail.upToId()]).toEqual([[], 9n])
})

test('beyond 4 MB, further events are refused, and the next ones to send are kept', () => {
  const tail = tailOf(1n, 2n, 3n)
  expect([idsOf(tail.after(0n, 10)), tail.upToId(), tail.hasSpace()]).toEqual([[1n, 2n], 2n, false])
  tail.pass(1n, true)
  expect(tail.hasSpace()).toBe(true)
  tail.pass(2n, true)
  // Others have appended meanwhile.
  expect(tail.push([event(9n, large)], 8n, 9n)).toBe(false)
  expect(tail.add([event(3n, large), event(8n)], 2n, 8n)).toBe(true)
  expect(tail.push([event(9n, large)], 8n, 9n)).toBe(true)
  expect(idsOf(tail.after(2n, 10))).toEqual([3n, 8n, 9n])
})

test('events that the main streams have passed stay for others until the space is needed', () => {
  const tail = tailOf(1n, 2n)
  tail.pass(2n, false)
  expect(idsOf(tail.after(0n, 10))).toEqual([1n, 2n])
  // Whose position is earlier needs them again.
  tail.pass(0n, false)
  expect(tail.push([event(3n, large)], 2n, 3n)).toBe(false)
  tail.pass(1n, false)
  expect(tail.push([event(3n, large)], 2n, 3n)).toBe(true)
  expect([tail.after(0n, 10), idsOf(tail.after(1n, 10))]).toEqual([null, [2n, 3n]])
})

test('an empty tail accepts an event of any size; a page is always accepted', () => {
  const tail = createTail()
  const huge = 'x'.repeat(9_000_000)
  expect(tail.push([event(1n, huge)], 0n, 1n)).toBe(true)
  expect([tail.hasSpace(), tail.push([event(2n)], 1n, 2n)]).toEqual([false, false])
  tail.pass(1n, true)
  expect(tail.push([event(2n)], 1n, 2n)).toBe(true)
  expect([tail.hasSpace(), tail.add([event(3n, huge)], 2n, 3n)]).toEqual([true, true])
})

test('a forgotten entity is removed from the tail, and the count stays right', () => {
  const tail = tailOf(1n, 2n)
  tail.pass(1n, false)
  tail.forget({ entityType: 'user', entityId: '1' })
  tail.forget({ entityType: 'user', entityId: '2' })
  expect([idsOf(tail.after(0n, 10)), tail.upToId(), tail.hasSpace()]).toEqual([[], 2n, true])
  expect(tail.push([event(3n, large), event(4n, large)], 2n, 4n)).toBe(true)
})
