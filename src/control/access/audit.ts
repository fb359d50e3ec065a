import { type AuditRecord, listAudit as readAudit } from '../../outbox/records/audit.ts'
import { webhookNames } from '../../outbox/records/webhooks.ts'
import type { Caller, Control } from '../kit/control.ts'
import { tenantAsked } from '../kit/tenants.ts'
import type { Page } from '../webhooks/webhooks.ts'

export type { AuditRecord }

/**
 * The audit records that a caller may see, newest first, at most `limit`, before the record `before`; of one webhook and one
 * tenant, if given. A tenant sees actors without a tenant as an administrator without a name.
 */
export async function listAudit(
  control: Control,
  caller: Pick<Caller, 'tenant'>,
  page: {
    limit: number
    before: bigint | null
    webhookId: number | null
    tenant?: string | null | undefined
  },
): Promise<Page<AuditRecord, bigint>> {
  const tenant = tenantAsked(caller, page.tenant)
  const found = await readAudit(control.outbox, { ...page, tenant, limit: page.limit + 1 })
  const items = found.slice(0, page.limit).map(record => (caller.tenant === null ? record : shownTo(record)))
  return { items, next: found.length > page.limit ? items.at(-1)!.id : null }
}

/** A record, as its tenant sees it. */
function shownTo(record: AuditRecord): AuditRecord {
  const { actor, tenant } = record
  if (actor.tenant === tenant || actor.kind === 'walhook') return record
  return { ...record, actor: { ...administrator, tenant: null } }
}

const administrator = { kind: 'configuration', name: 'administrator', tokenId: null, userId: null } as const

/** Whether an actor is shown to a tenant as an administrator without a name. */
export const isAdministrator = (actor: AuditRecord['actor']): boolean =>
  actor.name === administrator.name && actor.tokenId === null && actor.kind === administrator.kind

/** The present names of the caller's webhooks by id; deleted ones have none. */
export async function auditedNames(
  control: Control,
  { tenant }: Pick<Caller, 'tenant'>,
  ids: readonly number[],
): Promise<Map<number, string>> {
  return await webhookNames(control.outbox, ids, tenant)
}
