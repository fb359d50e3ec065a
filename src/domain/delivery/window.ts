import type { TimeId } from '../value/time-id.ts'

/**
 * A stream's way through the log, in the memory of its holder: how far it was read, and what of that is still open. An
 * event is open until everything that becomes of it at the stream's webhooks has committed: it is delivered, set aside,
 * superseded or dead.
 *
 *     settled up to            sent up to         read up to       head
 *     ─────┬──────────────────────┬──────────────────┬───────────────┬──▶ ids
 *     all  │ open, and delivered  │ open, none of it │ not seen yet  │
 *     done │ ones among them      │ sent             │               │
 */
export type Window = {
  /** Everything at or before it was looked at. */
  readUpTo: TimeId
  /** Nothing after it was sent or set aside. */
  sentUpTo: TimeId
  /** Open events by how many webhooks have them open. */
  readonly open: Map<TimeId, number>
  /** The sum of these. */
  openCount: number
}

/** A stream that goes on after `place`. */
export function openWindow(place: TimeId): Window {
  return { readUpTo: place, sentUpTo: place, open: new Map(), openCount: 0 }
}

/** One more webhook has this event open. */
export function openIn(window: Window, id: TimeId): void {
  window.open.set(id, (window.open.get(id) ?? 0) + 1)
  window.openCount++
}

/** A webhook is done with this event. */
export function closeIn(window: Window, id: TimeId): void {
  const webhooks = window.open.get(id)
  if (webhooks === undefined) return
  window.openCount--
  if (webhooks === 1) window.open.delete(id)
  else window.open.set(id, webhooks - 1)
}

/** An event was sent, or becomes a row: nothing before it can be read again without it. */
export function noteSent(window: Window, id: TimeId): void {
  if (id > window.sentUpTo) window.sentUpTo = id
}

/** Everything at or before it is done with. A webhook that joins brings older events than others have open. */
export function settledUpTo(window: Window): TimeId {
  let oldest: TimeId | null = null
  for (const id of window.open.keys()) if (oldest === null || id < oldest) oldest = id
  return oldest === null ? window.readUpTo : oldest - 1n
}
