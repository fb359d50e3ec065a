import type { EntityMapping } from '../../domain/mapping/mapping.ts'
import type { Touched } from './touched.ts'

/** Only a related row names it: nothing says that the entity is there. */
const isNamedOnly = ({ folded, problem }: Touched) => folded.before === 'untouched' && problem === null

/**
 * Leaves out owners that did not exist yet when a related row named them: a later transaction of the batch brings them as
 * `new`, and nothing between ends or changes one. Without a foreign key, a related row may come before its owner. What is
 * read for the batch shows the owner already, and an `update` would be told before the `new`, which has the same list.
 */
export function withoutUnborn<T extends Touched>(touched: readonly T[]): readonly T[] {
  if (!touched.some(isNamedOnly)) return touched
  const bornLater = new Map<EntityMapping, Set<string>>()
  const kept: T[] = []
  for (const item of touched.toReversed()) {
    const { entity, key, folded } = item
    const born = bornLater.get(entity) ?? new Set()
    bornLater.set(entity, born)
    if (key !== null && isNamedOnly(item)) {
      if (born.has(key)) continue
    } else if (key !== null) {
      if (folded.state === 'new') born.add(key)
      else born.delete(key)
    }
    kept.push(item)
  }
  return kept.reverse()
}
