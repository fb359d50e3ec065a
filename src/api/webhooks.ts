import { z } from 'zod'
import type { Control } from '../control/control.ts'
import { warningsOf } from '../control/warnings.ts'
import { changeWebhook, createWebhook, deleteWebhook, getWebhook, listWebhooks } from '../control/webhooks.ts'
import { redactedHeaders } from '../domain/custom-headers.ts'
import { willBeDisabledAt } from '../domain/health.ts'
import type { Role } from '../domain/role.ts'
import { shownUrl } from '../domain/shown.ts'
import type { Warning } from '../domain/untold.ts'
import { logBodies, type Webhook } from '../domain/webhook.ts'
import { webhookTag } from './etag.ts'
import { id, idCursor, limit, page, pageJson, text, time } from './fields.ts'
import { answer, route } from './route.ts'

/** What an admin chooses. */
const fields = {
  name: text().trim().min(1, 'must not be empty').max(200, 'must be at most 200 characters').meta({
    description: 'What it is called here, for people.',
  }),
  url: text().trim().min(1, 'must not be empty').max(2048, 'must be at most 2048 characters').meta({
    description: 'Where requests go: https, and no private address unless it is allowed.',
  }),
  is_active: z.boolean().meta({ description: 'Whether it is sent anything but tests.' }),
  triggers: z
    .array(z.string())
    .min(1, 'must hold at least one trigger')
    .max(100, 'must hold at most 100')
    .meta({ description: 'What it is told of: an entity type and new, update or delete, as in `user.new`.' }),
  previous: z.boolean().meta({
    description:
      'Whether requests carry, after `result`, `previous`: the values before an update where they are known, and `omitted`: fields that `result` lacks, because their value could not be known any more. A table tells its values before only with REPLICA IDENTITY FULL: `walhook check` names those that do not.',
  }),
  update_fields: z
    .array(text())
    .min(1, 'must hold at least one field; null for every update')
    .max(1_000, 'must hold at most 1000')
    .nullable()
    .meta({
      description:
        'Only updates that change one of these fields, as in `user.email`. Of an entity type that is not named, and where it is not known what changed, as of a table without REPLICA IDENTITY FULL, every update. Null: every update.',
    }),
  mode: z.enum(['every', 'latest']).meta({
    description:
      'Whether every event is sent, or, of an entity whose events wait, only what tells its latest state.',
  }),
  batch: z
    .strictObject({ max_events: z.int().min(2).max(1_000), max_wait_ms: z.int().min(0).max(60_000) })
    .nullable()
    .meta({
      description:
        'Several events in one request, as a JSON array of what would be sent one by one: up to `max_events`, none of which waits for others longer than `max_wait_ms`. Null: one event in each request.',
    }),
  log_bodies: z.enum(logBodies).meta({
    description:
      'Of which requests the log keeps what was sent and answered: all, those that failed, or none. What is still to be sent keeps its body either way.',
  }),
  headers: z.record(z.string(), z.string().nullable()).meta({
    description:
      'Sent with each request besides the usual ones, and shown to nobody. At a change: null takes one away, `[redacted]` keeps its value, and what is not named stays.',
  }),
  client_certificate: z.string().max(65_536, 'must be at most 65536 characters').nullable().meta({
    description:
      'For a receiver that asks for one (mutual TLS): a certificate in PEM, with the chain behind it. With its key, or null for neither. It goes where the URL leads to another origin.',
  }),
  client_key: z.string().max(65_536, 'must be at most 65536 characters').nullable().meta({
    description:
      'The private key of `client_certificate`, in PEM without a passphrase. Sealed, and shown to nobody.',
  }),
}
const newWebhook = z
  .strictObject({
    ...fields,
    is_active: fields.is_active.default(true),
    previous: fields.previous.default(false),
    update_fields: fields.update_fields.default(null),
    mode: fields.mode.default('every'),
    batch: fields.batch.default(null),
    log_bodies: fields.log_bodies.default('all'),
    headers: fields.headers.default({}),
    client_certificate: fields.client_certificate.default(null),
    client_key: fields.client_key.default(null),
  })
  .meta({ id: 'NewWebhook' })
