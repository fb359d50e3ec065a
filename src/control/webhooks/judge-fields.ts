import { type FilterFields, type FilterValue, splitField } from '../../domain/event/filter.ts'
import { because, type Reason } from '../../domain/shown/reason.ts'
import { nearest } from '../../domain/value/nearest.ts'
import type { Webhook } from '../../domain/webhook/webhook.ts'
import { type FieldProblem, wrongField } from '../kit/result.ts'

/** Field names by entity type. */
type Known = ReadonlyMap<string, readonly string[]>

/** Names as `user.email`, of fields that there are. */
export function judgeUpdateFields(known: Known, wanted: readonly string[]): FieldProblem[] {
  return wanted.flatMap((name, i) => {
    const why = whyNoField(known, name)
    return why === null ? [] : [wrongField(`/update_fields/${i}`, why)]
  })
}

/** A filter's fields, and the values that it asks for. */
export function judgeFilter(known: Known, filter: FilterFields): FieldProblem[] {
  return Object.entries(filter).flatMap(([name, value]) => {
    const pointer = filterPointer(name)
    const why = whyNoField(known, name)
    const problems = why === null ? [] : [wrongField(pointer, why)]
    if (!Array.isArray(value)) return [...problems, ...judgeValue(pointer, value as FilterValue)]
    if (value.length === 0) problems.push(wrongField(pointer, because('filter.no_value', { field: name })))
    return [...problems, ...value.flatMap((each, i) => judgeValue(`${pointer}/${i}`, each))]
  })
}

/** The JSON Pointer of a field of a filter. */
export const filterPointer = (name: string) => `/filter/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`

const longestValue = 1_000

/** What could never match, or would match something else, is refused. */
function judgeValue(pointer: string, value: FilterValue): FieldProblem[] {
  if (typeof value === 'number' && !isExact(value))
    return [wrongField(pointer, because('filter.number', { value: String(value) }))]
  if (typeof value !== 'string') return []
  if (value.length > longestValue)
    return [wrongField(pointer, because('filter.long', { characters: value.length, most: longestValue }))]
  return value.includes('\0') || !value.isWellFormed() ? [wrongField(pointer, because('filter.text'))] : []
}

/** JavaScript reads a greater integer as another one. */
const isExact = (value: number) => Number.isFinite(value) && Math.abs(value) <= Number.MAX_SAFE_INTEGER

/** What is told of an entity that enters or leaves the filter must be a trigger of the webhook. */
export function judgeFilterForms({
  filter,
  filterEntering,
  filterLeaving,
  triggers,
}: Pick<Webhook, 'triggers' | 'filter' | 'filterEntering' | 'filterLeaving'>): FieldProblem[] {
  if (filter === null) return []
  const entityTypes = [...new Set(Object.keys(filter).map(name => splitField(name).entityType))]
  const problemOf = (pointer: string, action: string) => {
    const wanted = entityTypes.map(type => `${type}.${action}`)
    if (wanted.some(trigger => triggers.includes(trigger as never))) return []
    return [wrongField(pointer, because('filter.needs_trigger', { form: action, known: wanted }))]
  }
  return [
    ...(filterEntering === 'new' ? problemOf('/filter_entering', 'new') : []),
    ...(filterLeaving === 'nothing' ? [] : problemOf('/filter_leaving', filterLeaving)),
  ]
}

/** Null: there is such a field. */
function whyNoField(known: Known, name: string): Reason | null {
  const names = [...known].flatMap(([entityType, fields]) => fields.map(field => `${entityType}.${field}`))
  if (names.includes(name)) return null
  const meant = nearest(name, names)
  const fields = known.get(name.split('.')[0]!)
  return meant
    ? because('webhook.field_meant', { field: name, meant })
    : fields
      ? because('webhook.field_of_entity', { field: name, fields })
      : because('webhook.field_form', { field: name, example: names[0] ?? 'user.email' })
}
