/** The column of a key, or its columns in their order. */
export type KeyColumns = string | readonly string[]

export const columnsOfKey = (key: KeyColumns): readonly string[] => (typeof key === 'string' ? [key] : key)

/** The one column by which rows lead on from another table. */
export const onlyColumn = (key: KeyColumns): string => columnsOfKey(key)[0]!

/** The columns of a key in words. */
export const keyName = (key: KeyColumns): string => columnsOfKey(key).join(', ')

const separator = ','

/**
 * The id of an entity: the value of its key, or the values of its key's columns, with commas between them. Within a value of
 * several, a comma is `%2C` and a percent sign `%25`, so two keys never have the same id, and each id says its key.
 */
export function joinKey(parts: readonly string[]): string {
  if (parts.length === 1) return parts[0]!
  return parts.map(part => part.replaceAll('%', '%25').replaceAll(separator, '%2C')).join(separator)
}

/** The values of a key with so many columns, from an id; null where no such key has this id. */
export function splitKey(id: string, count: number): readonly string[] | null {
  if (count === 1) return [id]
  const parts = id.split(separator)
  const isCanonical = parts.every(part => /^(?:[^%]|%25|%2C)*$/s.test(part))
  if (parts.length !== count || !isCanonical) return null
  return parts.map(part => part.replaceAll('%2C', separator).replaceAll('%25', '%'))
}

/** Splits ids into a list of values for each column of their key; those that are ids of no such key are left out. */
export function keyLists(ids: readonly string[], key: KeyColumns): string[][] {
  const count = columnsOfKey(key).length
  const lists = Array.from({ length: count }, (): string[] => [])
  for (const id of ids) splitKey(id, count)?.forEach((part, i) => void lists[i]!.push(part))
  return lists
}

/** The id that a row has by the values at these places; null where it lacks one. */
export function idAt(
  row: readonly (string | null | symbol | undefined)[] | null | undefined,
  places: readonly number[],
): string | null {
  if (!row || places.length === 0) return null
  if (places.length === 1) {
    const only = row[places[0]!]
    return typeof only === 'string' ? only : null
  }
  const parts = places.map(place => row[place])
  return parts.every(part => typeof part === 'string') ? joinKey(parts) : null
}
