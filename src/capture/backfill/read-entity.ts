import type { EntityMapping, RelatedList } from '../../domain/mapping/mapping.ts'
import { type RelatedValue, readRelated, readRows } from '../map/read-back.ts'
import { createResultWriter, type ShapedRow } from '../map/result.ts'
import { createRowFilters, isShown } from '../map/row-filters.ts'
import { tenantIn } from '../map/tenants.ts'
import { tryTwice } from '../map/try-twice.ts'
import { writeEntityId } from '../map/write-event.ts'
import { notOfTheKeysType, readExisting } from '../related/read-existing.ts'
import type { Queryable, Source } from '../source/source.ts'
import type { Catalogue } from '../verdict/catalogue.ts'

/** An entity's present state, in the form of its events. */
export type PresentEntity = {
  readonly entityId: string
  readonly entityIdJson: string
  readonly resultJson: string
  /** The omitted fields, whose value is unreadable; null: none. */
  readonly omitted: readonly string[] | null
  /** Its tenant; null: none. */
  readonly tenant: string | null
}

/** An existing row that can't become an event. */
export type UnreadableRow = { readonly entityId: string; readonly reason: string }

/** Rows in the form of events, and unreadable ones. */
export type ShownRows = {
  readonly entities: readonly PresentEntity[]
  readonly unreadable: readonly UnreadableRow[]
}

/** Reads one entity by a text of its key in any spelling; null: it does not exist. */
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
  const { entities, unreadable } = await showRows(source.pool, catalogue, entity, rows)
  if (unreadable[0]) throw new Error(unreadable[0].reason)
  return entities[0] ?? null
}

type ListReader = (
  related: RelatedList,
  owners: readonly string[],
) => Promise<ReadonlyMap<string, RelatedValue | null> | null>

/** Rows in the form of their events, with related lists, by one query each. */
export async function showRows(
  db: Queryable,
  catalogue: Catalogue,
  entity: EntityMapping,
  rows: ReadonlyMap<string, ShapedRow>,
  readList: ListReader = (related, owners) => readRelated(db, catalogue, related, owners),
): Promise<ShownRows> {
  const lists = new Map<RelatedList, ReadonlyMap<string, RelatedValue | null> | null>()
  if (rows.size > 0)
    for (const related of entity.related) lists.set(related, await readList(related, [...rows.keys()]))
  const write = createResultWriter(catalogue)
  const matchRow = createRowFilters(catalogue)
  const entities: PresentEntity[] = []
  const unreadable: UnreadableRow[] = []
  for (const [entityId, row] of rows) {
    const shown = tryTwice(() => {
      if (!isShown(entity, row, matchRow)) return null
      const { json, omitted } = write(entity, row, list => {
        const read = lists.get(list)
        const value = read === null ? null : read?.get(entityId)
        return value ? value.json : value
      })
      const tenant = tenantIn(entity, row) ?? null
      return { entityIdJson: writeEntityId(catalogue, entity, entityId), resultJson: json, omitted, tenant }
    })
    if (shown.ok && shown.value) entities.push({ entityId, ...shown.value })
    if (!shown.ok) unreadable.push({ entityId, reason: `its event cannot be written: ${shown.because}` })
  }
  return { entities, unreadable }
}

/**
 * Reads one row after its data made the page fail: without unreadable lists, which are omitted, or, if the row itself is
 * unreadable, with the reason. Null: it is gone by now.
 */
export async function readAlone(
  { pool }: Source,
  catalogue: Catalogue,
  entity: EntityMapping,
  entityId: string,
): Promise<ShownRows | null> {
  let reason = ''
  const rows = await readExisting(
    [entityId],
    keys => readRows(pool, catalogue, entity, keys),
    (_key, because) => {
      reason = `its row cannot be read: ${because}`
    },
  )
  if (reason !== '') return { entities: [], unreadable: [{ entityId, reason }] }
  if (!rows || rows.size === 0) return null
  return await showRows(pool, catalogue, entity, rows, async (related, owners) => {
    const broken = new Map<string, null>()
    const read = await readExisting(
      owners,
      some => readRelated(pool, catalogue, related, some),
      owner => broken.set(owner, null),
    )
    return read && new Map([...read, ...broken])
  })
}
