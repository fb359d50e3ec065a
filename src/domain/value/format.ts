import { arrayWriter, baseOf, type JsonWriter, type PgType } from './json-text.ts'

/**
 * The formats that a mapping may choose instead of a type's own.
 *
 *   string             a number, boolean or JSON value as a JSON string
 *   unix_seconds       an instant as whole seconds since 1970
 *   unix_milliseconds  an instant as whole milliseconds since 1970
 *   datetime           an instant as 2019-11-05 07:56:15, in UTC
 *   iso_8601           an instant as 2019-11-05T07:56:15.25Z
 *   date               an instant's day, in UTC
 *   hex                bytes as hexadecimal digits
 *   from_unix_seconds, from_unix_milliseconds
 *                      a whole number or numeric that counts them since 1970, as 2019-11-05T07:56:15.25Z
 *
 * An instant is a `timestamptz`, or a `timestamp` taken as UTC. Finer parts are cut off, towards the past. Infinity stays a
 * string. The format of an array applies to its items.
 */
export const formats = [
  'string',
  'unix_seconds',
  'unix_milliseconds',
  'datetime',
  'iso_8601',
  'date',
  'hex',
  'from_unix_seconds',
  'from_unix_milliseconds',
] as const

export type Format = (typeof formats)[number]

const string: JsonWriter = text => JSON.stringify(text)
const booleanString: JsonWriter = text => (text === 't' ? '"true"' : '"false"')
const hex: JsonWriter = text => JSON.stringify(text.replace(/^\\x/, ''))

const instant = /^(\d{4,})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?(?:\+00)?( BC)?$/

/** Writes an instant from its parts; infinity as a string. */
function ofInstant(write: (seconds: number, fraction: string) => string): JsonWriter {
  return text => {
    const parts = instant.exec(text)
    if (!parts) return JSON.stringify(text)
    const [year, month, day, hour, minute, second] = parts.slice(1, 7).map(Number) as [
      number,
      number,
      number,
      number,
      number,
      number,
    ]
    const days = daysSince1970(parts[8] ? 1 - year : year, month, day)
    return write(days * 86_400 + hour * 3_600 + minute * 60 + second, parts[7] ?? '')
  }
}

/** Days in the Gregorian calendar, with a year 0. https://howardhinnant.github.io/date_algorithms.html */
function daysSince1970(year: number, month: number, day: number): number {
  const shifted = month <= 2 ? year - 1 : year
  const era = Math.floor(shifted / 400)
  const yearOfEra = shifted - era * 400
  const dayOfYear = Math.floor((153 * ((month + 9) % 12) + 2) / 5) + day - 1
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear
  return era * 146_097 + dayOfEra - 719_468
}

const instants: Partial<Record<Format, JsonWriter>> = {
  unix_seconds: ofInstant(seconds => String(seconds)),
  // After the year 287396, beyond the integers of a double.
  unix_milliseconds: ofInstant((seconds, fraction) =>
    String(BigInt(seconds) * 1000n + BigInt(fraction.padEnd(3, '0').slice(0, 3))),
  ),
  datetime: text => JSON.stringify(text.replace(/(\.\d+)?(\+00)?( BC)?$/, '$3')),
  iso_8601: text =>
    JSON.stringify(
      instant.test(text) && !text.endsWith(' BC') ? `${text.replace(' ', 'T').replace(/\+00$/, '')}Z` : text,
    ),
  date: text => JSON.stringify(text.replace(/ \d\d:\d\d:\d\d(\.\d+)?(\+00)?( BC)?$/, '$3')),
}
const asString = { string }

const count = /^(-?\d+)(?:\.(\d+))?$/
/** The years 1 to 9999, in ms since 1970: all parsers read ISO 8601 within them. */
const firstMs = -62_135_596_800_000n
const lastMs = 253_402_300_799_999n

/**
 * Writes a count of seconds (`digits` 6) or milliseconds (`digits` 3) since 1970 as an instant, to the microsecond. A count
 * out of range, or NaN, stays as a string.
 */
const fromCount =
  (digits: 3 | 6): JsonWriter =>
  text => {
    const parts = count.exec(text)
    if (!parts) return JSON.stringify(text)
    const fraction = BigInt((parts[2] ?? '').padEnd(digits, '0').slice(0, digits))
    const whole = BigInt(parts[1]!) * 10n ** BigInt(digits)
    const micros = text.startsWith('-') ? whole - fraction : whole + fraction
    const beyondMs = ((micros % 1000n) + 1000n) % 1000n
    const ms = (micros - beyondMs) / 1000n
    if (ms < firstMs || ms > lastMs) return JSON.stringify(text)
    const [second, millis] = new Date(Number(ms)).toISOString().slice(0, -1).split('.') as [string, string]
    const fine = `${millis}${String(beyondMs).padStart(3, '0')}`.replace(/0+$/, '')
    return JSON.stringify(`${second}${fine === '' ? '' : `.${fine}`}Z`)
  }
const counts = {
  ...asString,
  from_unix_seconds: fromCount(6),
  from_unix_milliseconds: fromCount(3),
}

/** The formats of each type. https://github.com/postgres/postgres/blob/REL_18_STABLE/src/include/catalog/pg_type.dat */
const byOid = new Map<number, Partial<Record<Format, JsonWriter>>>([
  [16, { string: booleanString }],
  [17, { hex }],
  [20, counts], // int8
  [21, asString], // int2
  [23, counts], // int4
  [26, asString], // oid
  [700, asString], // float4
  [701, asString], // float8
  [1700, counts], // numeric
  [114, asString], // json
  [3802, asString], // jsonb
  [1114, instants], // timestamp
  [1184, instants], // timestamptz
])

/** The writer of a type's values in a format; null: it does not fit the type. */
export function formatWriter(
  format: Format,
  oid: number,
  typeOf: (oid: number) => PgType | undefined,
): JsonWriter | null {
  const base = baseOf(oid, typeOf)
  const type = typeOf(base)
  if (type && type.elementOid !== 0) {
    const element = formatWriter(format, type.elementOid, typeOf)
    return element && arrayWriter(element, type.delimiter)
  }
  return byOid.get(base)?.[format] ?? null
}
