import type { Window } from '../../domain/delivery/window.ts'
import type { TimeId } from '../../domain/value/time-id.ts'
import type { LogEvent } from '../../outbox/log/log.ts'

/** A range of the log, of all or some shares. */
export type Page = {
  readonly after: TimeId
  readonly events: readonly LogEvent[]
  readonly upTo: TimeId
  readonly shares?: readonly number[]
}

/**
 * The windows that a page continues without a gap, without released shares. A window may be behind the page: its share is
 * new, or its unsent events were dropped.
 */
export function followers(
  windows: ReadonlyMap<number, Window>,
  leaving: ReadonlySet<number>,
  { after, shares }: Page,
): ReadonlyMap<number, Window> {
  const isRead = (share: number) => !leaving.has(share) && shares?.includes(share) !== false
  return new Map([...windows].filter(([share, { readUpTo }]) => isRead(share) && readUpTo >= after))
}

/** The windows have been read up to `upTo`. */
export function advance(windows: Iterable<Window>, upTo: TimeId): void {
  for (const window of windows) if (window.readUpTo < upTo) window.readUpTo = upTo
}
