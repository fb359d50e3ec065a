/**
 * Arrays as parameters in Postgres's binary format, which node-postgres sends for a Buffer: long texts are copied
 * once, where the text format would escape, join and parse them again. Only texts may be null.
 * https://github.com/postgres/postgres/blob/REL_18_STABLE/src/backend/utils/adt/arrayfuncs.c (array_recv)
 */
const headerBytes = 20
const secondsTo2000 = 946_684_800

function begin(elementOid: number, count: number, bytes: number, hasNulls = false): Buffer {
  const buffer = Buffer.allocUnsafe(headerBytes + bytes)
  buffer.writeInt32BE(1, 0) // dimensions
  buffer.writeInt32BE(hasNulls ? 1 : 0, 4)
  buffer.writeInt32BE(elementOid, 8)
  buffer.writeInt32BE(count, 12)
  buffer.writeInt32BE(1, 16) // the lower bound
  return buffer
}

/** `text[]` */
export function textArray(values: readonly (string | null)[]): Buffer {
  const lengths = values.map(value => (value === null ? -1 : Buffer.byteLength(value)))
  const buffer = begin(
    25,
    values.length,
    lengths.reduce((sum, length) => sum + 4 + Math.max(0, length), 0),
    lengths.includes(-1),
  )
  let at = headerBytes
  values.forEach((value, i) => {
    at = buffer.writeInt32BE(lengths[i]!, at)
    if (value !== null) at += buffer.write(value, at, lengths[i]!)
  })
  return buffer
}

/** No array where it would hold nulls only: `unnest` makes them again, and nothing has to be written and read. */
export function nullable<T>(values: readonly (T | null)[]): readonly (T | null)[] | null {
  return values.every(value => value === null) ? null : values
}

/** One `text[]` in Postgres's text format, for an array of arrays of any lengths: `{"a","b"}`. */
export function arrayLiteral(values: readonly string[]): string {
  return `{${values.map(value => `"${value.replace(/["\\]/g, '\\$&')}"`).join(',')}}`
}

/** `int4[]` */
export function int4Array(values: readonly number[]): Buffer {
  const buffer = begin(23, values.length, 8 * values.length)
  let at = headerBytes
  for (const value of values) at = buffer.writeInt32BE(value, buffer.writeInt32BE(4, at))
  return buffer
}

function int64Array(elementOid: number, values: readonly bigint[]): Buffer {
  const buffer = begin(elementOid, values.length, 12 * values.length)
  let at = headerBytes
  for (const value of values)
    at = buffer.writeBigUInt64BE(BigInt.asUintN(64, value), buffer.writeInt32BE(8, at))
  return buffer
}

/** `int8[]` */
export const int8Array = (values: readonly bigint[]) => int64Array(20, values)

/** `pg_lsn[]` */
export const lsnArray = (values: readonly bigint[]) => int64Array(3220, values)

/** `timestamptz[]` */
export const timestamptzArray = (values: readonly Date[]) =>
  int64Array(
    1184,
    values.map(value => BigInt(value.getTime() - secondsTo2000 * 1000) * 1000n),
  )
