import { z } from 'zod'
import { type AuditRecord, listAudit } from '../../control/access/audit.ts'
import { actorKinds, auditActions } from '../../domain/access/audit.ts'
import { anyJson, bigId, cellCursor, id, limit, pageOf, pageOverCells, time } from '../kit/fields.ts'
import { route } from '../kit/route.ts'
import { tenantAsked, tenantOf } from '../kit/tenant-fields.ts'

const auditSchema = z
  .object({
    id: bigId(),
    at: time(),
    actor: z.object({
      kind: z.enum(actorKinds).meta({
        description:
          'A stored token, a link that a token created, a user of the OpenID provider (`oidc`), the token of the configuration, a command, or walhook itself.',
      }),
      name: z.string(),
      token_id: z.int().nullable(),
      user_id: z.string().nullable(),
    }),
    action: z.enum(auditActions),
    target_id: z
      .string()
      .nullable()
      .meta({ description: 'The id of the changed object. The action names its kind.' }),
    webhook_id: z.int().nullable(),
    tenant: tenantOf(),
    changes: z
      .record(z.string(), z.object({ from: anyJson().optional(), to: anyJson().optional() }))
      .meta({ description: 'Each changed field, before and after. Secrets are never shown.' }),
  })
  .meta({ id: 'AuditRecord' })

export const auditRoutes = [
  route({
    method: 'get',
    path: '/api/audit',
    id: 'listAudit',
    tag: 'Audit',
    summary: 'Lists the audit records, newest first',
    description: 'Includes changes made by commands and by walhook itself.',
    role: 'admin',
    tenants: 'own',
    query: z.strictObject({
      limit: limit(100, 50),
      cursor: cellCursor(),
      webhook_id: id().optional(),
      tenant: tenantAsked(),
    }),
    response: { status: 200, what: 'A page of records', schema: pageOverCells(auditSchema) },
    async handle({ control, caller, query: { cursor, ...query } }) {
      const page = { ...query, before: cursor ?? null, webhookId: query.webhookId ?? null }
      return { ok: true, value: pageOf(await listAudit(control, caller, page), shown) }
    },
  }),
]

const shown = (record: AuditRecord) => ({
  ...record,
  changes: record.changes as z.input<typeof auditSchema>['changes'],
})
