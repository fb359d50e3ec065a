import { z } from 'zod'
import { logBodies } from '../../domain/webhook/webhook.ts'
import { name, text } from '../kit/fields.ts'
import { filterFields } from '../kit/filter-fields.ts'
import { tenantField, tenantGiven } from '../kit/tenant-fields.ts'

const fields = {
  tenant: tenantField(),
  name: name().meta({
    description: 'Its name, for people.',
  }),
  url: text().trim().min(1, 'must not be empty').max(2048, 'must be at most 2048 characters').meta({
    description:
      'The address of the receiver: https, with a public address unless `WALHOOK_ALLOW_TARGETS` allows another.',
  }),
  is_active: z.boolean().meta({ description: 'Whether walhook sends it events. Tests are always possible.' }),
  triggers: z
    .array(z.string())
    .min(1, 'must hold at least one trigger')
    .max(100, 'must hold at most 100')
    .meta({
      description:
        'Its subscriptions: an entity type and new, update or delete, such as `user.new`; and alerts, walhook’s own events: `webhook.failing`, `webhook.recovered`, `webhook.disabled`, `delivery.dead`, `capture.lost`, `capture.blocked`, `capture.lagging`.',
    }),
  alert_to: z.array(text().trim()).max(20, 'must hold at most 20').meta({
    description:
      'E-mail addresses that get the [alerts](../guide/alerts.md) about this webhook: one mail for each incident. Needs `WALHOOK_SMTP_URL`.',
  }),
  previous: z.boolean().meta({
    description:
      'Adds to requests, after `result`: `previous`, the known values before an update, and `omitted`, the fields that `result` lacks because their value is unknown. Only tables with REPLICA IDENTITY FULL have previous values: `walhook check` lists the others.',
  }),
  traceparent: z.boolean().meta({
    description:
      'Adds the header `traceparent` (W3C Trace Context) to requests if [tracing](../guide/tracing.md) is on: the receiver’s spans join the trace of the event.',
  }),
  update_fields: z
    .array(text())
    .min(1, 'must hold at least one field; null for every update')
    .max(1_000, 'must hold at most 1000')
    .nullable()
    .meta({
      description:
        'Sends only updates that change one of these fields, such as `user.email`. Entity types without a listed field, and tables without REPLICA IDENTITY FULL, send every update. Null: every update.',
    }),
  ...filterFields,
  mode: z.enum(['every', 'latest']).meta({
    description:
      '`every`: every event. `latest`: only the latest state of an entity, if several of its events are pending.',
  }),
  batch: z
    .strictObject({ max_events: z.int().min(2).max(1_000), max_wait_ms: z.int().min(0).max(60_000) })
    .meta({ id: 'NewBatch' })
    .nullable()
    .meta({
      description:
        'Several events in one request, as a JSON array: at most `max_events`. An event waits for others at most `max_wait_ms`. Null: one event per request.',
    }),
  log_bodies: z.enum(logBodies).meta({
    description:
      'The requests whose bodies the log keeps: all, failed, or none. Pending events always keep their body.',
  }),
  headers: z.record(z.string(), z.string().nullable()).meta({
    description:
      'Additional request headers. Their values are never shown. On a change, null removes a header, `[redacted]` keeps its value, and other headers stay.',
  }),
  client_certificate: z.string().max(65_536, 'must be at most 65536 characters').nullable().meta({
    description:
      'For mutual TLS: a certificate in PEM, followed by its chain. Send it with its key, or null for both. A new origin of the URL removes it.',
  }),
  client_key: z.string().max(65_536, 'must be at most 65536 characters').nullable().meta({
    description:
      'The private key of `client_certificate`, in PEM without a passphrase. Stored encrypted, never shown.',
  }),
}

export const newWebhook = z
  .strictObject({
    ...fields,
    is_active: fields.is_active.default(true),
    alert_to: fields.alert_to.default([]),
    previous: fields.previous.default(false),
    traceparent: fields.traceparent.default(false),
    update_fields: fields.update_fields.default(null),
    filter: fields.filter.default(null),
    filter_entering: fields.filter_entering.default('update'),
    filter_leaving: fields.filter_leaving.default('nothing'),
    mode: fields.mode.default('every'),
    batch: fields.batch.default(null),
    log_bodies: fields.log_bodies.default('all'),
    headers: fields.headers.default({}),
    client_certificate: fields.client_certificate.default(null),
    client_key: fields.client_key.default(null),
  })
  .meta({ id: 'NewWebhook' })

export const filterPreviewRequest = z
  .strictObject({
    triggers: fields.triggers,
    update_fields: fields.update_fields.default(null),
    filter: fields.filter.unwrap(),
    filter_entering: fields.filter_entering.default('update'),
    filter_leaving: fields.filter_leaving.default('nothing'),
  })
  .meta({ id: 'FilterPreviewRequest' })

export const filterPreviewSchema = z
  .object({
    looked_at: z.int().meta({ description: 'Recent events of the triggers, at most 100.' }),
    matched: z.int().meta({ description: 'How many of them the webhook would have received.' }),
  })
  .meta({ id: 'FilterPreview' })

export const webhookChange = z
  .strictObject({
    ...fields,
    managed_by: z.null().meta({
      description: 'null: `walhook apply` no longer manages the webhook; people change it by hand.',
    }),
  })
  .partial()
  .meta({ id: 'WebhookChange' })

/** A tenant may be a number. */
export const chosen = <Body extends { tenant?: string | number | null | undefined }>(body: Body) => ({
  ...body,
  tenant: tenantGiven(body.tenant),
})
