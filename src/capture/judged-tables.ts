import type { EntityMapping } from '../domain/mapping.ts'
import { Unfit } from '../domain/page-failures.ts'
import { formatProblem } from '../domain/problem.ts'
import type { Outbox } from '../outbox/database.ts'
import type { Catalogue } from './catalogue.ts'
import { preflight } from './preflight.ts'
import { isOfTables } from './preflight-verdict.ts'
import type { Source } from './source.ts'

const goodForMs = 1_000

/**
 * Makes the function that gives the catalogue of an entity's tables if these can be captured as they are: there, readable
 * whole, in the publication. Else it throws `Unfit`, and says why and what mends it. Whoever reads looks whether the tables are
 * still the same (`backfill-page.ts`), so that the answer is good for a second.
 */
export function createJudge(options: {
  source: Source
  outbox: Outbox
  slotName: string
  publicationName: string
  nowMs: () => number
}): (entity: EntityMapping) => Promise<Catalogue> {
  const { source, nowMs } = options
  const judged = new Map<EntityMapping, { catalogue: Catalogue; atMs: number }>()
  return async entity => {
    const before = judged.get(entity)
    if (before && nowMs() - before.atMs < goodForMs) return before.catalogue
    const { problems, facts, catalogue } = await preflight(source, { ...options, mapping: [entity] })
    const ofTables = problems.filter(isOfTables).map(formatProblem)
    if (facts.publication === null)
      ofTables.push(`publication ${options.publicationName}: missing. To mend it: walhook resync`)
    if (ofTables.length > 0) throw new Unfit(ofTables.join('; '))
    judged.set(entity, { catalogue, atMs: nowMs() })
    return catalogue
  }
}
