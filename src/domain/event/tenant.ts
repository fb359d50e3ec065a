import type { ActionType, OfTenant } from './event.ts'

/** Whose an entity was that was nobody's. No tenant has this name. */
export const nobody = ''

/** An entity with a longer name of a tenant is nobody's: no webhook has such a tenant. */
export const longestTenant = 200

/** The tenant that a value of its column names; undefined: the value is not known. */
export function tenantOf(value: string | null | undefined): string | null | undefined {
  if (value === undefined) return undefined
  return value === null || value === '' || value.length > longestTenant ? null : value
}

/** What an event knows of tenants; `before`, of an update: whose it was, undefined where that is not known. */
export function moved(now: string | null, before: string | null | undefined): OfTenant {
  const isMoved = before !== undefined && before !== now
  return { tenant: now, tenantBefore: isMoved ? (before ?? nobody) : null }
}

/**
 * What an event is to a tenant (null: to whoever sees all): as it is; a `new` or a `delete`, of an update that brought or took the entity;
 * or null: nothing that this tenant may know of. In SQL: `actionFor` in `outbox/log/wanted.ts`.
 */
export function actionFor(
  tenant: string | null,
  event: OfTenant & { readonly actionType: ActionType },
): ActionType | null {
  if (tenant === null) return event.actionType
  if (event.tenant === tenant) return event.tenantBefore === null ? event.actionType : 'new'
  return event.tenantBefore === tenant ? 'delete' : null
}
