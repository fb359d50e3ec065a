import { constants, isAscii, isUtf8 } from 'node:buffer'
import {
  type Change,
  type Column,
  type Relation,
  type Row,
  unchanged,
  unreadable,
  type Value,
} from '../../domain/capture/change.ts'
import type { Lsn } from '../../domain/value/lsn.ts'
import { describeError } from '../../runtime/log.ts'
import { CaptureFailure } from '../continuity/failure.ts'
import { type Charset, textIn } from './charset.ts'

/** A message of the stream, as capture needs it. */
export type Message =
  | { readonly kind: 'begin'; readonly commitLsn: Lsn; readonly committedAt: Date; readonly xid: number }
  | { readonly kind: 'change'; readonly change: Change }
  | { readonly kind: 'commit'; readonly commitLsn: Lsn; readonly endLsn: Lsn }
  | { readonly kind: 'probe'; readonly id: string }
  | { readonly kind: 'mark'; readonly id: string }
  | { readonly kind: 'other' }

const other: Message = { kind: 'other' }

/**
 * The prefix of walhook's logical messages.
 * https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-REPLICATION
 */
export const probePrefix = 'walhook.probe'
/** The same for a transaction of its own: a position in the order of transactions. */
export const markPrefix = 'walhook.mark'
const microsecondsTo2000 = 946_684_800_000_000n

/** Messages without effect on any row. */
const meaningless = {
  O: 'where a replicated change came from',
  // PostgreSQL 18 sends it unrequested for a transaction that it considered streamed.
  A: 'a streamed transaction without any message is rolled back',
  r: 'a prepared transaction without any message is rolled back',
} as const satisfies Record<string, string>

/** Whether a message of this kind may always be skipped. */
export const isMeaningless = (tag: string): boolean => Object.hasOwn(meaningless, tag)

/** Messages of protocol modes that were not requested. Skipping them would lose changes. */
const unasked: Readonly<Record<string, string>> = {
  S: 'a piece of a transaction that is still open',
  E: 'the end of a piece of a transaction that is still open',
  c: 'the commit of a transaction that came in pieces',
  b: 'a transaction that is to be prepared',
  P: 'the end of a prepared transaction',
  K: 'the commit of a prepared transaction',
  p: 'the end of a prepared transaction that came in pieces',
}

/** The supported messages. */
const asked = 'BCRYIUDTM'

/** Throws on a message that can neither be read nor skipped. */
export function expectKnown(tag: string): void {
  if (asked.includes(tag) || isMeaningless(tag)) return
  const what = Object.hasOwn(unasked, tag) ? unasked[tag] : 'nobody knows what'
  throw new CaptureFailure(
    'capture.unasked_message',
    `the stream holds a message of kind ${JSON.stringify(tag)} (${what}), which walhook has not asked for`,
  )
}

const identities: Record<string, Relation['identity']> = {
  d: 'default',
  n: 'nothing',
  f: 'full',
  i: 'index',
}

/**
 * Creates a decoder of pgoutput's protocol version 1, text format, for one connection: it remembers announced relations. It
 * reads all values at once, because the buffer is reused. A row that can't be read is still a change; any other invalid
 * message throws. `charset`: of a stream that is not UTF-8.
 * https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html
 */
export function createDecoder(charset: Charset | null = null): (bytes: Buffer) => Message {
  const relations = new Map<number, Relation>()
  const decode = createPlainDecoder(relations, charset)

  return bytes => {
    try {
      return decode(bytes)
    } catch {
      // A single failure may be an accident.
    }
    try {
      return decode(bytes)
    } catch (error) {
      // At least the table of the row is known.
      const actionType = actions[tagOf(bytes) as keyof typeof actions]
      const relation = bytes.length < 5 ? undefined : relations.get(bytes.readUInt32BE(1))
      if (!actionType || !relation) throw error
      const because = `its message cannot be read: ${describeError(error)}`
      return { kind: 'change', change: { kind: 'unreadable', relation, actionType, because } }
    }
  }
}

