import type pg from 'pg'

const namesOf = new Map<string, string>()

function toName(column: string): string {
  const known = namesOf.get(column)
  if (known !== undefined) return known
  const name = column.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())
  namesOf.set(column, name)
  return name
}

/** The column of a field: `settledUpTo` is in `settled_up_to`. */
export const toColumn = (name: string): string => name.replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)

/** A row with camel-case names: `settled_up_to` becomes `settledUpTo`. Values stay. */
export function fields<T>(row: pg.QueryResultRow): T {
  const named: Record<string, unknown> = {}
  for (const column in row) named[toName(column)] = row[column]
  return named as T
}
