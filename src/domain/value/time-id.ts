/**
 * Ids that carry their time: milliseconds since 1970 in the upper 43 bits, a counter in the lower 20.
 * Sorting by id sorts by time, a range of time is a range of ids, and so a table partitioned by id is
 * partitioned by time, while its primary key stays a single bigint.
 */
export type TimeId = bigint

const counterBits = 20n

/** The first id of a millisecond (`unixMs`, an integer ≥ 0): the bound of a partition. */
export function firstIdAt(unixMs: number): TimeId {
  return BigInt(unixMs) << counterBits
}

/** An id above every real one. */
export const afterAll: TimeId = firstIdAt(2 ** 43 - 1)

/** The time of an id, in milliseconds since 1970. */
export function timeOf(id: TimeId): number {
  return Number(id >> counterBits)
}

/**
 * The id that follows `previous` at `unixMs`. Strictly greater than `previous` even when the clock has
 * stood still or gone back: ids are the order of events, the clock only keeps them near the time.
 */
export function nextId(previous: TimeId, unixMs: number): TimeId {
  const first = firstIdAt(unixMs)
  return first > previous ? first : previous + 1n
}
