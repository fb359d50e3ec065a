import type { EntityMapping } from '../domain/mapping.ts'
import type { Catalogue } from './catalogue.ts'
import { writeEntityId } from './map.ts'
import { readRelated, readRows } from './read-back.ts'
import { createResultWriter } from './result.ts'
import type { Source } from './source.ts'

/** An entity as the source has it now, in the form in which events carry it. */
export type PresentEntity = {
  readonly entityId: string
  readonly entityIdJson: string
  readonly resultJson: string
}

const notOfTheKeysType = new Set(['22P02', '22003', '22007', '22008'])

/** Reads one entity by a text of its key, which may be written in another way than its own; null where there is none. */
export async function readEntity(
  source: Source,
  catalogue: Catalogue,
  entity: EntityMapping,
  key: string,
): Promise<PresentEntity | null> {
  const rows = await readRows(source, catalogue, entity, [key]).catch(error => {
    if (notOfTheKeysType.has(error.code)) return new Map<string, never>()
    throw error
  })
  const found = [...rows][0]
  if (!found) return null
  const [id, row] = found
  const lists = new Map<string, string | undefined>()
  for (const related of entity.related)
    lists.set(related.field, (await readRelated(source, catalogue, related, [id])).get(id))
  return {
    entityId: id,
    entityIdJson: writeEntityId(catalogue, entity, id),
    resultJson: createResultWriter(catalogue)(entity, row, list => lists.get(list.field)),
  }
}
