import { columnsOfKey, type KeyColumns } from '../../domain/mapping/entity-key.ts'
import { quoteIdentifier, type TableName, tableKey } from '../../domain/mapping/mapping.ts'
import type { Catalogue } from '../verdict/catalogue.ts'

export const undefinedColumn = '42703'

/** SQL: whether a row has one of the keys in the lists $1, $2 and so on (`keyLists`). */
export function hasKeyOf(
  catalogue: Pick<Catalogue, 'tables'>,
  table: TableName,
  key: KeyColumns,
  sqlOf: (column: string) => string = quoteIdentifier,
): string {
  const columns = columnsOfKey(key)
  const types = columns.map(column => typeOf(catalogue, table, column))
  if (columns.length === 1) return `${sqlOf(columns[0]!)} = any($1::${types[0]}[])`
  const lists = types.map((type, i) => `$${i + 1}::${type}[]`).join(', ')
  return `(${columns.map(sqlOf).join(', ')}) in (select * from unnest(${lists}))`
}

/** A column's type in SQL. Throws like Postgres if the column does not exist. */
export function typeOf({ tables }: Pick<Catalogue, 'tables'>, table: TableName, column: string): string {
  const found = tables.get(tableKey(table))?.columns.find(({ name }) => name === column)
  if (!found)
    throw Object.assign(new Error(`${tableKey(table)} has no column ${column}`), { code: undefinedColumn })
  return found.typeName
}
