import type { EntityMapping, RelatedList } from '../domain/mapping.ts'
import type { Catalogue } from './catalogue.ts'
import { writeEntityId } from './map.ts'
import { notOfTheKeysType, readRelated, readRows } from './read-back.ts'
import { createResultWriter, type ShapedRow } from './result.ts'
import type { Queryable, Source } from './source.ts'

/** An entity as the source has it now, in the form in which events carry it. */
export type PresentEntity = {
  readonly entityId: string
  readonly entityIdJson: string
  readonly resultJson: string
}

/** Reads one entity by a text of its key, which may be written in another way than its own; null where there is none. */
export async function readEntity(
  source: Source,
  catalogue: Catalogue,
  entity: EntityMapping,
  key: string,
): Promise<PresentEntity | null> {
  const rows = await readRows(source.pool, catalogue, entity, [key]).catch(error => {
    if (notOfTheKeysType.has(error.code)) return new Map<string, never>()
    throw error
  })
  return (await showRows(source.pool, catalogue, entity, rows))[0] ?? null
}

/** Rows in the form in which events carry them, with their related lists, read with one query each. */
export async function showRows(
  db: Queryable,
  catalogue: Catalogue,
  entity: EntityMapping,
  rows: ReadonlyMap<string, ShapedRow>,
): Promise<PresentEntity[]> {
  const lists = new Map<RelatedList, ReadonlyMap<string, string | null>>()
  if (rows.size > 0)
    for (const related of entity.related)
      lists.set(related, await readRelated(db, catalogue, related, [...rows.keys()]))
  const write = createResultWriter(catalogue)
  return [...rows].map(([entityId, row]) => ({
    entityId,
    entityIdJson: writeEntityId(catalogue, entity, entityId),
    resultJson: write(entity, row, list => lists.get(list)?.get(entityId)).json,
  }))
}
