import { columnsOfKey, type KeyColumns } from '../../domain/mapping/entity-key.ts'
import {
  decidingColumns,
  type EntityMapping,
  type TableName,
  tableKey,
} from '../../domain/mapping/mapping.ts'
import type { RowFilter } from '../../domain/mapping/row-filter.ts'
import { type Catalogue, givesPrevious, type Table } from './catalogue.ts'

/**
 * The condition columns whose earlier values the WAL lacks, and the SQL that adds them: null if generated columns prevent
 * that. Null: none.
 */
export function conditionsWithoutBefore(
  { tables }: Pick<Catalogue, 'tables'>,
  of: {
    readonly table: TableName
    readonly rows?: RowFilter
    readonly tenant?: string
    readonly key?: KeyColumns
  },
): { columns: readonly string[]; sql: string | null } | null {
  const table = tables.get(tableKey(of.table))
  if (!table || givesPrevious(table)) return null
  const isGiven = (column: string) =>
    table.identity !== 'f' &&
    table.leaves.every(({ identity }) => identity === table.identity) &&
    table.identityColumns.includes(column)
  const columns = decidingColumns(of).filter(
    column => !columnsOfKey(of.key ?? []).includes(column) && !isGiven(column),
  )
  if (columns.length === 0) return null
  return { columns, sql: sqlOfWholeRows(table) }
}

/** The SQL for complete rows before a DELETE, which `last` needs; null: generated columns prevent that. Undefined: not needed. */
export function lastWithoutBefore(
  { tables }: Pick<Catalogue, 'tables'>,
  { table, last }: Pick<EntityMapping, 'table' | 'last'>,
): string | null | undefined {
  const found = tables.get(tableKey(table))
  return last === undefined || !found || givesPrevious(found) ? undefined : sqlOfWholeRows(found)
}

/** Null: generated columns prevent it. */
function sqlOfWholeRows(table: Table): string | null {
  if (table.generated !== 'nothing') return null
  const lacking = [table, ...table.leaves].filter(({ identity }) => identity !== 'f')
  return lacking.map(({ name }) => `alter table ${tableKey(name)} replica identity full;`).join(' ')
}

/**
 * The entity types whose updates lack the values before, each with the SQL that adds them. Null for tables with generated
 * columns: REPLICA IDENTITY FULL alone may make the application's UPDATE fail, and `check` knows the rest.
 */
export function withoutPrevious(
  { tables }: Pick<Catalogue, 'tables'>,
  mapping: readonly EntityMapping[],
): Map<string, string | null> {
  return new Map(
    mapping.flatMap(({ entityType, table }): (readonly [string, string | null])[] => {
      const found = tables.get(tableKey(table))
      return !found || givesPrevious(found) ? [] : [[entityType, sqlOfWholeRows(found)]]
    }),
  )
}

/** The effect of an unknown row before. */
export const withoutBefore =
  'an UPDATE to a matching row is always sent as update; an UPDATE to another row, or a DELETE, always as delete, even of a row that never matched'
