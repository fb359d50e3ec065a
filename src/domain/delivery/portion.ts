/** A part of the log, limited by events and by bytes. */
export type Portion = { readonly events: number; readonly bytes: number }

export const wholePage: Portion = { events: 500, bytes: 2_000_000 }
export const nothing: Portion = { events: 0, bytes: 0 }

/** The limit in memory for one webhook that lags, or has rows: a page is read while earlier ones are sent. */
const maxOfOne: Portion = { events: 1_500, bytes: 4_000_000 }
/** The same for its batches in flight. */
const maxBytesOfBatches = 16_000_000
/** How many more bytes of rows a webhook may have in memory. */
export const bytesFree = (bytes: number, isBatched = false): number =>
  Math.max(0, (isBatched ? maxBytesOfBatches : maxOfOne.bytes) - bytes)

/** The limit for all of them together, */
const maxOfAll: Portion = { events: 30_000, bytes: 40_000_000 }
/** plus this many events per request in flight, which the process limits. */
const perRequest = 15

/**
 * How much more to read for a webhook that lags: less for each, the more of them there are. `tasks` and `bytes`: its events
 * in memory; `ready`: how many of them need only a free request.
 */
export function portion(of: {
  readonly tasks: number
  readonly bytes: number
  readonly ready: number
  readonly sending: number
  readonly lagging: number
}): Portion {
  const share = Math.floor(maxOfAll.events / of.lagging)
  const max = Math.min(maxOfOne.events, Math.max(1, share, perRequest * of.sending))
  const events = Math.min(wholePage.events, max - of.tasks)
  const bytes = Math.min(wholePage.bytes, maxOfOne.bytes - of.bytes, maxOfAll.bytes / of.lagging - of.bytes)
  // A webhook without a ready event gets one, however large.
  const isStarving = of.ready === 0 && of.bytes < maxOfOne.bytes
  if (events <= 0 || (bytes <= 0 && !isStarving)) return nothing
  return { events: bytes > 0 ? events : 1, bytes: Math.max(1, Math.floor(bytes)) }
}
