import { type Column, isKnown, type Relation, type Value } from '../../domain/capture/change.ts'
import type { IsSameRow } from '../../domain/capture/fold.ts'
import { columnsOfKey, type KeyColumns } from '../../domain/mapping/entity-key.ts'
import { columnsOf, type Stop, stopsOf } from '../../domain/mapping/hops.ts'
import { type EntityMapping, type TableName, tableKey } from '../../domain/mapping/mapping.ts'
import { listColumns, matcherOf, type OwnerPlan } from '../related/owners.ts'
import type { Catalogue, Table } from '../verdict/catalogue.ts'
import { mapColumns, namedOf } from './mapped-columns.ts'

/** The meaning of a relation of the stream for the mapping. */
export type Plan = {
  /** Whether an old row is complete. A partition's identity may differ from its table's. */
  readonly isFull: boolean
  readonly entities: readonly {
    readonly entity: EntityMapping
    /** The relation, its columns under the mapping's names. */
    readonly mapped: Relation
    /** The positions of the key's columns in a row; empty: some are missing. */
    readonly keyIndexes: readonly number[]
    /** The positions of identity columns outside the key, whose earlier values are always known. */
    readonly identity: readonly number[]
    /** Absent if the key alone identifies rows. */
    readonly isSameRow: IsSameRow | undefined
  }[]
  readonly owners: readonly OwnerPlan[]
  /** Related fields that lead here through other tables: their owners are looked up. */
  readonly indirect: readonly OwnerPlan[]
}

/** A table is the mapped one by its name at the time of the change, or, if renamed meanwhile, by its OID. */
export function makePlan(relation: Relation, mapping: readonly EntityMapping[], catalogue: Catalogue): Plan {
  const key = tableKey(relation)
  const isMeant = (table: TableName) =>
    tableKey(table) === key || catalogue.tables.get(tableKey(table))?.oid === relation.oid
  const tables = [...catalogue.tables.values()].filter(
    ({ name, oid }) => tableKey(name) === key || oid === relation.oid,
  )
  const isFull = relation.identity === 'full' && tables.every(hasWholeLeaves)
  const isOfIdentity = (column: Column) => (relation.identity === 'full' ? isFull : column.inKey)
  const indexesBeside = (key: readonly number[], isMeant: (column: Column) => boolean) =>
    relation.columns.flatMap((column, i) => (isMeant(column) && !key.includes(i) ? [i] : []))
  const owners = mapping.flatMap(entity =>
    entity.related.flatMap(list =>
      stopsOf(list).flatMap((stop, at): OwnerPlan[] => {
        if (!isMeant(stop.table)) return []
        const named = { table: stop.table, rules: {}, more: columnsOf(stop) }
        const mapped = mapColumns(relation, named, catalogue)
        const ownerIndexes = columnsOfKey(stop.owner).map(column => indexIn(mapped, column))
        // Without this column in the table, the list does not exist.
        if (ownerIndexes.includes(-1)) return []
        const plan = { entity, field: list.field, list, at, ownerIndexes }
        return [
          {
            ...plan,
            shown: shownIndexes(mapped, stop, catalogue),
            identity: indexesBeside([], isOfIdentity),
            matches: matcherOf(mapped, stop.rows, catalogue),
            columns: listColumns(mapped, stop, catalogue),
          },
        ]
      }),
    ),
  )
  return {
    isFull,
    entities: mapping
      .filter(entity => isMeant(entity.table))
      .map(entity => {
        const mapped = mapColumns(relation, namedOf(entity), catalogue)
        const keyIndexes = indexesOfKey(mapped, entity.key)
        const identity = indexesBeside(keyIndexes, isOfIdentity)
        const apart = indexesBeside(keyIndexes, column => relation.identity === 'full' || column.inKey)
        const isSameRow = apart.length === 0 ? undefined : sameAt(apart, isFull)
        return { entity, mapped, keyIndexes, identity, isSameRow }
      }),
    owners: owners.filter(({ at }) => at === 0),
    indirect: owners.filter(({ at }) => at > 0),
  }
}

const indexIn = ({ columns }: Relation, column: string) => columns.findIndex(({ name }) => name === column)

/** The positions that decide what a related field shows; null: some are missing. */
function shownIndexes(mapped: Relation, stop: Stop, catalogue: Catalogue): number[] | null {
  // Items are ordered as the mapping says, then by primary key.
  const order = stop.order.map(({ column }) => column)
  const primaryKey = stop.to === null ? (catalogue.tables.get(tableKey(stop.table))?.primaryKey ?? []) : []
  const to = stop.to === null ? [] : [stop.to]
  const indexes = [...columnsOfKey(stop.owner), ...to, ...stop.shown, ...order, ...primaryKey].map(column =>
    indexIn(mapped, column),
  )
  return indexes.includes(-1) ? null : indexes
}

/**
 * The positions of an entity's key columns in a relation, empty if one is missing: by name, or, as it may have been renamed
 * since, as the only identity column that the key does not name.
 */
export function indexesOfKey({ columns, identity }: Relation, key: KeyColumns): readonly number[] {
  const names = columnsOfKey(key)
  const inKey = columns.flatMap((column, i) => (column.inKey && !names.includes(column.name) ? [i] : []))
  const renamed = identity !== 'full' && inKey.length === 1 ? inKey[0]! : -1
  const named = names.map(name => columns.findIndex(column => column.name === name))
  if (named.filter(index => index < 0).length > 1) return []
  const indexes = named.map(index => (index < 0 ? renamed : index))
  return indexes.includes(-1) ? [] : indexes
}

const hasWholeLeaves = ({ leaves }: Table) => leaves.every(({ identity }) => identity === 'f')

/**
 * Unknown values are equal. A partition's identity may differ from its table's, and a null in such an old row (`isFull`
 * false) is unknown.
 */
function sameAt(indexes: readonly number[], isNullKnown: boolean): IsSameRow {
  const isUnknown = (value: Value) => !isKnown(value) || (value === null && !isNullKnown)
  return (old, present) =>
    indexes.every(i => old[i] === present[i] || isUnknown(old[i]!) || !isKnown(present[i]!))
}
