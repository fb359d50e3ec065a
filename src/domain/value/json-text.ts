/** Writes JSON from Postgres' text of a value, by its type, without JavaScript's numbers and dates: every digit stays. */
export type JsonWriter = (text: string) => string

/** What the catalogue says of a type. https://www.postgresql.org/docs/current/catalog-pg-type.html */
export type PgType = {
  readonly oid: number
  /** The base type of a domain, or 0. */
  readonly baseOid: number
  /** The element type of an array, or 0. */
  readonly elementOid: number
  readonly delimiter: string
}

const number: JsonWriter = text => (/^[-+]?(Infinity|NaN)$/.test(text) ? JSON.stringify(text) : text)
/** Anything except characters that JSON takes literally: no control, quote, backslash, or surrogate. */
const special = /[^ !#-[\]-\ud7ff]/
/** Most texts need no escape, and testing takes a third of the time. */
const string: JsonWriter = text => (special.test(text) ? JSON.stringify(text) : `"${text}"`)
const asIs: JsonWriter = text => text
const boolean: JsonWriter = text => (text === 't' ? 'true' : 'false')
const bytea: JsonWriter = text =>
  text.startsWith('\\x') ? `"${Buffer.from(text.slice(2), 'hex').toString('base64')}"` : JSON.stringify(text)

/** `2019-11-05 07:56:15.25+00` → `2019-11-05T07:56:15.25Z`; infinity and years BC stay as they are. */
const timestamptz: JsonWriter = text =>
  JSON.stringify(
    /^\d{4,}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?\+00$/.test(text)
      ? text.replace(' ', 'T').replace(/\+00$/, 'Z')
      : text,
  )

const byOid = new Map<number, JsonWriter>([
  [16, boolean],
  [17, bytea],
  [20, asIs], // int8
  [21, asIs], // int2
  [23, asIs], // int4
  [26, asIs], // oid
  [700, number], // float4
  [701, number], // float8
  [1700, number], // numeric
  [114, asIs], // json
  [3802, asIs], // jsonb
  [1184, timestamptz],
])

const integerOids = new Set([20, 21, 23, 26])

/** The type under any number of domains. */
export function baseOf(oid: number, typeOf: (oid: number) => PgType | undefined): number {
  let base = oid
  for (let type = typeOf(base); type && type.baseOid !== 0; type = typeOf(base)) base = type.baseOid
  return base
}

/** Whether values of the type are JSON integers. */
export function isInteger(oid: number, typeOf: (oid: number) => PgType | undefined): boolean {
  return integerOids.has(baseOf(oid, typeOf))
}

/** The writer of a type. Types without a JSON form (enum, uuid, range, interval …) become strings. */
export function jsonWriter(oid: number, typeOf: (oid: number) => PgType | undefined): JsonWriter {
  const base = baseOf(oid, typeOf)
  const known = byOid.get(base)
  if (known) return known
  const type = typeOf(base)
  if (!type || type.elementOid === 0) return string
  return arrayWriter(jsonWriter(type.elementOid, typeOf), type.delimiter)
}

/**
 * Converts an array's text, `{1,NULL,{"a b"}}`, into JSON with `element` for each item, without explicit bounds
 * (`[0:1]={…}`).
 * https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO
 */
export function arrayWriter(element: JsonWriter, delimiter: string): JsonWriter {
  return text => {
    let json = ''
    let next = text.indexOf('{')
    while (next < text.length) {
      const from = next
      const char = text[from]!
      if (char === '"') {
        next = endOfQuoted(text, from)
        json += element(text.slice(from + 1, next - 1).replace(/\\(.)/gs, '$1'))
      } else if (char === '{' || char === '}' || char === delimiter) {
        next++
        json += char === '{' ? '[' : char === '}' ? ']' : ','
      } else {
        next = endOfPlain(text, from, delimiter)
        const item = text.slice(from, next)
        json += item === 'NULL' ? 'null' : element(item)
      }
    }
    return json
  }
}

// Loops: a regular expression for a quoted item overflows the stack on large items.

/** The offset after the closing quote of the item at `from`. */
function endOfQuoted(text: string, from: number): number {
  let at = from + 1
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1
  return at + 1
}

function endOfPlain(text: string, from: number, delimiter: string): number {
  let at = from + 1
  while (at < text.length && text[at] !== '}' && text[at] !== delimiter) at++
  return at
}

/**
 * Parses JSON so that `JSON.stringify` writes every number with its original digits.
 * https://github.com/tc39/proposal-json-parse-with-source
 */
export function parseExactly(json: string): unknown {
  return exactJson.parse(json, (_key, value, { source }) =>
    typeof value === 'number' ? exactJson.rawJSON(source) : value,
  )
}

/** Missing in TypeScript's library. */
const exactJson = JSON as unknown as {
  parse(json: string, reviver: (key: string, value: unknown, context: { source: string }) => unknown): unknown
  rawJSON(text: string): unknown
}
