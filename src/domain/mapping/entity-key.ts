/** The column of a key, or its columns in order. */
export type KeyColumns = string | readonly string[]

export const columnsOfKey = (key: KeyColumns): readonly string[] => (typeof key === 'string' ? [key] : key)

/** The single column by which another table's rows refer to the next. */
export const onlyColumn = (key: KeyColumns): string => columnsOfKey(key)[0]!

export const keyName = (key: KeyColumns): string => columnsOfKey(key).join(', ')

const separator = ','

/**
 * The id of an entity: the values of its key's columns, separated by commas. In a composite key, `%2C` and `%25` escape comma
 * and percent sign inside a value, so that ids and keys correspond one to one.
 */
export function joinKey(parts: readonly string[]): string {
  if (parts.length === 1) return parts[0]!
  return parts.map(part => part.replaceAll('%', '%25').replaceAll(separator, '%2C')).join(separator)
}

/** The `count` values of a key, from an id; null: no such key has this id. */
export function splitKey(id: string, count: number): readonly string[] | null {
  if (count === 1) return [id]
  const parts = id.split(separator)
  const isCanonical = parts.every(part => /^(?:[^%]|%25|%2C)*$/s.test(part))
  if (parts.length !== count || !isCanonical) return null
  return parts.map(part => part.replaceAll('%2C', separator).replaceAll('%25', '%'))
}

/** Splits ids into one list of values per key column; invalid ids are dropped. */
export function keyLists(ids: readonly string[], key: KeyColumns): string[][] {
  const count = columnsOfKey(key).length
  const lists = Array.from({ length: count }, (): string[] => [])
  for (const id of ids) splitKey(id, count)?.forEach((part, i) => void lists[i]!.push(part))
  return lists
}

/** The id of a row, by the key values at these positions; null: one is missing. */
export function idAt(
  row: readonly (string | null | symbol | undefined)[] | null | undefined,
  indexes: readonly number[],
): string | null {
  if (!row || indexes.length === 0) return null
  if (indexes.length === 1) {
    const only = row[indexes[0]!]
    return typeof only === 'string' ? only : null
  }
  const parts = indexes.map(index => row[index])
  return parts.every(part => typeof part === 'string') ? joinKey(parts) : null
}
