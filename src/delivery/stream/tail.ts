import type { Entity } from '../../domain/event/entity.ts'
import type { TimeId } from '../../domain/value/time-id.ts'
import type { LogEvent } from '../../outbox/log/log.ts'

const mostBytes = 8_000_000
/** The memory of an event beyond its texts. */
const eventBytes = 300

const bytesOf = ({ body, previous }: LogEvent) => eventBytes + body.length + (previous?.length ?? 0)

/** The index of the first event after an id. */
function placeAfter(events: readonly LogEvent[], id: TimeId): number {
  let [from, to] = [0, events.length]
  while (from < to) {
    const middle = (from + to) >> 1
    if (events[middle]!.id <= id) from = middle + 1
    else to = middle
  }
  return from
}

/**
 * The end of the log in memory, for all streams that keep up: this process' appends, and events read once after a
 * notification. Limited in bytes: slower streams read pages of the table.
 */
export function createTail() {
  let events: LogEvent[] = []
  let bytes = 0
  /** Complete after `fromId`, up to `upToId`. */
  let fromId: TimeId = 0n
  let upToId: TimeId = 0n

  /** Drops the first events. */
  function cut(count: number) {
    if (count === 0) return
    fromId = events[count - 1]!.id
    for (const event of events.slice(0, count)) bytes -= bytesOf(event)
    events = events.slice(count)
  }

  return {
    fromId: () => fromId,
    upToId: () => upToId,

    /**
     * Adds the events after `after`, up to `upTo`; null: too many to keep, so that the tail begins there. False, without
     * effect, if there is a gap before them.
     */
    push(more: readonly LogEvent[] | null, after: TimeId, upTo: TimeId): boolean {
      if (upTo <= upToId) return true
      if (after > upToId) return false
      const fresh = more?.filter(({ id }) => id > upToId) ?? []
      upToId = upTo
      if (more === null) {
        events = []
        bytes = 0
        fromId = upTo
        return true
      }
      for (const event of fresh) {
        events.push(event)
        bytes += bytesOf(event)
      }
      if (bytes <= mostBytes) return true
      let gone = 0
      let left = bytes
      // Half of it at once: each cut moves the rest.
      while (left > mostBytes / 2 && gone < events.length - 1) left -= bytesOf(events[gone++]!)
      cut(gone)
      return true
    },

    /** Restarts the tail at `id`. */
    begin(id: TimeId) {
      events = []
      bytes = 0
      fromId = id
      upToId = id
    },

    /** No stream reads before this position any more. */
    pass(id: TimeId) {
      const passed = placeAfter(events, id)
      if (passed > events.length / 2) cut(passed)
    },

    /** Drops an entity's events. */
    forget({ entityType, entityId }: Entity) {
      events = events.filter(event => event.entityType !== entityType || event.entityId !== entityId)
      bytes = events.reduce((sum, event) => sum + bytesOf(event), 0)
    },

    /** At most `limit` events after `id`; null: the tail begins later. */
    after(id: TimeId, limit: number): { events: readonly LogEvent[]; readUpTo: TimeId } | null {
      if (id < fromId) return null
      const place = placeAfter(events, id)
      const some = events.slice(place, place + limit)
      return { events: some, readUpTo: place + limit < events.length ? some.at(-1)!.id : upToId }
    },
  }
}

export type Tail = ReturnType<typeof createTail>
