import { nearest } from '../value/nearest.ts'

/** How values of a column are compared. `other`: only with null. */
export type Compared =
  | { readonly family: Exclude<Family, 'enum'> }
  | { readonly family: 'enum'; readonly labels: readonly string[] }

type Family =
  | 'integer'
  | 'number'
  | 'boolean'
  | 'text'
  | 'padded'
  | 'uuid'
  | 'date'
  | 'time'
  | 'zoned'
  | 'enum'
  | 'other'

/** Built-in types by OID, which is the same in every Postgres. */
const families: ReadonlyMap<number, Exclude<Family, 'enum'>> = new Map([
  ...[20, 21, 23, 26].map(oid => [oid, 'integer'] as const),
  ...[700, 701, 1700].map(oid => [oid, 'number'] as const),
  [16, 'boolean'],
  ...[18, 19, 25, 1043].map(oid => [oid, 'text'] as const),
  [1042, 'padded'],
  [2950, 'uuid'],
  [1082, 'date'],
  [1114, 'time'],
  [1184, 'zoned'],
])

/** The base types of domains, and the labels of enums. */
export type Types = {
  baseTypeOf(typeOid: number): number
  labelsOf?(typeOid: number): readonly string[] | null
}

export function comparedBy({ baseTypeOf, labelsOf }: Types, typeOid: number): Compared {
  const base = baseTypeOf(typeOid)
  const labels = labelsOf?.(base) ?? null
  return labels === null ? { family: families.get(base) ?? 'other' } : { family: 'enum', labels }
}

/** A value that orders and compares like its type. Text is ordered by its bytes. */
type Comparable =
  | { readonly text: string }
  | { readonly rank: -1 | 0 | 1 | 2; readonly digits: bigint; readonly exponent: number }

/** Parses a type's text, as Postgres or the mapping writes it; null: invalid. */
export function comparableOf(type: Compared, text: string): Comparable | null {
  switch (type.family) {
    case 'integer':
      return /^-?\d{1,40}$/.test(text) ? finite(BigInt(text)) : null
    case 'number':
      return numberOf(text)
    case 'boolean':
      return booleanOf(text)
    case 'text':
      return { text }
    case 'padded':
      return { text: text.replace(/ +$/, '') }
    case 'enum':
      return { text }
    case 'uuid':
      return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text) ? { text: text.toLowerCase() } : null
    case 'date':
    case 'time':
    case 'zoned':
      return timeOf(text, type.family)
    case 'other':
      return null
    default:
      return type satisfies never
  }
}

/** Negative if `a` precedes `b`, 0 if they are equal. */
export function compare(a: Comparable, b: Comparable): number {
  if ('text' in a) return 'text' in b ? Buffer.compare(Buffer.from(a.text), Buffer.from(b.text)) : 1
  if ('text' in b) return -1
  if (a.rank !== b.rank || a.rank !== 0) return a.rank - b.rank
  const exponent = Math.min(a.exponent, b.exponent)
  const [one, other] = [a, b].map(({ digits, exponent: own }) => digits * 10n ** BigInt(own - exponent))
  return one! < other! ? -1 : one! > other! ? 1 : 0
}

const finite = (digits: bigint, exponent = 0): Comparable => ({ rank: 0, digits, exponent })
const beyond = (rank: -1 | 1 | 2): Comparable => ({ rank, digits: 0n, exponent: 0 })

function numberOf(text: string): Comparable | null {
  if (/^-?infinity$/i.test(text)) return beyond(text.startsWith('-') ? -1 : 1)
  // As in Postgres, NaN equals itself and is greater than all others.
  if (/^nan$/i.test(text)) return beyond(2)
  const [, sign, whole, part = '', exponent = '0'] =
    /^([+-]?)(\d+)(?:\.(\d*))?(?:e([+-]?\d{1,4}))?$/i.exec(text) ?? []
  if (whole === undefined) return null
  const digits = BigInt(`${whole}${part}`)
  return finite(sign === '-' ? -digits : digits, digits === 0n ? 0 : Number(exponent) - part.length)
}

function booleanOf(text: string): Comparable | null {
  if (text === 't' || text === 'true') return { text: 't' }
  return text === 'f' || text === 'false' ? { text: 'f' } : null
}

