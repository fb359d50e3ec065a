import type { Window } from '../../domain/delivery/window.ts'
import type { TimeId } from '../../domain/value/time-id.ts'
import type { LogEvent } from '../../outbox/log/log.ts'

/** What the log has after a place, up to another one: of all shares, or of some. */
export type Page = {
  readonly after: TimeId
  readonly events: readonly LogEvent[]
  readonly upTo: TimeId
  readonly shares?: readonly number[]
}

/**
 * The windows that a page of the log follows without a break, of shares that are not being given up. One that was read less far may
 * have come since the page was asked for: with a share, or because what it had read was forgotten.
 */
export function followers(
  windows: ReadonlyMap<number, Window>,
  leaving: ReadonlySet<number>,
  { after, shares }: Page,
): ReadonlyMap<number, Window> {
  const isRead = (share: number) => !leaving.has(share) && shares?.includes(share) !== false
  return new Map([...windows].filter(([share, { readUpTo }]) => isRead(share) && readUpTo >= after))
}

/** What is left of a page after its first `count` events. */
export function restOf(page: Page, count: number): Page {
  const last = page.events[count - 1]
  return { ...page, after: last?.id ?? page.after, events: page.events.slice(count) }
}

/** Windows are read up to `upTo` by now. */
export function advance(windows: Iterable<Window>, upTo: TimeId): void {
  for (const window of windows) if (window.readUpTo < upTo) window.readUpTo = upTo
}
