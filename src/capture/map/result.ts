import { type Column, isKnown, type Value } from '../../domain/capture/change.ts'
import { chooseFields, type EntityMapping, type RelatedList, ruleOf } from '../../domain/mapping/mapping.ts'
import type { JsonWriter } from '../../domain/value/json-text.ts'
import { type Catalogue, choosable } from '../source/catalogue.ts'

/** The columns of rows that look alike: the same array for all of them, since what is known of it is kept by it. */
export type Shape = readonly Pick<Column, 'name' | 'typeOid' | 'told'>[]

/** A row of an entity's table: the values are in the order of the shape. */
export type ShapedRow = { readonly shape: Shape; readonly values: readonly Value[] }

type Field = {
  readonly index: number
  readonly name: string
  readonly nameJson: string
  readonly write: JsonWriter
}

/** `omitted`: the names of fields that were left out, because their value is not known; null where none was. */
export type Result = { readonly json: string; readonly omitted: readonly string[] | null }

/**
 * Makes the writer of `result`, the JSON of an entity: its fields in the mapping's order, its fixed values, then its
 * related lists. A value that is not known, or can't be told, is left out and named.
 */
export function createResultWriter(catalogue: Catalogue) {
  const known = new WeakMap<Shape, Map<EntityMapping, readonly Field[]>>()

  function fieldsOf(entity: EntityMapping, shape: Shape): readonly Field[] {
    let byEntity = known.get(shape)
    if (!byEntity) {
      byEntity = new Map()
      known.set(shape, byEntity)
    }
    let fields = byEntity.get(entity)
    if (!fields) {
      fields = chooseFieldWriters(entity, shape)
      byEntity.set(entity, fields)
    }
    return fields
  }

  function chooseFieldWriters(entity: EntityMapping, shape: Shape): readonly Field[] {
    const names = shape.map(({ name }) => name)
    return [
      ...chooseFields(
        entity.fields,
        choosable(
          catalogue,
          shape.filter(({ told }) => told === undefined),
        ),
      ).fields,
    ].map(([column, field]) => {
      const index = names.indexOf(column)
      const write = catalogue.writerOf(shape[index]!.typeOid, ruleOf(entity.fields.format, column))
      return { index, name: field, nameJson: JSON.stringify(field), write }
    })
  }

  return (
    entity: EntityMapping,
    row: ShapedRow,
    /** Null where the list can't be told; undefined where there are no rows. */
    relatedJson: (list: RelatedList) => string | null | undefined,
  ): Result => {
    let json = ''
    const omitted = row.shape.flatMap(({ name, told }) => (told === 'in doubt' ? [name] : []))
    for (const { index, name, nameJson, write } of fieldsOf(entity, row.shape)) {
      const value = row.values[index]!
      if (!isKnown(value)) omitted.push(name)
      else json += `${json === '' ? '{' : ','}${nameJson}:${value === null ? 'null' : write(value)}`
    }
    for (const [field, value] of Object.entries(entity.fields.fixed ?? {}))
      json += `${json === '' ? '{' : ','}${JSON.stringify(field)}:${value}`
    for (const list of entity.related) {
      const related = relatedJson(list)
      if (related === null) omitted.push(list.field)
      else
        json += `${json === '' ? '{' : ','}${JSON.stringify(list.field)}:${related ?? (list.key === undefined ? '[]' : '{}')}`
    }
    return { json: json === '' ? '{}' : `${json}}`, omitted: omitted.length === 0 ? null : omitted }
  }
}
