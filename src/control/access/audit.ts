import { type AuditRecord, listAudit as readAudit } from '../../outbox/records/audit.ts'
import { webhookNames } from '../../outbox/records/webhooks.ts'
import type { Control } from '../kit/control.ts'
import type { Page } from '../webhooks/webhooks.ts'

export type { AuditRecord }

/** Audit records, newest first, at most `limit`, before the record `before`; of one webhook, if given. */
export async function listAudit(
  control: Control,
  page: { limit: number; before: bigint | null; webhookId: number | null },
): Promise<Page<AuditRecord, bigint>> {
  const found = await readAudit(control.outbox, { ...page, limit: page.limit + 1 })
  const items = found.slice(0, page.limit)
  return { items, next: found.length > page.limit ? items.at(-1)!.id : null }
}

/** The names that webhooks have now, by their ids; those that were deleted have none. */
export async function auditedNames(control: Control, ids: readonly number[]): Promise<Map<number, string>> {
  return await webhookNames(control.outbox, ids)
}
