/** A part of the log: so many events, and no more where they take so many bytes. */
export type Portion = { readonly events: number; readonly bytes: number }

export const wholePage: Portion = { events: 500, bytes: 2_000_000 }
export const nothing: Portion = { events: 0, bytes: 0 }

/** A webhook that is behind has at most so much in memory: a page is read while those before it are sent. */
const mostOfOne: Portion = { events: 1_500, bytes: 4_000_000 }
/** All of them together have about so much, however many they are, */
const mostOfAll: Portion = { events: 30_000, bytes: 40_000_000 }
/** and so many events more for each request that is under way: these are bounded for the process. */
const perRequest = 15

/**
 * How much more is read for a webhook that is behind: the less, the more of them there are, so that hundreds whose receivers hang
 * cost no more than a few. `tasks` and `bytes`: what it has in memory; `ready`: how much of that waits for a place only.
 */
export function portion(of: {
  readonly tasks: number
  readonly bytes: number
  readonly ready: number
  readonly sending: number
  readonly behind: number
}): Portion {
  const share = Math.floor(mostOfAll.events / of.behind)
  const most = Math.min(mostOfOne.events, Math.max(1, share, perRequest * of.sending))
  const events = Math.min(wholePage.events, most - of.tasks)
  const bytes = Math.min(wholePage.bytes, mostOfOne.bytes - of.bytes, mostOfAll.bytes / of.behind - of.bytes)
  // One that would have nothing to send gets an event, however large.
  const isStarving = of.ready === 0 && of.bytes < mostOfOne.bytes
  if (events <= 0 || (bytes <= 0 && !isStarving)) return nothing
  return { events: bytes > 0 ? events : 1, bytes: Math.max(1, Math.floor(bytes)) }
}
