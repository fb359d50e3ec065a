import type pg from 'pg'

const namesOf = new Map<string, string>()

function toName(column: string): string {
  const known = namesOf.get(column)
  if (known !== undefined) return known
  const name = column.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())
  namesOf.set(column, name)
  return name
}

/** The columns of a row under the names that they have here: `settled_up_to` is `settledUpTo`. Their values stay as they are. */
export function fields<T>(row: pg.QueryResultRow): T {
  const named: Record<string, unknown> = {}
  for (const column in row) named[toName(column)] = row[column]
  return named as T
}
