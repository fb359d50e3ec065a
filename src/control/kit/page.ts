/** One page of a list, and the cursor of the next one, or null. `away`: cells that did not answer, and are missing. */
export type Page<T, Cursor> = {
  readonly items: readonly T[]
  readonly next: Cursor | null
  readonly away?: readonly string[]
}

/** The page of what was found with a limit of one more. */
export function firstOf<T extends { readonly id: number }>(
  found: readonly T[],
  limit: number,
): Page<T, number> {
  const items = found.slice(0, limit)
  return { items, next: found.length > limit ? items.at(-1)!.id : null }
}
