import type { EntityMapping } from '../../domain/mapping/mapping.ts'
import type { Touched } from './touched.ts'

/** Only a related row refers to it: it may not exist. */
const isNamedOnly = ({ folded, problem }: Touched) => folded.before === 'untouched' && problem === null

/**
 * Leaves out owners that did not exist yet when a related row referred to them: a later transaction of the batch creates
 * them, and nothing in between ends or changes one. (Without a foreign key, related rows may come first.) The `update` would
 * precede the `new`, whose list is the same.
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
