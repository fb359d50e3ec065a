import type { EntityMapping } from '../../domain/mapping/mapping.ts'
import type { ChangedEntity } from './changed-entities.ts'

/** Only a related row refers to it: it may not exist. */
const isNamedOnly = ({ folded, problem }: ChangedEntity) => folded.before === 'unmodified' && problem === null

/**
 * Leaves out owners that did not exist yet when a related row referred to them: a later transaction of the batch creates
 * them, and nothing in between ends or changes one. (Without a foreign key, related rows may come first.) The `update` would
 * precede the `new`, whose list is the same.
 */
export function withoutEarlyUpdates<T extends ChangedEntity>(items: readonly T[]): readonly T[] {
  if (!items.some(isNamedOnly)) return items
  const createdLater = new Map<EntityMapping, Set<string>>()
  const kept: T[] = []
  for (const item of items.toReversed()) {
    const { entity, key, folded } = item
    const created = createdLater.get(entity) ?? new Set()
    createdLater.set(entity, created)
    if (key !== null && isNamedOnly(item)) {
      if (created.has(key)) continue
    } else if (key !== null) {
      if (folded.state === 'new') created.add(key)
      else created.delete(key)
    }
    kept.push(item)
  }
  return kept.reverse()
}
