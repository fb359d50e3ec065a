import { type Format, formatWriter } from '../value/format.ts'
import { baseOf, type PgType } from '../value/json-text.ts'

/**
 * How `jsonWriter` and `formatWriter` write a value.
 *
 *   int16, int32, int64, oid   an integer of that many bits
 *   number                     a number, or a string for NaN and Infinity
 *   instant                    in ISO 8601; infinity, and years before Christ, as Postgres writes them
 *   count                      the same, from a number; out of range: that number as a string
 *   unix                       an instant as an integer; infinity as a string
 *   local, time, text          a string: a time without a zone, a time of day, anything else
 *   number text, flag text, json text   a number, boolean or JSON value as a string
 */
export type Kind =
  | 'boolean'
  | 'int16'
  | 'int32'
  | 'int64'
  | 'oid'
  | 'number'
  | 'json'
  | 'instant'
  | 'count'
  | 'unix'
  | 'date'
  | 'local'
  | 'time'
  | 'uuid'
  | 'base64'
  | 'hex'
  | 'text'
  | 'number text'
  | 'flag text'
  | 'json text'

export type ValueType =
  /** `sample`: an example text of the type. */
  | { readonly kind: Kind; readonly sample?: string }
  | { readonly kind: 'enum'; readonly labels: readonly string[] }
  /** An array of any number of dimensions, with nullable items: Postgres bounds neither. */
  | { readonly kind: 'array'; readonly of: ValueType }

/** https://github.com/postgres/postgres/blob/REL_18_STABLE/src/include/catalog/pg_type.dat */
const kinds: ReadonlyMap<number, Kind> = new Map<number, Kind>([
  [16, 'boolean'],
  [17, 'base64'],
  [20, 'int64'],
  [21, 'int16'],
  [23, 'int32'],
  [26, 'oid'],
  [700, 'number'],
  [701, 'number'],
  [1700, 'number'],
  [114, 'json'],
  [3802, 'json'],
  [1082, 'date'],
  [1083, 'time'],
  [1114, 'local'],
  [1184, 'instant'],
  [2950, 'uuid'],
])

/** Types with a text form of their own. */
const samples: ReadonlyMap<number, string> = new Map([
  [142, '<a/>'], // xml
  [600, '(1,2)'], // point
  [650, '192.0.2.0/24'], // cidr
  [790, '$12.50'], // money
  [829, '08:00:2b:01:02:03'], // macaddr
  [869, '192.0.2.1'], // inet
  [1186, '1 day'], // interval
  [1266, '12:00:00+00'], // timetz
  [1560, '1010'], // bit
  [1562, '1010'], // varbit
  [3904, '[1,10)'], // int4range
  [3910, '["2026-01-01 12:00:00+00","2026-01-02 12:00:00+00")'], // tstzrange
  [3912, '[2026-01-01,2026-01-02)'], // daterange
])

const formatted: Readonly<Record<Exclude<Format, 'string'>, Kind>> = {
  unix_seconds: 'unix',
  unix_milliseconds: 'unix',
  datetime: 'local',
  iso_8601: 'instant',
  date: 'date',
  hex: 'hex',
  from_unix_seconds: 'count',
  from_unix_milliseconds: 'count',
}

/** How values of a type are written; a format that does not fit the type is ignored. */
export function valueType(
  oid: number,
  format: Format | undefined,
  of: {
    readonly typeOf: (oid: number) => PgType | undefined
    readonly labelsOf: (oid: number) => readonly string[] | null
  },
): ValueType {
  const base = baseOf(oid, of.typeOf)
  const elementOid = of.typeOf(base)?.elementOid ?? 0
  if (elementOid !== 0) return { kind: 'array', of: valueType(elementOid, format, of) }
  const own = kinds.get(base)
  if (format && formatWriter(format, base, of.typeOf))
    return { kind: format === 'string' ? asText(own) : formatted[format] }
  if (own) return { kind: own }
  const labels = of.labelsOf(base)
  if (labels !== null) return { kind: 'enum', labels }
  const sample = samples.get(base)
  return { kind: 'text', ...(sample !== undefined && { sample }) }
}

function asText(own: Kind | undefined): Kind {
  if (own === 'boolean') return 'flag text'
  return own === 'json' ? 'json text' : 'number text'
}