const webhookChange = z.strictObject(fields).partial().meta({ id: 'WebhookChange' })

export const webhookFields = {
  id: z.int(),
  name: z.string(),
  url: z.string().meta({
    description: 'Below the role admin, only its origin, and `/[redacted]`.',
  }),
  is_active: z.boolean(),
  triggers: z.array(z.string()),
  previous: z.boolean(),
  update_fields: z.array(z.string()).nullable(),
  mode: z.enum(['every', 'latest']),
  batch: z.object({ max_events: z.int(), max_wait_ms: z.int() }).nullable(),
  log_bodies: z.enum(logBodies),
  headers: z.record(z.string(), z.string()).meta({ description: 'Each value is `[redacted]`.' }),
  client_certificate: z
    .object({ subject: z.string(), fingerprint: z.string(), expires_at: time() })
    .optional()
    .meta({ description: 'The client certificate, where there is one.' }),
  previous_secret_expires_at: time().nullable().meta({
    description: 'Until when requests are signed with the secret before the last rotation as well.',
  }),
  disabled_at: time().nullable(),
  disabled_reason: z
    .string()
    .nullable()
    .meta({ description: 'Why walhook stopped sending by itself. Setting `is_active` to true ends it.' }),
  failing_since: time().nullable().meta({ description: 'The first failure since the last success.' }),
  will_be_disabled_at: time().nullable().meta({
    description:
      'From when on a failure disables it, if nothing is accepted until then and an event is lost. Times in which walhook tried nothing do not count: it moves by them.',
  }),
  held_until: time().nullable().meta({
    description:
      'Until when nothing is sent, because the receiver asked for it (Retry-After); null where it is not held.',
  }),
  created_at: time(),
  updated_at: time(),
}
const webhookSchema = z.object(webhookFields).meta({ id: 'Webhook' })
const warnings = z
  .array(z.object({ pointer: z.string(), detail: z.string() }))
  .optional()
  .meta({
    description:
      'What was asked for and saved, and what the tables as they are now do not give: each with a JSON Pointer to its field. Absent where there is nothing to say.',
  })
const changedSchema = z.object({ ...webhookFields, warnings }).meta({ id: 'ChangedWebhook' })
const createdSchema = z
  .object({
    ...webhookFields,
    warnings,
    secret: z.string().meta({ description: 'The signing secret, `whsec_…`: shown this once.' }),
  })
  .meta({ id: 'CreatedWebhook' })

export const webhookParams = z.strictObject({ id: id() })
const tag = 'Webhooks'

export const webhookRoutes = [
  route({
    method: 'post',
    path: '/api/webhooks',
    id: 'createWebhook',
    tag,
    summary: 'Creates a webhook',
    role: 'admin',
    body: newWebhook,
    answer: {
      status: 201,
      what: 'The webhook, with its signing secret',
      schema: createdSchema,
      headers: ['location', 'etag'],
    },
    async handle({ control, caller, body }) {
      const created = await createWebhook(control, caller, { ...chosen(body), isActive: body.is_active })
      if (!created.ok) return created
      const { webhook, secret } = created.value
      const headers = { location: `/api/webhooks/${webhook.id}`, ...tagged(webhook) }
      const shown = webhookJson(caller.role)(webhook)
      return { ok: true, value: { ...shown, ...(await warned(control, webhook)), secret }, headers }
    },
  }),
  route({
    method: 'get',
    path: '/api/webhooks',
    id: 'listWebhooks',
    tag,
    summary: 'Lists the webhooks by rising id',
    role: 'viewer',
    query: z.strictObject({ limit: limit(100, 50), cursor: idCursor() }),
    answer: { status: 200, what: 'A page of webhooks', schema: page(webhookSchema) },
    async handle({ control, caller, query: { limit, cursor } }) {
      return {
        ok: true,
        value: pageJson(await listWebhooks(control, { limit, after: cursor }), webhookJson(caller.role)),
      }
    },
  }),
  route({
    method: 'get',
    path: '/api/webhooks/{id}',
    id: 'getWebhook',
    tag,
    summary: 'Reads a webhook',
    role: 'viewer',
    params: webhookParams,
    answer: { status: 200, what: 'The webhook', schema: webhookSchema, headers: ['etag'] },
    async handle({ control, caller, params }) {
      return answer(await getWebhook(control, params.id), webhookJson(caller.role), tagged)
    },
  }),
  route({
    method: 'patch',
    path: '/api/webhooks/{id}',
    id: 'changeWebhook',
    tag,
    summary: 'Changes the fields that are given',
    description: 'All of them or, where one is wrong, none.',
    role: 'admin',
    params: webhookParams,
    body: webhookChange,
    answer: { status: 200, what: 'The webhook as it is now', schema: changedSchema, headers: ['etag'] },
    heedsIfMatch: true,
    async handle({ control, caller, params, isMatch, body }) {
      const change = chosen(body)
      const isCurrent = (webhook: Webhook) => isMatch(webhookTag(webhook))
      const changed = await changeWebhook(control, caller, params.id, change, isCurrent)
      if (!changed.ok) return changed
      const { value: webhook } = changed
      const value = { ...webhookJson(caller.role)(webhook), ...(await warned(control, webhook)) }
      return { ok: true, value, headers: tagged(webhook) }
    },
  }),
  route({
    method: 'delete',
    path: '/api/webhooks/{id}',
    id: 'deleteWebhook',
    tag,
    summary: 'Deletes a webhook and what waits for it',
    role: 'admin',
    params: webhookParams,
    answer: { status: 204, what: 'It is gone', schema: null },
    heedsIfMatch: true,
    handle: ({ control, caller, params, isMatch }) =>
      deleteWebhook(control, caller, params.id, webhook => isMatch(webhookTag(webhook))),
  }),
]

