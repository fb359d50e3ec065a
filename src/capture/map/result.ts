import { type Column, isKnown, type Value } from '../../domain/capture/change.ts'
import { chooseFields, type EntityMapping, type RelatedList, ruleOf } from '../../domain/mapping/mapping.ts'
import type { JsonWriter } from '../../domain/value/json-text.ts'
import { perPair } from '../../runtime/per-pair.ts'
import { type Catalogue, choosable } from '../verdict/catalogue.ts'

/** The columns of similar rows: one shared array, which is a cache key. */
export type Shape = readonly Pick<Column, 'name' | 'typeOid' | 'included'>[]

/** A row of an entity's table, its values in the order of the shape. */
export type ShapedRow = { readonly shape: Shape; readonly values: readonly Value[] }

type Field = {
  readonly index: number
  readonly column: string
  readonly name: string
  /** How it begins in JSON, as the first one and after others: building the text for each row costs memory. */
  readonly member: string
  readonly laterMember: string
  readonly write: JsonWriter
}

/** `omitted`: the fields with unknown values; null: none. */
export type Result = { readonly json: string; readonly omitted: readonly string[] | null }

/** Makes the function that finds the fields of rows that look alike. */
const createFields = (catalogue: Catalogue) =>
  perPair((shape: Shape, entity: EntityMapping): readonly Field[] => {
    const names = shape.map(({ name }) => name)
    const included = shape.filter(column => column.included === undefined)
    return [...chooseFields(entity, choosable(catalogue, included)).fields].map(([column, field]) => {
      const index = names.indexOf(column)
      const write = catalogue.writerOf(shape[index]!.typeOid, ruleOf(entity.fields.format, column))
      const member = `${JSON.stringify(field)}:`
      return { index, column, name: field, member, laterMember: `,${member}`, write }
    })
  })

const inDoubt = ({ shape }: ShapedRow) =>
  shape.flatMap(({ name, included }) => (included === 'in doubt' ? [name] : []))

/**
 * Creates the writer of `result`, the JSON of an entity: its fields in the mapping's order, constants, then related lists.
 * Unknown and unreadable values are omitted and named.
 */
export function createResultWriter(catalogue: Catalogue) {
  const fieldsOf = createFields(catalogue)

  return (
    entity: EntityMapping,
    row: ShapedRow,
    /** Null: unreadable; undefined: no rows. */
    relatedJson: (list: RelatedList) => string | null | undefined,
  ): Result => {
    let json = ''
    const omitted = inDoubt(row)
    for (const { index, name, member, laterMember, write } of fieldsOf(row.shape, entity)) {
      const value = row.values[index]!
      if (isKnown(value))
        json += (json === '' ? member : laterMember) + (value === null ? 'null' : write(value))
      else omitted.push(name)
    }
    for (const [field, value] of Object.entries(entity.fields.fixed ?? {}))
      json += `${json === '' ? '' : ','}${JSON.stringify(field)}:${value}`
    for (const list of entity.related) {
      const related = relatedJson(list)
      if (related === null) omitted.push(list.field)
      else json += `${json === '' ? '' : ','}${JSON.stringify(list.field)}:${related ?? emptyOf(list)}`
    }
    return { json: `{${json}}`, omitted: omitted.length === 0 ? null : omitted }
  }
}

/**
 * Creates the writer of `last`, the JSON of an entity before its `delete`. Related lists, and columns outside the mapping's
 * `last`, are named as omitted: filters treat them as unknown.
 */
export function createLastWriter(catalogue: Catalogue) {
  const fieldsOf = createFields(catalogue)

  return (entity: EntityMapping, row: ShapedRow): Result => {
    const { last = 'all' } = entity
    const members: string[] = []
    const omitted = inDoubt(row)
    for (const { index, column, name, member, write } of fieldsOf(row.shape, entity)) {
      const value = row.values[index]!
      if (isKnown(value) && (last === 'all' || last.includes(column)))
        members.push(member + (value === null ? 'null' : write(value)))
      else omitted.push(name)
    }
    for (const [field, value] of Object.entries(entity.fields.fixed ?? {}))
      if (last === 'all') members.push(`${JSON.stringify(field)}:${value}`)
      else omitted.push(field)
    omitted.push(...entity.related.map(({ field }) => field))
    return { json: `{${members.join(',')}}`, omitted: omitted.length === 0 ? null : omitted }
  }
}

/** A related field without rows. */
const emptyOf = ({ one, key }: RelatedList) => (one ? 'null' : key === undefined ? '[]' : '{}')
