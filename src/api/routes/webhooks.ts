import { z } from 'zod'
import { previewFilter } from '../../control/webhooks/filter-preview.ts'
import {
  changeWebhook,
  createWebhook,
  deleteWebhook,
  getWebhook,
  listWebhooks,
} from '../../control/webhooks/webhooks.ts'
import type { Webhook } from '../../domain/webhook/webhook.ts'
import { webhookTag } from '../kit/etag.ts'
import { id, idCursor, limit, pageOf, pageOverCells } from '../kit/fields.ts'
import { respond, route } from '../kit/route.ts'
import { tenantAsked } from '../kit/tenant-fields.ts'
import {
  chosen,
  filterPreviewRequest,
  filterPreviewSchema,
  newWebhook,
  webhookChange,
} from './webhook-fields.ts'
import {
  changedSchema,
  createdSchema,
  missedBy,
  paceOf,
  readSchema,
  shownTo,
  tagged,
  warned,
  webhookSchema,
} from './webhook-response.ts'

export const webhookParams = z.strictObject({ id: id() })
const tag = 'Webhooks'

const forced = z.strictObject({
  force: z.enum(['true', 'false']).optional().meta({
    description: 'true: changes a webhook that `walhook apply` manages, until the next `walhook apply`.',
  }),
})

export const webhookRoutes = [
  route({
    method: 'post',
    path: '/api/webhooks',
    id: 'createWebhook',
    tag,
    summary: 'Creates a webhook',
    role: 'admin',
    tenants: 'own',
    body: newWebhook,
    response: {
      status: 201,
      what: 'The webhook, with its signing secret',
      schema: createdSchema,
      headers: ['location', 'etag'],
    },
    async handle({ control, caller, body }) {
      const created = await createWebhook(control, caller, chosen(body))
      if (!created.ok) return created
      const { webhook, secret } = created.value
      const headers = { location: `/api/webhooks/${webhook.id}`, ...tagged(webhook) }
      const shown = shownTo(caller.role)(webhook)
      return { ok: true, value: { ...shown, ...(await warned(control, webhook)), secret }, headers }
    },
  }),
  route({
    method: 'post',
    path: '/api/filters/preview',
    id: 'previewFilter',
    tag,
    summary: 'Counts the newest events that match a filter',
    description: 'Reads at most 1,000 events of the log. Saves and sends nothing.',
    role: 'admin',
    tenants: 'own',
    body: filterPreviewRequest,
    response: { status: 200, what: 'The counts', schema: filterPreviewSchema },
    async handle({ control, caller, body }) {
      const { filter: fields, filterEntering: entering, filterLeaving: leaving, ...rest } = body
      const seen = await previewFilter(control, caller, { fields, entering, leaving, ...rest })
      return respond(seen, counts => counts)
    },
  }),
  route({
    method: 'get',
    path: '/api/webhooks',
    id: 'listWebhooks',
    tag,
    summary: 'Lists the webhooks by id',
    role: 'viewer',
    tenants: 'own',
    query: z.strictObject({ limit: limit(100, 50), cursor: idCursor(), tenant: tenantAsked() }),
    response: { status: 200, what: 'A page of webhooks', schema: pageOverCells(webhookSchema) },
    async handle({ control, caller, query: { limit, cursor, tenant } }) {
      const found = await listWebhooks(control, caller, { limit, after: cursor, tenant })
      return { ok: true, value: pageOf(found, shownTo(caller.role)) }
    },
  }),
  route({
    method: 'get',
    path: '/api/webhooks/{id}',
    id: 'getWebhook',
    tag,
    summary: 'Reads a webhook',
    role: 'viewer',
    tenants: 'webhook',
    params: webhookParams,
    response: { status: 200, what: 'The webhook', schema: readSchema, headers: ['etag'] },
    async handle({ control, caller, params }) {
      const read = (webhook: Webhook) => ({
        ...shownTo(caller.role)(webhook),
        pace: paceOf(control, webhook),
      })
      return respond(await getWebhook(control, params.id), read, tagged)
    },
  }),
  route({
    method: 'patch',
    path: '/api/webhooks/{id}',
    id: 'changeWebhook',
    tag,
    summary: 'Changes the given fields',
    description:
      'All or nothing. A webhook that `walhook apply` manages needs `force=true`, or `managed_by: null` to end that.',
    role: 'admin',
    tenants: 'webhook',
    params: webhookParams,
    query: forced,
    body: webhookChange,
    response: { status: 200, what: 'The webhook as it is now', schema: changedSchema, headers: ['etag'] },
    heedsIfMatch: true,
    async handle({ control, caller, params, query, isMatch, body }) {
      const seen: Webhook[] = []
      const isCurrent = (webhook: Webhook) => {
        seen.push(webhook)
        return isMatch(webhookTag(webhook))
      }
      const changed = await changeWebhook(control, caller, params.id, chosen(body), isCurrent, {
        isForced: query.force === 'true',
      })
      if (!changed.ok) return changed
      const { value: webhook } = changed
      const value = {
        ...shownTo(caller.role)(webhook),
        ...(await warned(control, webhook)),
        ...(await missedBy(control, seen[0] ?? null, webhook)),
      }
      return { ok: true, value, headers: tagged(webhook) }
    },
  }),
  route({
    method: 'delete',
    path: '/api/webhooks/{id}',
    id: 'deleteWebhook',
    tag,
    summary: 'Deletes a webhook and its pending deliveries',
    role: 'admin',
    tenants: 'webhook',
    params: webhookParams,
    query: forced,
    response: { status: 204, what: 'Deleted', schema: null },
    heedsIfMatch: true,
    handle: ({ control, caller, params, query, isMatch }) =>
      deleteWebhook(control, caller, params.id, webhook => isMatch(webhookTag(webhook)), {
        isForced: query.force === 'true',
      }),
  }),
]
