import type { EventFacts } from './event.ts'
import { type Fields, itemsOf, keyOf, openFields, textOf } from './json-fields.ts'

/** A value that a field is compared with: of the same type and equal, numbers by their value (5 is 5.0), texts by every letter. */
export type FilterValue = string | number | boolean | null

/** By `<entity>.<field>`: the value that the field must have, or the values of which it must have one. */
export type FilterFields = { readonly [field: string]: FilterValue | readonly FilterValue[] }

/** What an update is told as that brings an entity into the filter. */
export const enteringForms = ['update', 'new'] as const
/** What an update is told as that takes it out. */
export const leavingForms = ['nothing', 'update', 'delete'] as const

export type Filter = {
  readonly fields: FilterFields
  readonly entering: (typeof enteringForms)[number]
  readonly leaving: (typeof leavingForms)[number]
}

/** What is judged of an event. */
export type Filtered = Pick<EventFacts, 'previous' | 'changed' | 'omitted'> & {
  readonly entityType: string
  readonly body: string
}

/**
 * Whether the fields of an entity match, after an event and before it. `was` is null where that is not known.
 *
 * - A field matches where it is one of the values, or a list with one of them as an item. An object matches nothing.
 * - All fields of the filter must match, of those that are of the event's entity.
 * - A field that `result` lacks does not match, and did not before; one that is named in `omitted` is not known, and counts as a match.
 */
export type Match = { readonly is: boolean; readonly was: boolean | null }

/** Whether the filter says anything about entities of a type. */
export function concerns(filter: Filter, entityType: string): boolean {
  return compiled(filter).has(entityType)
}

/** Judges a `new` or an `update`. */
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

/** Whether the entity matched before its `delete`; null where that event does not tell the values before. */
export function matchLast(filter: Filter, event: Filtered): boolean | null {
  const last = lastOf(event)
  if (last === null) return null
  return (compiled(filter).get(event.entityType) ?? []).every(({ name, key, values }) => {
    const json = last.get(name, key)
    return json === undefined ? event.omitted?.includes(name) === true : isOneOf(values, json)
  })
}

/** The first field that does not match, with its JSON (null: `result`, or `last`, lacks it); null where all match. */
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

/** Values that are looked for: `canonical`, and, of strings that have no escape, as the JSON that they are. */
type Values = { readonly canonical: ReadonlySet<string>; readonly plain: ReadonlySet<string> }

/** By entity type. A filter is compiled once, and kept as long as it is. */
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

/** What was read of the event before is kept: webhooks ask one after the other about the same one. */
let read: { readonly event: Filtered; readonly values: Read } | null = null
const nothing: Fields = new Map()

function valuesOf(event: Filtered): Read {
  if (read?.event === event) return read.values
  // The first such text is the body's own: within a string of JSON, its quotes would be escaped.
  const at = event.body.indexOf(resultName)
  const values = {
    result: at < 0 ? nothing : openFields(event.body, at + resultName.length),
    previous: event.previous === null ? nothing : openFields(event.previous, 0),
  }
  read = { event, values }
  return values
}

const resultName = '"result":'

/** The values before a `delete`; null where the event tells none, or is another one. */
function lastOf({ body }: Filtered): Fields | null {
  // The first such text is the body's own: an entity type has no quotes, and those of an id are escaped.
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

/** The same text for equal values, and another one for any other: of a string its letters behind a quote, of a number its value. */
function canonical(json: string): string {
  const first = json.charCodeAt(0)
  if (first === 0x22) return `"${textOf(json)}`
  // Digits, or a minus: else true, false or null.
  if (first > 0x39) return json
  return plainInteger.test(json) ? json : canonicalNumber(json)
}

const plainInteger = /^-?[1-9]\d*$/

/** As digits without zeros at either end, and an exponent: `5.00` and `0.5e1` are `5`, `1500` and `1.5E3` are `1500`. */
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
