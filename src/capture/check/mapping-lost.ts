import type { Lost } from '../../domain/capture/lost-texts.ts'
import type { EntityMapping } from '../../domain/mapping/mapping.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import { knownColumns } from '../../outbox/source/source-columns.ts'
import { shared } from '../../runtime/shared.ts'
import { within } from '../../runtime/within.ts'
import { readLivingMapping } from '../source/load-catalogue.ts'
import { readCatalogue } from '../source/read-catalogue.ts'
import type { Source } from '../source/source.ts'

const goodForMs = 1_000
const responseTimeoutMs = 3_000

/**
 * Creates the function that lists the mapping's dropped objects; null: no answer in time. The source is asked once
 * a second at most.
 */
export function openMappingLost(options: {
  source: Source
  outbox: Outbox
  slotName: string
  mapping: () => readonly EntityMapping[]
}): () => Promise<readonly Lost[] | null> {
  const { source, outbox, slotName } = options
  const read = shared(
    goodForMs,
    () => performance.now(),
    async () => {
      const mapping = options.mapping()
      const [catalogue, known] = await Promise.all([
        readCatalogue(source, mapping),
        knownColumns(outbox, slotName),
      ])
      return (await readLivingMapping(source.pool, { ...catalogue, known }, mapping)).lost
    },
  )
  return () => within(responseTimeoutMs, read()).catch(() => null)
}