const timeForm =
  /^(\d{4,6})-(\d\d)-(\d\d)(?:[ T](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?)?(Z|[+-]\d\d(?::?\d\d)?)?( BC)?$/

function timeOf(text: string, family: 'date' | 'time' | 'zoned'): Comparable | null {
  if (text === 'infinity' || text === '-infinity') return beyond(text === 'infinity' ? 1 : -1)
  const found = timeForm.exec(text)
  if (!found) return null
  const [, year, month, day, hour, minute, second, fraction, zone, isBc] = found
  if (family === 'date' && hour !== undefined) return null
  if (family !== 'zoned' && zone !== undefined) return null
  if (hour !== undefined && (Number(hour) > 23 || Number(minute) > 59 || Number(second ?? 0) > 59))
    return null
  const days = daysOf(isBc ? 1 - Number(year) : Number(year), Number(month), Number(day))
  if (days === null) return null
  const seconds =
    days * 86_400 +
    Number(hour ?? 0) * 3_600 +
    Number(minute ?? 0) * 60 +
    Number(second ?? 0) -
    offsetOf(zone)
  return finite(BigInt(seconds) * 1_000_000n + BigInt((fraction ?? '').padEnd(6, '0')))
}

function offsetOf(zone: string | undefined): number {
  if (zone === undefined || zone === 'Z') return 0
  const seconds = Number(zone.slice(1, 3)) * 3_600 + Number(zone.slice(3).replace(':', '') || 0) * 60
  return zone.startsWith('-') ? -seconds : seconds
}

/** Days since 1970 in the Gregorian calendar; null: no such day. */
function daysOf(year: number, month: number, day: number): number | null {
  const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
  const lengths = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
  const length = lengths[month - 1]
  if (length === undefined || day < 1 || day > length) return null
  const before = year - 1
  const leaps = Math.floor(before / 4) - Math.floor(before / 100) + Math.floor(before / 400)
  const inYear = lengths.slice(0, month - 1).reduce((sum, each) => sum + each, 0)
  return 365 * before + leaps + inYear + day - 1 - 719_162
}

const forms: Readonly<Record<Exclude<Family, 'enum' | 'other'>, string>> = {
  integer: 'a whole number, such as 5',
  number: 'a number, such as 1.5',
  boolean: 'true or false',
  text: 'a text',
  padded: 'a text',
  uuid: 'a uuid, such as 6f1c7a52-0000-4000-8000-000000000000',
  date: 'a date, such as 2026-01-31',
  time: 'a time without a zone, such as 2026-01-31 12:00:00',
  zoned: 'a time, such as 2026-01-31T12:00:00Z; without a zone it is UTC',
}

/** Why a value of the mapping is not comparable with a column of this type; null: it is. */
export function literalProblem(
  type: Compared,
  typeName: string,
  literal: string | number | boolean | null,
  isOrdered: boolean,
): { found: string; mend: string } | null {
  const shown = JSON.stringify(literal)
  if (literal === null)
    return isOrdered
      ? { found: 'nothing is less or greater than null', mend: 'write null, or not null' }
      : null
  if (type.family === 'other')
    return { found: `its type ${typeName} can be compared with null only`, mend: 'write null, or not null' }
  if (isOrdered && (type.family === 'enum' || type.family === 'boolean' || type.family === 'uuid'))
    return {
      found: `its type ${typeName} has no order`,
      mend: 'write a list of values',
    }
  if (type.family === 'enum') {
    if (typeof literal === 'string' && type.labels.includes(literal)) return null
    const meant = nearest(String(literal), type.labels)
    const found = `${shown} is not a value of its type ${typeName} (${type.labels.join(', ')})`
    return { found, mend: meant === null ? 'write one of these' : `did you mean ${meant}?` }
  }
  const isText = type.family === 'text' || type.family === 'padded'
  if (isText ? typeof literal === 'string' : comparableOf(type, String(literal)) !== null) return null
  const quoted = isText ? `, such as "${literal}" in quotation marks` : ''
  return {
    found: `${shown} is not a value of its type ${typeName}`,
    mend: `write ${forms[type.family]}${quoted}`,
  }
}
