import type { EventFacts } from './event.ts'
import { type Fields, itemsOf, keyOf, openFields, textOf } from './json-fields.ts'

/** A value to compare a field with, by type and value: 5 equals 5.0, and texts equal letter by letter. */
export type FilterValue = string | number | boolean | null

/** By `<entity>.<field>`: the required value, or the list of accepted values. */
export type FilterFields = { readonly [field: string]: FilterValue | readonly FilterValue[] }

/**
 * Whether a number is what its JSON said: an integer up to 2^53 - 1, or at most 15 significant digits. JavaScript rounds others.
 * https://tc39.es/ecma262/#sec-number.max_safe_integer
 */
export function isExactNumber(value: number): boolean {
  if (Number.isInteger(value)) return Number.isSafeInteger(value)
  const digits = String(Math.abs(value)).replace(/e.*$/, '').replace('.', '').replace(/^0+/, '')
  return Number.isFinite(value) && digits.length <= 15
}

/** The actions for an update that makes an entity match. */
export const enteringForms = ['update', 'new'] as const
/** The actions for an update that ends the match. */
export const leavingForms = ['nothing', 'update', 'delete'] as const

export type Filter = {
  readonly fields: FilterFields
  readonly entering: (typeof enteringForms)[number]
  readonly leaving: (typeof leavingForms)[number]
}

/** The parts of an event that a filter reads. */
type Filtered = Pick<EventFacts, 'previous' | 'changed' | 'omitted'> & {
  readonly entityType: string
  readonly body: string
}

/**
 * Whether an entity's fields match after an event, and before it (`was`; null: unknown).
 *
 * - A field matches if it equals one of the values, or is a list that contains one. An object never matches.
 * - All fields of the filter for the event's entity must match.
 * - A field missing from `result` does not match, now and before; one named in `omitted` is unknown, and counts as a match.
 */
type Match = { readonly is: boolean; readonly was: boolean | null }

/** Whether the filter has fields of an entity type. */
export function concerns(filter: Filter, entityType: string): boolean {
  return compiled(filter).has(entityType)
}

/** Matches a `new` or an `update`. */
export function matchEvent(filter: Filter, event: Filtered): Match {
  const wanted = compiled(filter).get(event.entityType) ?? []
  const { result, previous } = valuesOf(event)
  let is = true
  let was: boolean | null = true
  for (const { name, key, values } of wanted) {
    const now = result.get(name, key)
    const isUnknown = now === undefined && event.omitted?.includes(name) === true
    const matches = isUnknown || (now !== undefined && isOneOf(values, now))
    if (!matches) is = false
    const before = previous.get(name, key)
    const isUnchanged = event.changed !== null && !event.changed.includes(name)
    if (before !== undefined) {
      if (!isOneOf(values, before)) was = false
    } else if (now === undefined && !isUnknown) was = false
    else if (isUnchanged && !isUnknown) {
      if (!matches) was = false
    } else if (was === true) was = null
  }
  return { is, was }
}

/** Whether the entity matched before its `delete`; null: the event has no values before. */
export function matchLast(filter: Filter, event: Filtered): boolean | null {
  const last = lastOf(event)
  if (last === null) return null
  return (compiled(filter).get(event.entityType) ?? []).every(({ name, key, values }) => {
    const json = last.get(name, key)
    return json === undefined ? event.omitted?.includes(name) === true : isOneOf(values, json)
  })
}

/** The first mismatch, with the field's JSON (null: `result`, or `last`, lacks it); null: all match. */
export function firstMismatch(
  filter: Filter,
  event: Filtered,
): { readonly field: string; readonly json: string | null } | null {
  const result = lastOf(event) ?? valuesOf(event).result
  for (const { name, values } of compiled(filter).get(event.entityType) ?? []) {
    const json = result.get(name)
    if (json === undefined ? event.omitted?.includes(name) : isOneOf(values, json)) continue
    return { field: `${event.entityType}.${name}`, json: json ?? null }
  }
  return null
}

type Wanted = { readonly name: string; readonly key: string; readonly values: Values }

