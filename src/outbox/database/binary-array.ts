/**
 * Array parameters in Postgres' binary format, which node-postgres sends for a Buffer: long texts are copied once, where the
 * text format escapes, joins and parses them.
 * https://github.com/postgres/postgres/blob/REL_18_STABLE/src/backend/utils/adt/arrayfuncs.c (array_recv)
 */
const headerBytes = 20
const secondsTo2000 = 946_684_800
const smallestBytes = 4_096
/** A larger buffer, grown by one very large text, is not kept. */
const largestKeptBytes = 8_388_608
const nullLength = -1

/** An array written item by item into a reusable buffer. */
export type BinaryArray<T> = {
  add(item: T): void
  /** Its size in bytes so far. */
  bytes(): number
  /** The array of all added items: a view, valid until the next `add` or `clear`. */
  value(): Buffer
  /** The same, or null if all items are null: `unnest` restores them without transfer. */
  valueOrNull(): Buffer | null
  clear(): void
}

/** How a non-null item is written at an offset with `maxBytesOf` it left; `write` returns its end. */
type ItemType<T> = {
  readonly oid: number
  maxBytesOf(item: T): number
  write(buffer: Buffer, item: T, at: number): number
}

const text: ItemType<string> = {
  oid: 25,
  // UTF-8 takes at most three bytes per UTF-16 unit: only large texts are worth counting exactly.
  maxBytesOf: text => 4 + (text.length > 65_536 ? Buffer.byteLength(text) : 3 * text.length),
  write(buffer, text, at) {
    const length = buffer.write(text, at + 4)
    buffer.writeInt32BE(length, at)
    return at + 4 + length
  },
}

function fixed<T>(oid: number, bytes: number, write: ItemType<T>['write']): ItemType<T> {
  return {
    oid,
    maxBytesOf: () => 4 + bytes,
    write: (buffer, value, at) => write(buffer, value, buffer.writeInt32BE(bytes, at)),
  }
}

const int64 = (oid: number) =>
  fixed<bigint>(oid, 8, (buffer, value, at) => buffer.writeBigUInt64BE(BigInt.asUintN(64, value), at))

/** By their names in Postgres. */
const types = {
  text,
  boolean: fixed<boolean>(16, 1, (buffer, value, at) => buffer.writeUInt8(value ? 1 : 0, at)),
  smallint: fixed<number>(21, 2, (buffer, value, at) => buffer.writeInt16BE(value, at)),
  int: fixed<number>(23, 4, (buffer, value, at) => buffer.writeInt32BE(value, at)),
  bigint: int64(20),
  pg_lsn: int64(3220),
  float8: fixed<number>(701, 8, (buffer, value, at) => buffer.writeDoubleBE(value, at)),
  timestamptz: fixed<Date>(1184, 8, (buffer, value, at) =>
    buffer.writeBigInt64BE(BigInt(value.getTime() - secondsTo2000 * 1000) * 1000n, at),
  ),
}
export type ColumnType = keyof typeof types
export type ItemOf<Type extends ColumnType> = Parameters<(typeof types)[Type]['write']>[1] | null

export function openArray<Type extends ColumnType>(type: Type): BinaryArray<ItemOf<Type>> {
  const { oid, maxBytesOf, write } = types[type] as ItemType<NonNullable<ItemOf<Type>>>
  let buffer = Buffer.allocUnsafeSlow(smallestBytes)
  let at = headerBytes
  let count = 0
  let nulls = 0

  function makeRoom(bytes: number) {
    if (at + bytes <= buffer.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(2 * buffer.length, at + bytes))
    buffer.copy(larger, 0, 0, at)
    buffer = larger
  }

  function value() {
    buffer.writeInt32BE(1, 0) // dimensions
    buffer.writeInt32BE(nulls > 0 ? 1 : 0, 4)
    buffer.writeInt32BE(oid, 8)
    buffer.writeInt32BE(count, 12)
    buffer.writeInt32BE(1, 16) // the lower bound
    return buffer.subarray(0, at)
  }

  return {
    add(item) {
      makeRoom(item === null ? 4 : maxBytesOf(item))
      at = item === null ? buffer.writeInt32BE(nullLength, at) : write(buffer, item, at)
      count++
      if (item === null) nulls++
    },
    bytes: () => at,
    value,
    valueOrNull: () => (count === nulls ? null : value()),
    clear() {
      if (buffer.length > largestKeptBytes) buffer = Buffer.allocUnsafeSlow(smallestBytes)
      at = headerBytes
      count = 0
      nulls = 0
    },
  }
}

/** A scratch array per type: `column` is synchronous. */
const writers = new Map<ColumnType, BinaryArray<never>>()

/**
 * One column of `items`, of a type by Postgres' name; null if it has only nulls. Exactly sized: a settlement holds forty
 * columns until its commit.
 */
export function column<Type extends ColumnType, Item>(
  type: Type,
  items: readonly Item[],
  pick: (item: Item) => ItemOf<Type>,
): Buffer | null {
  const writer = (writers.get(type) ?? openArray(type)) as BinaryArray<ItemOf<Type>>
  writers.set(type, writer)
  writer.clear()
  for (const item of items) writer.add(pick(item))
  const value = writer.valueOrNull()
  return value && Buffer.from(value)
}

/** A `text[]` in Postgres' text format, for an array of arrays of any lengths: `{"a","b"}`. */
export function arrayLiteral(values: readonly string[]): string {
  return `{${values.map(value => `"${value.replace(/["\\]/g, '\\$&')}"`).join(',')}}`
}

/** The start of each item, and the end of the last one. */
function offsetsOfItems(array: Buffer): number[] {
  const count = array.readInt32BE(12)
  const offsets = [headerBytes]
  for (let i = 0; i < count; i++) {
    const at = offsets[i]!
    offsets.push(at + 4 + Math.max(0, array.readInt32BE(at)))
  }
  return offsets
}

/** The array of the items from `from` up to, not including, `to`. */
export function sliceArray(array: Buffer, from: number, to: number): Buffer {
  const offsets = offsetsOfItems(array)
  const head = Buffer.from(array.subarray(0, headerBytes))
  head.writeInt32BE(to - from, 12)
  // An array without items has no dimensions.
  if (to === from) return Buffer.concat([dimensionless(head)])
  return Buffer.concat([head, array.subarray(offsets[from], offsets[to])])
}

function dimensionless(head: Buffer): Buffer {
  head.writeInt32BE(0, 0)
  return head.subarray(0, 12)
}

/** The bytes of a non-null item. */
export function itemAt(array: Buffer, index: number): Buffer {
  const at = offsetsOfItems(array)[index]!
  return array.subarray(at + 4, at + 4 + array.readInt32BE(at))
}
