import { type TableName, tableKey } from '../../domain/mapping/mapping.ts'
import type { Catalogue } from '../source/catalogue.ts'

export const undefinedColumn = '42703'

/** A column's type as SQL. Throws as Postgres does where there is none of this name. */
export function typeOf({ tables }: Pick<Catalogue, 'tables'>, table: TableName, column: string): string {
  const found = tables.get(tableKey(table))?.columns.find(({ name }) => name === column)
  if (!found)
    throw Object.assign(new Error(`${tableKey(table)} has no column ${column}`), { code: undefinedColumn })
  return found.typeName
}
