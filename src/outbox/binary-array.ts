/**
 * Arrays as parameters in Postgres's binary format, which node-postgres sends for a Buffer: long texts are copied
 * once, where the text format would escape, join and parse them again. Only texts may be null.
 * https://github.com/postgres/postgres/blob/REL_18_STABLE/src/backend/utils/adt/arrayfuncs.c (array_recv)
 */
const headerBytes = 20
const secondsTo2000 = 946_684_800
const smallestBytes = 4_096
/** A buffer that one very large text has made larger than this is not kept. */
const largestKeptBytes = 8_388_608
const nullLength = -1

const oids = { text: 25, int4: 23, int8: 20, pg_lsn: 3220, timestamptz: 1184 }

/** An array that is written item by item into a buffer of its own, again and again. */
export type BinaryArray<T> = {
  add(item: T): void
  /** How many bytes it takes by now. */
  bytes(): number
  /** The array with all items that were added: a view, good until the next `add` or `clear`. */
  value(): Buffer
  clear(): void
}

/** Opens an empty array. `write` puts an item at a place where `mostBytesOf` it is room, and returns where it ends. */
function openArray<T>(
  oid: number,
  mostBytesOf: (item: T) => number,
  write: (buffer: Buffer, item: T, at: number) => number,
): BinaryArray<T> {
  let buffer = Buffer.allocUnsafeSlow(smallestBytes)
  let at = headerBytes
  let count = 0
  let hasNulls = false

  function makeRoom(bytes: number) {
    if (at + bytes <= buffer.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(2 * buffer.length, at + bytes))
    buffer.copy(larger, 0, 0, at)
    buffer = larger
  }

  return {
    add(item) {
      makeRoom(mostBytesOf(item))
      at = write(buffer, item, at)
      count++
      if (item === null) hasNulls = true
    },
    bytes: () => at,
    value() {
      buffer.writeInt32BE(1, 0) // dimensions
      buffer.writeInt32BE(hasNulls ? 1 : 0, 4)
      buffer.writeInt32BE(oid, 8)
      buffer.writeInt32BE(count, 12)
      buffer.writeInt32BE(1, 16) // the lower bound
      return buffer.subarray(0, at)
    },
    clear() {
      if (buffer.length > largestKeptBytes) buffer = Buffer.allocUnsafeSlow(smallestBytes)
      at = headerBytes
      count = 0
      hasNulls = false
    },
  }
}

/** UTF-8 takes at most three bytes for a unit of UTF-16: to count them exactly is only worth it for a large text. */
const mostBytesOfText = (text: string | null) =>
  4 + (text === null ? 0 : text.length > 65_536 ? Buffer.byteLength(text) : 3 * text.length)

/** `text[]` */
export const openTextArray = () =>
  openArray<string | null>(oids.text, mostBytesOfText, (buffer, text, at) => {
    const length = text === null ? 0 : buffer.write(text, at + 4)
    buffer.writeInt32BE(text === null ? nullLength : length, at)
    return at + 4 + length
  })

/** `int4[]` */
export const openInt4Array = () =>
  openArray<number>(
    oids.int4,
    () => 8,
    (buffer, value, at) => buffer.writeInt32BE(value, buffer.writeInt32BE(4, at)),
  )

function openInt64Array(oid: number) {
  return openArray<bigint>(
    oid,
    () => 12,
    (buffer, value, at) => buffer.writeBigUInt64BE(BigInt.asUintN(64, value), buffer.writeInt32BE(8, at)),
  )
}

/** `int8[]` */
export const openInt8Array = () => openInt64Array(oids.int8)

/** `pg_lsn[]` */
export const openLsnArray = () => openInt64Array(oids.pg_lsn)

/** `timestamptz[]` */
export const openTimestamptzArray = () =>
  openArray<Date>(
    oids.timestamptz,
    () => 12,
    (buffer, value, at) =>
      buffer.writeBigInt64BE(
        BigInt(value.getTime() - secondsTo2000 * 1000) * 1000n,
        buffer.writeInt32BE(8, at),
      ),
  )

/** No array where it would hold nulls only: `unnest` makes them again, and nothing has to be written and read. */
export function nullable<T>(values: readonly (T | null)[]): readonly (T | null)[] | null {
  return values.every(value => value === null) ? null : values
}

/** One `text[]` in Postgres's text format, for an array of arrays of any lengths: `{"a","b"}`. */
export function arrayLiteral(values: readonly string[]): string {
  return `{${values.map(value => `"${value.replace(/["\\]/g, '\\$&')}"`).join(',')}}`
}
