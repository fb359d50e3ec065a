/**
 * Merges sorted lists, at most `max` items: always takes the first item of the list that `goesFirst` names, the earlier list
 * where it names none. Each list keeps its own order, so the first n items need the first n of each list, however sorted.
 */
export function mergeSorted<T>(
  lists: readonly (readonly T[])[],
  goesFirst: (a: T, b: T) => boolean,
  max = Number.POSITIVE_INFINITY,
): T[] {
  if (lists.length === 1) return lists[0]!.slice(0, max)
  const next = lists.map(() => 0)
  const merged: T[] = []
  while (merged.length < max) {
    let first = -1
    for (const [i, list] of lists.entries()) {
      if (next[i]! >= list.length) continue
      if (first < 0 || goesFirst(list[next[i]!]!, lists[first]![next[first]!]!)) first = i
    }
    if (first < 0) return merged
    merged.push(lists[first]![next[first]!++]!)
  }
  return merged
}
