import { lostSentence } from '../../domain/capture/lost-texts.ts'
import { Unfit } from '../../domain/capture/page-failures.ts'
import type { EntityMapping } from '../../domain/mapping/mapping.ts'
import { formatProblem } from '../../domain/value/problem.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import { preflight } from '../source/preflight.ts'
import type { Source } from '../source/source.ts'
import type { Catalogue } from '../verdict/catalogue.ts'
import { isOfTables } from '../verdict/preflight-verdict.ts'

const goodForMs = 1_000

/** An entity reduced to existing objects, with the catalogue of its tables; or why there is none. */
export type CheckedEntity =
  | { readonly kind: 'fit'; readonly entity: EntityMapping; readonly catalogue: Catalogue }
  | { readonly kind: 'gone'; readonly reason: string }

/**
 * Creates the function that checks whether an entity's tables can be captured as they are: existing, readable, published.
 * Otherwise it throws `Unfit` with reason and fix. A dropped table is `gone`, a re-created one is not. Readers verify the
 * tables (`backfill-page.ts`), so an answer is valid for a second.
 */
export function createEntityCheck(options: {
  source: Source
  outbox: Outbox
  slotName: string
  publicationName: string
  nowMs: () => number
}): (entity: EntityMapping) => Promise<CheckedEntity> {
  const { source, nowMs } = options
  const checked = new Map<EntityMapping, { fit: CheckedEntity; atMs: number }>()
  return async mapped => {
    const before = checked.get(mapped)
    if (before && nowMs() - before.atMs < goodForMs) return before.fit
    const found = await preflight(source, { ...options, mapping: [mapped] })
    const { problems, facts, catalogue, living } = found
    const [entity] = living.mapping
    if (!entity) return { kind: 'gone', reason: living.lost.map(lost => lostSentence(lost)).join('; ') }
    const ofTables = problems.filter(isOfTables).map(formatProblem)
    if (facts.publication === null)
      ofTables.push(`publication ${options.publicationName}: missing. Fix: walhook resync`)
    if (ofTables.length > 0) throw new Unfit(ofTables.join('; '))
    const fit: CheckedEntity = { kind: 'fit', entity, catalogue }
    checked.set(mapped, { fit, atMs: nowMs() })
    return fit
  }
}
