import { isKnown } from '../../domain/capture/change.ts'
import type { ActionType, OfTenant } from '../../domain/event/event.ts'
import { moved, tenantOf } from '../../domain/event/tenant.ts'
import { columnsOfKey, splitKey } from '../../domain/mapping/entity-key.ts'
import type { EntityMapping } from '../../domain/mapping/mapping.ts'
import { perPair } from '../../runtime/per-pair.ts'
import type { ChangedEntity } from './changed-entities.ts'
import type { Shape, ShapedRow } from './result.ts'

/** The tenant of a row; undefined: unknown, or the entity has no tenants. */
export function tenantIn(
  { tenant }: Pick<EntityMapping, 'tenant'>,
  { shape, values }: ShapedRow,
): string | null | undefined {
  if (tenant === undefined) return undefined
  const value = values[indexOf(shape, tenant)]
  return value === undefined || !isKnown(value) ? undefined : tenantOf(value)
}

/**
 * The tenants of an event; `row`: its content, null for a `delete`.
 *
 * For a `delete`, the tenant is from the row before in the WAL, or from the present row if it only ceased to match: without
 * REPLICA IDENTITY FULL other rows' tenants are unknown, and count as none.
 */
export function tenantsOf(item: ChangedEntity, state: ActionType, row: ShapedRow | null): OfTenant | null {
  const { entity } = item
  if (entity.tenant === undefined) return null
  const before = tenantBefore(item)
  if (row !== null) return moved(tenantIn(entity, row) ?? null, state === 'update' ? before : undefined)
  return { tenant: before ?? tenantNow(item) ?? null, tenantBefore: null }
}

/** Whether an update is known to have changed the tenant. */
export function isMoved(item: ChangedEntity): boolean {
  if (item.entity.tenant === undefined || item.folded.state !== 'update') return false
  const [before, now] = [tenantBefore(item), tenantNow(item)]
  return before !== undefined && now !== undefined && before !== now
}

function tenantBefore({ entity, folded, relation, key }: ChangedEntity): string | null | undefined {
  const ofKey = columnsOfKey(entity.key)
  const index = ofKey.indexOf(entity.tenant ?? '')
  if (index >= 0 && key !== null) return tenantOf(splitKey(key, ofKey.length)?.[index] ?? null)
  const { before } = folded
  if (typeof before === 'string' || relation === null) return undefined
  return tenantIn(entity, { shape: relation.columns, values: before })
}

function tenantNow({ entity, folded: { row }, relation }: ChangedEntity): string | null | undefined {
  return row === null || relation === null
    ? undefined
    : tenantIn(entity, { shape: relation.columns, values: row })
}

const indexOf = perPair((shape: Shape, column: string) => shape.findIndex(({ name }) => name === column))
