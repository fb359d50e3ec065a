import type { CellCursor } from '../../domain/cells/cell-cursor.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import { type AuditRecord, listAudit as readAudit } from '../../outbox/records/audit.ts'
import { webhookNames } from '../../outbox/records/webhooks.ts'
import { type CellPage, overCells, pageOverCells } from '../kit/cells.ts'
import type { Caller, Control } from '../kit/control.ts'
import { tenantAsked } from '../kit/tenants.ts'

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
    before: CellCursor | null
    webhookId: number | null
    tenant?: string | null | undefined
  },
): Promise<CellPage<AuditRecord>> {
  const tenant = tenantAsked(caller, page.tenant)
  const { webhookId } = page
  const list = (outbox: Outbox, { limit, before }: { limit: number; before: bigint | null }) =>
    readAudit(outbox, { limit, before, webhookId, tenant })
  const found = await pageOverCells(control, page, list, ({ at }) => at.getTime())
  return caller.tenant === null ? found : { ...found, items: found.items.map(shownTo) }
}

/** A record, as its tenant sees it. */
function shownTo<R extends AuditRecord>(record: R): R {
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
  const { results } = await overCells(control, outbox => webhookNames(outbox, ids, tenant))
  return new Map(results.flatMap(({ value }) => [...value]))
}
