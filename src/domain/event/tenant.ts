import type { ActionType, OfTenant } from './event.ts'

/** The earlier tenant of an entity that had none. No tenant has this name. */
export const nobody = ''

/** A longer name counts as no tenant: no webhook can have it. */
export const longestTenant = 200

/** The tenant that a column's value names; undefined: the value is unknown. */
export function tenantOf(value: string | null | undefined): string | null | undefined {
  if (value === undefined) return undefined
  return value === null || value === '' || value.length > longestTenant ? null : value
}

/** The tenant as a form has it, exactly: a column of type char pads its values with blanks. Blanks alone are none. */
export const tenantIn = (form: URLSearchParams): string => {
  const text = form.get('tenant') ?? ''
  return text.trim() === '' ? '' : text
}

/** The tenants of an event; `before`, of an update: the earlier one, undefined if unknown. */
export function moved(now: string | null, before: string | null | undefined): OfTenant {
  const isMoved = before !== undefined && before !== now
  return { tenant: now, tenantBefore: isMoved ? (before ?? nobody) : null }
}

/**
 * The action of an event for a tenant (null: for callers that see all): its own; `new` or `delete` if an update moved the
 * entity in or out; null: the tenant may not see it. In SQL: `actionFor` in `outbox/log/wanted.ts`.
 */
export function actionFor(
  tenant: string | null,
  event: OfTenant & { readonly actionType: ActionType },
): ActionType | null {
  if (tenant === null) return event.actionType
  if (event.tenant === tenant) return event.tenantBefore === null ? event.actionType : 'new'
  return event.tenantBefore === tenant ? 'delete' : null
}
