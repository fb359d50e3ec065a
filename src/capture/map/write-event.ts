import { type Relation, unchanged } from '../../domain/capture/change.ts'
import { type WebhookEvent, writeBody } from '../../domain/event/event.ts'
import { type EntityMapping, tableKey } from '../../domain/mapping/mapping.ts'
import { perPair } from '../../runtime/per-pair.ts'
import type { Catalogue } from '../verdict/catalogue.ts'
import type { ChangedEntity } from './changed-entities.ts'
import type { ChangeFacts } from './facts.ts'
import type { Missing } from './missing.ts'
import { indexesOfKey } from './plan.ts'
import type { RelatedValue } from './read-back.ts'
import { createLastWriter, createResultWriter, type Result } from './result.ts'
import { isShown, type RowFilters } from './row-filters.ts'
import type { Shapes } from './shape.ts'
import { tenantsOf } from './tenants.ts'

/** A changed entity, with the facts of its event. */
export type Compared = ChangedEntity & { readonly facts: ChangeFacts }

/** An entity as known from its events, with its last tenant. */
export type KnownEntity = { readonly entityId: string; readonly tenant: string | null }

export type EventText = Pick<WebhookEvent, 'entityType' | 'entityId' | 'actionType' | 'body' | 'facts' | 'of'>

/** Creates the function that writes an entity's event; null: none. */
export function createEventWriter(
  catalogue: Catalogue,
  { shapes, matchRow }: { shapes: Shapes; matchRow: RowFilters },
) {
  const writeResult = createResultWriter(catalogue)
  const writeLast = createLastWriter(catalogue)

  /** The row before a `delete`, which the WAL has completely or not at all; null: unknown. */
  function lastOf({ entity, folded: { before }, relation }: Compared): Result | null {
    if (entity.last === undefined || relation === null || typeof before === 'string') return null
    if (before.includes(unchanged)) return null
    const { shape, indexes } = shapes.of(relation)
    const values = indexes.map(index => (index === null ? unchanged : before[index]!))
    return writeLast(entity, { shape, values })
  }

  return (item: Compared, missing: Missing): EventText | null => {
    const { entity, key, folded, facts } = item
    if (folded.state === 'nothing' || key === null) return null
    const read = item.mayRemain ? missing.rowOf(item) : null
    const remaining = read && isShown(entity, read, matchRow) ? read : null
    const state = remaining ? 'update' : folded.state
    const isDelete = state === 'delete'
    const row = isDelete ? null : (remaining ?? missing.rowOf(item))
    // Already gone, or no longer matching: a later transaction brings its `delete`.
    if (!isDelete && (row === null || !isShown(entity, row, matchRow))) return null
    const of = tenantsOf(item, state, row)
    const result = row && writeResult(entity, row, list => jsonOf(missing.relatedOf(list, key)))
    const last = isDelete ? lastOf(item) : null
    const body = writeBody({
      entityIdJson: writeEntityId(
        catalogue,
        entity,
        key,
        item.relation ? keyTypeIn(item.relation, entity) : undefined,
      ),
      entityType: entity.entityType,
      actionType: state,
      resultJson: result?.json ?? null,
      lastJson: last?.json ?? null,
    })
    return {
      entityType: entity.entityType,
      entityId: key,
      actionType: state,
      body,
      facts: {
        previous: facts.previous,
        changed: withMore(facts.changed, item.alsoChanged),
        omitted: (result ?? last)?.omitted ?? null,
      },
      ...(of && { of }),
    }
  }
}

const withMore = (changed: readonly string[] | null, more: readonly string[]) =>
  changed === null || more.length === 0 ? changed : [...new Set([...changed, ...more])]

const jsonOf = (read: RelatedValue | null | undefined) => (read ? read.json : read)

/** `entity_id` as JSON: a number if the key is one integer; by its type in the WAL, if known. */
export function writeEntityId(
  catalogue: Catalogue,
  { table, key: name }: EntityMapping,
  key: string,
  typeOid = catalogue.tables.get(tableKey(table))?.columns.find(column => column.name === name)?.typeOid,
): string {
  if (typeof name !== 'string') return JSON.stringify(key)
  return typeOid !== undefined && catalogue.isInteger(typeOid) ? key : JSON.stringify(key)
}

const keyTypeIn = perPair(
  (relation: Relation, { key }: EntityMapping) =>
    relation.columns[indexesOfKey(relation, key)[0] ?? -1]?.typeOid,
)

/** The event of a deleted entity with known id and last tenant only. */
export function writeDeletion(
  catalogue: Catalogue,
  entity: EntityMapping,
  { entityId, tenant }: KnownEntity,
): EventText {
  const { entityType } = entity
  const actionType = 'delete'
  const entityIdJson = writeEntityId(catalogue, entity, entityId)
  const body = writeBody({ entityIdJson, entityType, actionType, resultJson: null })
  return {
    entityType,
    entityId,
    actionType,
    body,
    ...(tenant !== null && { of: { tenant, tenantBefore: null } }),
  }
}
