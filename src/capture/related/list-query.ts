import { columnsOfKey, onlyColumn } from '../../domain/mapping/entity-key.ts'
import { type Stop, stopsOf } from '../../domain/mapping/hops.ts'
import { quoteIdentifier, type RelatedList, type TableName, tableKey } from '../../domain/mapping/mapping.ts'
import { filterColumns } from '../../domain/mapping/row-filter.ts'
import type { Catalogue } from '../verdict/catalogue.ts'
import { haveOperator } from '../verdict/relation-verdict.ts'
import { hasKeyOf } from './column-type.ts'
import type { FoundFilters } from './match-rows.ts'

/** The query of a related field for the keys $1 (or $1, $2 and so on), and its deciding columns. */
type ListQuery = {
  /** The owner's key columns, the shown ones, then the deciding ones. */
  readonly select: readonly string[]
  readonly from: string
  readonly order: string
  readonly sized: readonly { readonly sql: string; readonly typeOid: number }[]
  /** The field without columns that its table no longer has. */
  readonly living: RelatedList
  /** The filters of its tables. */
  readonly filters: FoundFilters
}

/** Builds the query of a related field: one for all owners, with a join per table. */
export function listQuery(catalogue: Catalogue, list: RelatedList): ListQuery {
  const knownOf = (i: number) => catalogue.tables.get(tableKey(stops[i]!.table))
  const has = (i: number, column: string) => knownOf(i)?.columns.some(({ name }) => name === column) === true
  const stops = stopsOf(list)
  const last = stops.length - 1
  const owner = columnsOfKey(stops[0]!.owner)
  const present = list.columns.filter(column => has(last, column))
  const living = present.length === 0 ? list : { ...list, columns: present }
  const sqlOf = (i: number, column: string) => `${alias(i)}.${quoteIdentifier(column)}`
  const read: ReadColumn[] = [
    ...owner.map(column => ({ at: 0, column })),
    ...(living.key === undefined ? [] : [living.key]).map(column => ({ at: last, column })),
    ...living.columns.map(column => ({ at: last, column })),
  ]
  const shown = read.slice(owner.length).map(({ column }) => sqlOf(last, column))
  const filters = addDeciding(read, stops)
  const asked = stops.flatMap(({ order }, at) =>
    order
      .filter(({ column }) => has(at, column))
      .map(({ column, descends }) => `${sqlOf(at, column)}${descends ? ' desc' : ''} nulls last`),
  )
  const primaryKey = knownOf(last)?.primaryKey ?? []
  const order = [
    ...asked,
    ...(primaryKey.length > 0
      ? primaryKey.map(column => sqlOf(last, column))
      : shown.map(sql => `${sql}::text collate "C"`)),
  ]
  return {
    select: read.map(({ at, column }) => sqlOf(at, column)),
    from: `from ${joined(catalogue, list)}
           where ${hasKeyOf(catalogue, stops[0]!.table, stops[0]!.owner, column => sqlOf(0, column))}
             and ${stops.map((_, i) => `${alias(i)}.tableoid is not null`).join(' and ')}`,
    order: `order by ${order.join(', ')}`,
    sized: read.slice(owner.length).flatMap(({ at, column }) => {
      const known = knownOf(at)?.columns.find(({ name }) => name === column)
      return known ? [{ sql: sqlOf(at, column), typeOid: known.typeOid }] : []
    }),
    ...{ living, filters },
  }
}

/** A column of one of a related field's tables. */
export type ReadColumn = { readonly at: number; readonly column: string }

/** Adds the deciding columns to those to read; returns their positions. */
export function addDeciding(read: ReadColumn[], stops: readonly Stop[]): FoundFilters {
  return stops.flatMap(({ rows }, at) => {
    if (!rows) return []
    const indexes = filterColumns(rows).map((column): [string, number] => {
      const known = read.findIndex(each => each.at === at && each.column === column)
      return [column, known >= 0 ? known : read.push({ at, column }) - 1]
    })
    return [{ rows, indexes: new Map(indexes) }]
  })
}

/** A related field's tables up to `upTo`, the first as t0, each joined to the one before. */
export function joined(catalogue: Catalogue, list: RelatedList, upTo = Number.POSITIVE_INFINITY): string {
  return stopsOf(list)
    .slice(0, upTo + 1)
    .map(({ table, owner }, i) => {
      const named = `${tableKey(table)} ${alias(i)}`
      if (i === 0) return named
      const own = `${alias(i)}.${quoteIdentifier(onlyColumn(owner))}`
      return `join ${named} on ${leadsTo(catalogue, list, i, own)}`
    })
    .join(' ')
}

/**
 * SQL: whether the table before `at` leads to a value of the owner column there. Types without a common operator are compared
 * as text: one column may refer to tables with different key types.
 */
export function leadsTo(catalogue: Catalogue, list: RelatedList, at: number, value: string): string {
  const [before, stop] = [stopsOf(list)[at - 1]!, stopsOf(list)[at]!]
  const to = `${alias(at - 1)}.${quoteIdentifier(before.to!)}`
  const one = typeIn(catalogue, before.table, before.to!)
  const other = typeIn(catalogue, stop.table, onlyColumn(stop.owner))
  const isPlain = one === undefined || other === undefined || haveOperator(catalogue, one, other)
  return isPlain ? `${value} = ${to}` : `${value}::text = ${to}::text`
}

const typeIn = ({ tables }: Catalogue, table: TableName, column: string) =>
  tables.get(tableKey(table))?.columns.find(({ name }) => name === column)?.typeOid

export const alias = (i: number) => `t${i}`
