import type { Entity } from '../../domain/event/entity.ts'
import type { TimeId } from '../../domain/value/time-id.ts'
import type { LogEvent } from '../../outbox/log/log.ts'

/** Old events cost half as much again: V8 collects them late. */
const maxBytes = 4_000_000
/** With as much ahead of the main streams, no page of the table is read. */
const enough = { events: 500, bytes: 2_000_000 }
/** The memory of an event beyond its texts. */
const eventBytes = 300

const bytesOf = ({ body, previous }: LogEvent) => eventBytes + body.length + (previous?.length ?? 0)
const sizeOf = (events: readonly LogEvent[]) => events.reduce((sum, event) => sum + bytesOf(event), 0)

/** The index of the first event after an id. */
function indexAfter(events: readonly LogEvent[], id: TimeId): number {
  let [from, to] = [0, events.length]
  while (from < to) {
    const middle = (from + to) >> 1
    if (events[middle]!.id <= id) from = middle + 1
    else to = middle
  }
  return from
}

/** The tail's memory. */
type Held = {
  events: LogEvent[]
  bytes: number
  /** The events that the main streams have passed. */
  passed: number
  passedBytes: number
  /** Complete after `fromId`, up to `upToId`. */
  fromId: TimeId
  upToId: TimeId
}

const nothingFrom = (id: TimeId): Held => ({
  ...{ events: [], bytes: 0, passed: 0, passedBytes: 0 },
  ...{ fromId: id, upToId: id },
})

function dropPassed(held: Held): void {
  const { events, passed, passedBytes } = held
  if (passed === 0) return
  held.fromId = events[passed - 1]!.id
  held.events = events.slice(passed)
  held.bytes -= passedBytes
  held.passed = 0
  held.passedBytes = 0
}

function add(held: Held, more: readonly LogEvent[], after: TimeId, upTo: TimeId): boolean {
  if (upTo <= held.upToId) return true
  if (after > held.upToId) return false
  const fresh = more.filter(({ id }) => id > held.upToId)
  const freshBytes = sizeOf(fresh)
  if (held.bytes + freshBytes > maxBytes) dropPassed(held)
  for (const event of fresh) held.events.push(event)
  held.bytes += freshBytes
  held.upToId = upTo
  return true
}

/** No main stream reads before `id` any more. */
function pass(held: Held, id: TimeId): void {
  const { events } = held
  while (held.passed < events.length && events[held.passed]!.id <= id)
    held.passedBytes += bytesOf(events[held.passed++]!)
  // A share was acquired that is not as far.
  while (held.passed > 0 && events[held.passed - 1]!.id > id)
    held.passedBytes -= bytesOf(events[--held.passed]!)
}

/**
 * A part of the log in memory, without a gap, that ends as near to the log's end as there is room: this process' appends, and
 * pages of the table. The main streams read it from end to end. What they have passed stays while lagging webhooks may want it
 * and there is room; what they have not is never dropped: a full tail takes nothing more, and the rest is read later, page by
 * page.
 */
export function createTail() {
  let held = nothingFrom(0n)

  return {
    fromId: () => held.fromId,
    upToId: () => held.upToId,

    /** Whether the main streams soon need more than there is. */
    hasSpace: () =>
      held.events.length - held.passed < enough.events && held.bytes - held.passedBytes < enough.bytes,

    /**
     * Adds appended events after `after`, up to `upTo`; null: too many to keep. False, without effect, if there is a gap before
     * them, or no room.
     */
    push(more: readonly LogEvent[] | null, after: TimeId, upTo: TimeId): boolean {
      const { events, passed, bytes, passedBytes, upToId } = held
      if (upTo <= upToId) return true
      if (more === null) return false
      if (passed < events.length && bytes - passedBytes + sizeOf(more) > maxBytes) return false
      return add(held, more, after, upTo)
    },

    /** The same with a page of the table, for which there is room. */
    add: (page: readonly LogEvent[], after: TimeId, upTo: TimeId) => add(held, page, after, upTo),

    begin(id: TimeId) {
      held = nothingFrom(id)
    },

    /** No main stream reads before this position any more; `isDone`: nor does any other. */
    pass(id: TimeId, isDone: boolean) {
      pass(held, id)
      // Delivered events are dropped early: old garbage is expensive to collect. Each drop moves the rest.
      if (isDone && held.passed > held.events.length / 2) dropPassed(held)
    },

    /** Drops an entity's events. */
    forget({ entityType, entityId }: Entity) {
      const isOther = (event: LogEvent) => event.entityType !== entityType || event.entityId !== entityId
      const left = held.events.slice(0, held.passed).filter(isOther)
      const events = held.events.filter(isOther)
      const counts = { passed: left.length, passedBytes: sizeOf(left), bytes: sizeOf(events) }
      held = { ...held, ...counts, events }
    },

    /** At most `limit` events after `id`; null: the tail begins later. */
    after(id: TimeId, limit: number): { events: readonly LogEvent[]; readUpTo: TimeId } | null {
      const { events, fromId, upToId } = held
      if (id < fromId) return null
      const index = indexAfter(events, id)
      const some = events.slice(index, index + limit)
      return { events: some, readUpTo: index + limit < events.length ? some.at(-1)!.id : upToId }
    },
  }
}

export type Tail = ReturnType<typeof createTail>
