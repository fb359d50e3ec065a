import { columnsOfKey, type KeyColumns } from './entity-key.ts'
import { type RelatedList, type RowOrder, shownRows, type TableName } from './mapping.ts'
import { filterColumns, type RowFilter } from './row-filter.ts'

/** One table of a related field, from the entity on; the last one has the rows that are shown. */
export type Stop = {
  readonly table: TableName
  /** Of the first one as many columns as the key has, of others one. */
  readonly owner: KeyColumns
  /** Null of the last one. */
  readonly to: string | null
  readonly rows: RowFilter | undefined
  readonly order: readonly RowOrder[]
  /** What the field shows of its rows. */
  readonly shown: readonly string[]
}

/** The tables of a related field, in the order in which they lead from the entity to the rows that it shows. */
export function stopsOf(list: RelatedList): readonly Stop[] {
  const hops = (list.through ?? []).map(
    ({ table, owner, to, where, order = [] }): Stop => ({
      ...{ table, owner, to, order, shown: [] },
      rows: where && { where, deletedWhen: [] },
    }),
  )
  const { table, owner, order = [], key, columns } = list
  const shown = key === undefined ? columns : [key, ...columns]
  return [...hops, { table, owner, to: null, rows: shownRows(list), order, shown }]
}

/** The columns of a table that a related field needs, beside those of its primary key. */
export function columnsOf({ owner, to, shown, order, rows }: Stop): string[] {
  const ordering = order.map(({ column }) => column)
  return [
    ...new Set([
      ...columnsOfKey(owner),
      ...(to === null ? [] : [to]),
      ...shown,
      ...ordering,
      ...filterColumns(rows),
    ]),
  ]
}

/** The related fields of an entity that show rows behind other tables. */
export const fieldsBehind = (related: readonly RelatedList[]): string[] =>
  related.filter(({ through }) => through !== undefined).map(({ field }) => field)
