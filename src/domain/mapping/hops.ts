import { columnsOfKey, type KeyColumns } from './entity-key.ts'
import { type RelatedList, type RowOrder, shownRows, type TableName } from './mapping.ts'
import { filterColumns, type RowFilter } from './row-filter.ts'

/** One table of a related field's path from the entity; the last has the shown rows. */
export type Stop = {
  readonly table: TableName
  /** The first has as many columns as the key, others one. */
  readonly owner: KeyColumns
  /** Null for the last one. */
  readonly to: string | null
  readonly rows: RowFilter | undefined
  readonly order: readonly RowOrder[]
  /** The shown columns of its rows. */
  readonly shown: readonly string[]
}

/** The tables of a related field's path, from the entity to the shown rows. */
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

/** The columns of a table that a related field needs, beyond its primary key. */
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

/** The related fields of an entity that show rows through other tables. */
export const indirectFields = (related: readonly RelatedList[]): string[] =>
  related.filter(({ through }) => through !== undefined).map(({ field }) => field)
