/** The recent load of many webhooks; the busiest have metrics under their own names. */
export type Busiest = {
  /** The load of the named ones. */
  readonly named: Map<number, number>
  /** The load of others, as far as kept. */
  readonly others: Map<number, number>
}

/** A newcomer takes a name with twice the holder's load: equal loads do not alternate. */
const lead = 2
/** The loads kept of others, per name. */
const keptPerName = 10

/** Counts `pieces` of work of `id`, and returns whether it has one of the `max` names. Free names go to the first who come. */
export function countWork({ named, others }: Busiest, id: number, max: number, pieces = 1): boolean {
  const load = named.get(id)
  if (load !== undefined || named.size < max) {
    named.set(id, (load ?? 0) + pieces)
    return true
  }
  const other = others.get(id)
  if (other !== undefined || others.size < max * keptPerName) others.set(id, (other ?? 0) + pieces)
  return false
}

/** Gives the names of the least busy to others that are twice as busy. Returns those that lost a name. */
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

/** Halves every load, and drops the idle ones: recent load counts most. */
export function forgetHalf({ named, others }: Busiest): void {
  for (const [id, load] of named) named.set(id, load / 2)
  for (const [id, load] of others) {
    if (load < 1) others.delete(id)
    else others.set(id, load / 2)
  }
}
