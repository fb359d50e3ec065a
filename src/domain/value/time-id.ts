/**
 * Ids that contain their time: milliseconds since 1970 in the upper 43 bits, a counter in the lower 20. Ids sort by time, so
 * a table partitioned by id is partitioned by time, and its primary key is a single bigint.
 */
export type TimeId = bigint

const counterBits = 20n

/** The first id of a millisecond (`unixMs`, an integer ≥ 0): the bound of a partition. */
export function firstIdAt(unixMs: number): TimeId {
  return BigInt(unixMs) << counterBits
}

/** An id above every real one. */
export const afterAll: TimeId = firstIdAt(2 ** 43 - 1)

export function timeOf(id: TimeId): number {
  return Number(id >> counterBits)
}

/**
 * The id after `previous` at `unixMs`: always greater, even if the clock stood still or went back. Ids are the order of
 * events; the clock only keeps them near the time.
 */
export function nextId(previous: TimeId, unixMs: number): TimeId {
  const first = firstIdAt(unixMs)
  return first > previous ? first : previous + 1n
}