function createPlainDecoder(
  relations: Map<number, Relation>,
  charset: Charset | null,
): (bytes: Buffer) => Message {
  const types = new Map<number, string>()
  const reader = createReader(charset)

  function relationOf(oid: number): Relation {
    const relation = relations.get(oid)
    if (!relation) throw new Error(`the stream changes relation ${oid} without having announced it`)
    return relation
  }

  return bytes => {
    reader.open(bytes)
    const tag = reader.char()
    switch (tag) {
      case 'B':
        return {
          kind: 'begin',
          commitLsn: reader.int64(),
          committedAt: toDate(reader.int64()),
          xid: reader.oid(),
        }
      case 'C':
        reader.int8()
        return { kind: 'commit', commitLsn: reader.int64(), endLsn: reader.int64() }
      case 'Y': {
        const oid = reader.oid()
        types.set(oid, `${reader.cString() || 'pg_catalog'}.${reader.cString()}`)
        return other
      }
      case 'R': {
        const relation = readRelation(reader, types)
        relations.set(relation.oid, relation)
        return other
      }
      case 'I': {
        const relation = relationOf(reader.oid())
        expectTag(reader.char(), 'N')
        return { kind: 'change', change: { kind: 'insert', relation, row: readRow(reader) } }
      }
      case 'U': {
        const relation = relationOf(reader.oid())
        const first = reader.char()
        if (first === 'N')
          return { kind: 'change', change: { kind: 'update', relation, row: readRow(reader), old: null } }
        expectTag(first, 'K', 'O')
        const old = readRow(reader)
        expectTag(reader.char(), 'N')
        return { kind: 'change', change: { kind: 'update', relation, row: readRow(reader), old } }
      }
      case 'D': {
        const relation = relationOf(reader.oid())
        expectTag(reader.char(), 'K', 'O')
        return { kind: 'change', change: { kind: 'delete', relation, old: readRow(reader) } }
      }
      case 'T': {
        const count = reader.int32()
        reader.int8()
        const truncated = Array.from({ length: count }, () => relationOf(reader.oid()))
        return { kind: 'change', change: { kind: 'truncate', relations: truncated } }
      }
      case 'M': {
        reader.int8()
        reader.int64()
        const prefix = reader.cString()
        if (prefix !== probePrefix && prefix !== markPrefix) return other
        return { kind: prefix === probePrefix ? 'probe' : 'mark', id: reader.text(reader.int32()) }
      }
      default:
        expectKnown(tag)
        return other
    }
  }
}

const actions = { I: 'new', U: 'update', D: 'delete' } as const

type Reader = ReturnType<typeof createReader>

/** A shorter message is converted to text as a whole. */
const maxWholeBytes = 1_048_576
const notUtf8 = '\ufffd'

/** Reads one message after the other: `open` begins the next. */
function createReader(charset: Charset | null) {
  let bytes: Buffer = Buffer.alloc(0)
  /** The whole message as text if its positions equal the bytes', else null. */
  let ascii: string | null = null
  let next = 0
  /** Moves past `length` bytes and returns their start. */
  const skip = (length: number) => {
    next += length
    return next - length
  }
  const decode = (from: number, to: number) =>
    charset ? (textIn(charset, bytes.subarray(from, to)) ?? notUtf8) : bytes.toString('utf8', from, to)
  return {
    open(message: Buffer) {
      bytes = message
      // Slicing a text costs a quarter of decoding each piece.
      ascii = message.length <= maxWholeBytes && isAscii(message) ? message.toString('latin1') : null
      next = 0
    },
    char: () => String.fromCharCode(bytes[skip(1)]!),
    int8: () => bytes.readInt8(skip(1)),
    int16: () => bytes.readInt16BE(skip(2)),
    int32: () => bytes.readInt32BE(skip(4)),
    oid: () => bytes.readUInt32BE(skip(4)),
    int64: () => bytes.readBigUInt64BE(skip(8)),
    text: (length: number) => {
      const from = skip(length)
      if (next > bytes.length) throw new Error('a message of the stream ends early')
      return ascii?.slice(from, next) ?? decode(from, next)
    },
    value: (length: number): Value => {
      const from = skip(length)
      if (next > bytes.length || length < 0) throw new Error('a message of the stream ends early')
      if (ascii !== null) return ascii.slice(from, next)
      if (length > constants.MAX_STRING_LENGTH) return unreadable
      if (charset) return textIn(charset, bytes.subarray(from, next)) ?? unreadable
      const text = bytes.toString('utf8', from, next)
      return text.includes(notUtf8) && !isUtf8(bytes.subarray(from, next)) ? unreadable : text
    },
    cString: () => {
      const length = bytes.indexOf(0, next) - next
      return decode(skip(length + 1), next - 1)
    },
  }
}

/** A message's kind, its first byte. https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html */
export function tagOf(message: Buffer): string {
  return String.fromCharCode(message[0]!)
}

function readRelation(reader: Reader, types: ReadonlyMap<number, string>): Relation {
  const oid = reader.oid()
  // An empty schema name means pg_catalog.
  const schema = reader.cString() || 'pg_catalog'
  const name = reader.cString()
  const identity = identities[reader.char()] ?? 'nothing'
  const columns: Column[] = Array.from({ length: reader.int16() }, () => {
    const flags = reader.int8()
    const name = reader.cString()
    const typeOid = reader.oid()
    const typeName = types.get(typeOid)
    reader.int32() // the type's modifier
    return { name, typeOid, inKey: (flags & 1) === 1, ...(typeName !== undefined && { typeName }) }
  })
  return { oid, schema, name, identity, columns }
}

function readRow(reader: Reader): Row {
  const count = reader.int16()
  const row = new Array<Value>(count)
  for (let i = 0; i < count; i++) {
    const kind = reader.char()
    if (kind === 't') row[i] = reader.value(reader.int32())
    else if (kind === 'n') row[i] = null
    else if (kind === 'u') row[i] = unchanged
    else throw new Error(`the stream holds a value of unknown kind ${JSON.stringify(kind)}`)
  }
  return row
}

function expectTag(found: string, ...expected: string[]): void {
  if (!expected.includes(found))
    throw new Error(`the stream holds ${JSON.stringify(found)} where ${expected.join(' or ')} was expected`)
}

function toDate(microseconds: bigint): Date {
  return new Date(Number((microseconds + microsecondsTo2000) / 1000n))
}
