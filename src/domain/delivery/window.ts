import type { TimeId } from '../value/time-id.ts'

/**
 * A stream's progress through the log, in its holder's memory. An event is open until its result at each of the stream's
 * webhooks has committed: delivered, set aside, superseded or dead.
 *
 *     settled up to            sent up to         read up to       head
 *     ─────┬──────────────────────┬──────────────────┬───────────────┬──▶ ids
 *     all  │ open and delivered   │ open, none of    │ not read yet  │
 *     done │ events               │ them sent        │               │
 */
export type Window = {
  readUpTo: TimeId
  /** No later event was sent or set aside. */
  sentUpTo: TimeId
  /** Open events, each with the number of webhooks that have it open. */
  readonly open: Map<TimeId, number>
  /** The sum of these counts. */
  openCount: number
}

/** A stream that continues after `position`. */
export function openWindow(position: TimeId): Window {
  return { readUpTo: position, sentUpTo: position, open: new Map(), openCount: 0 }
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

/** An event was sent, or becomes a row: a restart reads from here. */
export function noteSent(window: Window, id: TimeId): void {
  if (id > window.sentUpTo) window.sentUpTo = id
}

/** All events up to here are done. A webhook that joins may open older events than the others. */
export function settledUpTo(window: Window): TimeId {
  let oldest: TimeId | null = null
  for (const id of window.open.keys()) if (oldest === null || id < oldest) oldest = id
  return oldest === null ? window.readUpTo : oldest - 1n
}