/** What an admin chose, in the words of the code; what was not given stays undefined. */
function chosen<T extends z.output<typeof webhookChange>>({
  is_active,
  update_fields,
  log_bodies,
  batch,
  client_certificate,
  client_key,
  ...rest
}: T) {
  return {
    ...rest,
    clientCertificate: client_certificate,
    clientKey: client_key,
    isActive: is_active,
    updateFields: update_fields,
    logBodies: log_bodies,
    batch: batch && { maxEvents: batch.max_events, maxWaitMs: batch.max_wait_ms },
  }
}

async function warned(control: Control, webhook: Webhook): Promise<{ warnings?: Warning[] }> {
  const warnings = await warningsOf(control, webhook)
  return warnings.length > 0 ? { warnings } : {}
}

const isHeld = ({ heldUntil }: Webhook) => heldUntil !== null && heldUntil.getTime() > Date.now()

export const tagged = (webhook: Webhook) => ({ etag: webhookTag(webhook) })

/** A webhook as a caller of this role may read it. */
export const webhookJson =
  (role: Role) =>
  (webhook: Webhook): z.input<typeof webhookSchema> => {
    return {
      id: webhook.id,
      name: webhook.name,
      url: shownUrl(webhook.url, role),
      is_active: webhook.isActive,
      triggers: [...webhook.triggers],
      previous: webhook.previous,
      update_fields: webhook.updateFields && [...webhook.updateFields],
      mode: webhook.mode,
      batch: webhook.batch && { max_events: webhook.batch.maxEvents, max_wait_ms: webhook.batch.maxWaitMs },
      log_bodies: webhook.logBodies,
      headers: redactedHeaders(webhook.headerNames),
      ...(webhook.clientCertificate && {
        client_certificate: {
          subject: webhook.clientCertificate.subject,
          fingerprint: webhook.clientCertificate.fingerprint,
          expires_at: webhook.clientCertificate.expiresAt.toISOString(),
        },
      }),
      previous_secret_expires_at: webhook.previousSecretExpiresAt?.toISOString() ?? null,
      disabled_at: webhook.disabledAt?.toISOString() ?? null,
      disabled_reason: webhook.disabledReason,
      failing_since: webhook.failingSince?.toISOString() ?? null,
      will_be_disabled_at: willBeDisabledAt(webhook, new Date())?.toISOString() ?? null,
      held_until: isHeld(webhook) ? webhook.heldUntil!.toISOString() : null,
      created_at: webhook.createdAt.toISOString(),
      updated_at: webhook.updatedAt.toISOString(),
    }
  }