/** The accepted values: canonical, and the JSON of strings without escapes. */
type Values = { readonly canonical: ReadonlySet<string>; readonly plain: ReadonlySet<string> }

/** By entity type. A filter is compiled once. */
const filters = new WeakMap<Filter, ReadonlyMap<string, readonly Wanted[]>>()

function compiled(filter: Filter): ReadonlyMap<string, readonly Wanted[]> {
  const known = filters.get(filter)
  if (known) return known
  const byEntity = new Map<string, Wanted[]>()
  for (const [key, value] of Object.entries(filter.fields)) {
    const { entityType, name } = splitField(key)
    const all = (Array.isArray(value) ? value : [value]).map(each => JSON.stringify(each))
    const values = {
      canonical: new Set(all.map(canonical)),
      plain: new Set(all.filter(json => json[0] === '"' && !json.includes('\\'))),
    }
    if (!byEntity.has(entityType)) byEntity.set(entityType, [])
    byEntity.get(entityType)!.push({ name, key: keyOf(name), values })
  }
  filters.set(filter, byEntity)
  return byEntity
}

/** `user.a.b` is the field `a.b` of a user. */
export function splitField(key: string): { entityType: string; name: string } {
  const dot = key.indexOf('.')
  return dot < 0 ? { entityType: key, name: '' } : { entityType: key.slice(0, dot), name: key.slice(dot + 1) }
}

type Read = { readonly result: Fields; readonly previous: Fields }

/** The last event's fields are cached: several webhooks ask for the same event. */
let read: { readonly event: Filtered; readonly values: Read } | null = null
const nothing: Fields = new Map()

function valuesOf(event: Filtered): Read {
  if (read?.event === event) return read.values
  // The first match is the body's own: quotes inside JSON strings are escaped.
  const at = event.body.indexOf(resultName)
  const values = {
    result: at < 0 ? nothing : openFields(event.body, at + resultName.length),
    previous: event.previous === null ? nothing : openFields(event.previous, 0),
  }
  read = { event, values }
  return values
}

const resultName = '"result":'

/** The values before a `delete`; null: the event has none, or is no `delete`. */
function lastOf({ body }: Filtered): Fields | null {
  // The first match is the body's own: an entity type has no quotes, and those of an id are escaped.
  const at = body.indexOf(actionName)
  return at >= 0 && body.startsWith(lastName, at) ? openFields(body, at + lastName.length) : null
}

const actionName = '"action_type":'
const lastName = '"action_type":"delete","last":'

function isOneOf(values: Values, json: string): boolean {
  switch (json.charCodeAt(0)) {
    case 0x22:
      return json.includes('\\') ? values.canonical.has(canonical(json)) : values.plain.has(json)
    case 0x7b:
      return false
    case 0x5b:
      return itemsOf(json).some(item => item[0] !== '{' && item[0] !== '[' && isOneOf(values, item))
    default:
      return values.canonical.has(canonical(json))
  }
}

/** One text per value: a string's letters after a quote, a number's canonical digits. */
function canonical(json: string): string {
  const first = json.charCodeAt(0)
  if (first === 0x22) return `"${textOf(json)}`
  // A digit or a minus; otherwise true, false or null.
  if (first > 0x39) return json
  return plainInteger.test(json) ? json : canonicalNumber(json)
}

const plainInteger = /^-?[1-9]\d*$/

/** Digits without outer zeros, and an exponent: `5.00` and `0.5e1` are `5`; `1500` and `1.5E3` are `1500`. */
function canonicalNumber(json: string): string {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d*))?(?:[eE]([-+]?\d+))?$/.exec(json) ?? []
  const digits = `${whole}${fraction}`.replace(/^0+/, '')
  const significant = digits.replace(/0+$/, '')
  if (significant === '') return '0'
  const scale = BigInt(exponent) - BigInt(fraction.length) + BigInt(digits.length - significant.length)
  const isShort = scale >= 0n && scale <= 400n
  return isShort ? `${sign}${significant}${'0'.repeat(Number(scale))}` : `${sign}${significant}e${scale}`
}
