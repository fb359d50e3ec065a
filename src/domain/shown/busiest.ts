/** How busy each of many was lately, and which of them have a name of their own. */
export type Busiest = {
  /** The load of those that have a name. */
  readonly named: Map<number, number>
  /** The load of the others, as far as it is kept. */
  readonly others: Map<number, number>
}

/** Who takes over a name has twice the load of who has it: two of the same load do not take turns. */
const lead = 2
/** Loads of others that are kept for each name. */
const keptPerName = 10

/**
 * Counts one piece of work of `id`, and says whether it has a name, of which there are `most`. Whoever comes while
 * names are left gets one.
 */
export function countWork({ named, others }: Busiest, id: number, most: number): boolean {
  const load = named.get(id)
  if (load !== undefined || named.size < most) {
    named.set(id, (load ?? 0) + 1)
    return true
  }
  const other = others.get(id)
  if (other !== undefined || others.size < most * keptPerName) others.set(id, (other ?? 0) + 1)
  return false
}

/** Gives the names of the least busy to others that are twice as busy. Returns who lost its name. */
export function giveNames({ named, others }: Busiest): number[] {
  const leastBusy = [...named].sort(([, a], [, b]) => a - b)
  const busiest = [...others].sort(([, a], [, b]) => b - a)
  const lost: number[] = []
  for (const [i, [id, load]] of leastBusy.entries()) {
    const next = busiest[i]
    if (!next || next[1] < lead * Math.max(1, load)) break
    named.delete(id)
    others.set(id, load)
    others.delete(next[0])
    named.set(...next)
    lost.push(id)
  }
  return lost
}

/** Halves every load, and forgets others that did nothing lately: what counts is what was done lately. */
export function forgetHalf({ named, others }: Busiest): void {
  for (const [id, load] of named) named.set(id, load / 2)
  for (const [id, load] of others) {
    if (load < 1) others.delete(id)
    else others.set(id, load / 2)
  }
}
