import type { EntityShape, Field, Nullable, Shape } from '../../domain/event-types/shape.ts'
import type { ValueType } from '../../domain/event-types/value-type.ts'
import { columnsOfKey } from '../../domain/mapping/entity-key.ts'
import {
  type EntityMapping,
  listsValues,
  type RelatedList,
  ruleOf,
  type TableName,
  tableKey,
} from '../../domain/mapping/mapping.ts'
import type { Format } from '../../domain/value/format.ts'
import { type Catalogue, chosenFields, type TableColumn } from '../verdict/catalogue.ts'
import { lastWithoutBefore } from '../verdict/rows-before.ts'

type Known = Pick<Catalogue, 'tables' | 'kindOf' | 'isInteger' | 'valueTypeOf'>

/** The shape of each entity type's events, by the catalogue. */
export function entityShapes(catalogue: Known, mapping: readonly EntityMapping[]): EntityShape[] {
  return mapping.map(entity => {
    const { entityType, key, fields } = entity
    const of = (name: string) => columnOf(catalogue, entity.table, name)
    const columns = [...chosenFields(catalogue, entity).fields].map(([column, name]) => ({
      ...columnShape(catalogue, of(column), ruleOf(fields.format, column)),
      ...{ name, column },
    }))
    const fixed = Object.entries(fields.fixed ?? {}).map(
      ([name, json]): Field => ({
        ...{ name, shape: { kind: 'fixed', json }, mayBeNull: false },
      }),
    )
    const related = entity.related.map(
      (list): Field => ({
        ...{ name: list.field, ...relatedShape(catalogue, list) },
      }),
    )
    const keyColumns = columnsOfKey(key).map(column => ({ column, type: typeOf(catalogue, of(column)) }))
    const typeOid = typeof key === 'string' ? of(key)?.typeOid : undefined
    return {
      entityType,
      key: keyColumns,
      hasNumberId: typeOid !== undefined && catalogue.isInteger(typeOid),
      columns: columns.map(({ column: _, ...field }) => field),
      others: [...fixed, ...related],
      last: lastNames(catalogue, entity, columns, fixed),
    }
  })
}

/** Null if a `delete` has none: the mapping or the WAL lacks it. */
function lastNames(
  catalogue: Known,
  entity: EntityMapping,
  columns: readonly { readonly column: string; readonly name: string }[],
  fixed: readonly Field[],
): readonly string[] | null {
  const { last } = entity
  if (last === undefined || lastWithoutBefore(catalogue, entity) !== undefined) return null
  const shown = columns.filter(({ column }) => last === 'all' || last.includes(column))
  return [...shown, ...(last === 'all' ? fixed : [])].map(({ name }) => name)
}

function columnOf({ tables }: Known, table: TableName, name: string): TableColumn | undefined {
  return tables.get(tableKey(table))?.columns.find(column => column.name === name)
}

const unknownType: ValueType = { kind: 'json' }

function typeOf({ valueTypeOf }: Known, column: TableColumn | undefined, format?: Format): ValueType {
  return (column && valueTypeOf?.(column.typeOid, format)) ?? unknownType
}

function columnShape(catalogue: Known, column: TableColumn | undefined, format?: Format): Nullable {
  const type = typeOf(catalogue, column, format)
  const max = /^character(?: varying)?\((\d+)\)$/.exec(column?.typeName ?? '')?.[1]
  const shape: Shape = type.kind === 'text' && max ? { kind: 'bounded text', max: Number(max) } : type
  return { shape, mayBeNull: column?.isNotNull !== true }
}

/** A column that its table no longer has is omitted from the items. */
function relatedShape(catalogue: Known, list: RelatedList): Nullable {
  const { table, columns, plain, key, names = null, one, repeats, keepsNulls, rename, format } = list
  const of = (name: string) => columnShape(catalogue, columnOf(catalogue, table, name), ruleOf(format, name))
  const first = of(columns[0]!)
  const fields = columns
    .filter(name => columnOf(catalogue, table, name))
    .map(name => ({ name: ruleOf(rename, name) ?? name, ...of(name) }))
  const item: Nullable = plain ? first : { shape: { kind: 'object', fields }, mayBeNull: false }
  if (one) return { ...item, mayBeNull: true }
  const listed = listsValues(list) ? { ...item, mayBeNull: item.mayBeNull && keepsNulls === true } : item
  if (key === undefined) return { shape: { kind: 'list', of: listed }, mayBeNull: false }
  const value: Nullable = repeats ? { shape: { kind: 'list', of: listed }, mayBeNull: false } : item
  return { shape: { kind: 'named', of: value, names }, mayBeNull: false }
}

export function fieldNames(
  catalogue: Pick<Catalogue, 'tables' | 'kindOf'>,
  mapping: readonly EntityMapping[],
): Map<string, string[]> {
  return new Map(
    mapping.map(entity => [
      entity.entityType,
      [
        ...chosenFields(catalogue, entity).fields.values(),
        ...Object.keys(entity.fields.fixed ?? {}),
        ...entity.related.map(({ field }) => field),
      ],
    ]),
  )
}
