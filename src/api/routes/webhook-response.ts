import { z } from 'zod'
import type { Control } from '../../control/kit/control.ts'
import { type Missed, missedEvents } from '../../control/log/replays.ts'
import { warningsOf } from '../../control/webhooks/warnings.ts'
import type { Role } from '../../domain/access/role.ts'
import { willBeDisabledAt } from '../../domain/delivery/health.ts'
import type { Warning } from '../../domain/mapping/without-previous.ts'
import { shownUrl } from '../../domain/shown/shown.ts'
import { redactedHeaders } from '../../domain/webhook/custom-headers.ts'
import { maskedAddress } from '../../domain/webhook/mail-address.ts'
import { logBodies, type Webhook } from '../../domain/webhook/webhook.ts'
import { webhookTag } from '../kit/etag.ts'
import { time } from '../kit/fields.ts'
import { filterFields } from '../kit/filter-fields.ts'
import { tenantOf } from '../kit/tenant-fields.ts'

export const webhookFields = {
  id: z.int(),
  tenant: tenantOf(),
  name: z.string(),
  url: z.string().meta({
    description: 'Viewers and operators see the origin only, then `/[redacted]`.',
  }),
  is_active: z.boolean(),
  triggers: z.array(z.string()),
  alert_to: z.array(z.string()).optional().meta({
    description:
      'The recipients of mails about it. Absent if there are none. Viewers and operators do not see the part before the @.',
  }),
  managed_by: z.string().optional().meta({
    description: 'The file that manages it: see `POST /api/apply`. Absent: no file.',
  }),
  previous: z.boolean(),
  traceparent: z.boolean().optional().meta({
    description: 'Whether requests have the header `traceparent` if tracing is on. Absent: false.',
  }),
  update_fields: z.array(z.string()).nullable(),
  ...filterFields,
  mode: z.enum(['every', 'latest']),
  batch: z.object({ max_events: z.int(), max_wait_ms: z.int() }).meta({ id: 'Batch' }).nullable(),
  log_bodies: z.enum(logBodies),
  headers: z.record(z.string(), z.string()).meta({ description: 'Each value is `[redacted]`.' }),
  client_certificate: z
    .object({ subject: z.string(), fingerprint: z.string(), expires_at: time() })
    .meta({ id: 'ClientCertificate' })
    .optional()
    .meta({ description: 'The client certificate. Absent: none.' }),
  previous_secret_expires_at: time().nullable().meta({
    description: 'The old secret also signs until then.',
  }),
  disabled_at: time().nullable(),
  disabled_reason: z
    .string()
    .nullable()
    .meta({ description: 'Why walhook disabled it. Set `is_active` to true to enable it again.' }),
  failing_since: time().nullable().meta({ description: 'The first failure since the last success.' }),
  will_be_disabled_at: time().nullable().meta({
    description:
      'From then on, a dead letter disables it, unless the receiver accepts a request before. Periods without attempts do not count: they move this time.',
  }),
  held_until: time().nullable().meta({
    description: 'The end of a pause that the receiver asked for (Retry-After). Null: no pause.',
  }),
  created_at: time(),
  updated_at: time(),
}
export const webhookSchema = z.object(webhookFields).meta({ id: 'Webhook' })
export const readSchema = z
  .object({
    ...webhookFields,
    pace: z
      .object({
        requests_at_once: z.int().meta({ description: 'The present maximum of concurrent requests.' }),
        at_most: z.int().meta({ description: 'The configured maximum of concurrent requests.' }),
        paused_for_ms: z.int().meta({ description: 'The remaining pause. 0: not paused.' }),
      })
      .optional()
      .meta({
        description: 'The pace of the process that answers this call. Absent if it has sent nothing lately.',
      }),
  })
  .meta({ id: 'ReadWebhook' })
const warnings = z
  .array(z.object({ pointer: z.string(), detail: z.string() }).meta({ id: 'Warning' }))
  .optional()
  .meta({
    description:
      'Saved settings that have no effect now, since the tables or the configuration do not support them, each with a JSON Pointer to its field. Absent if there are none.',
  })
export const missedSchema = z
  .object({
    events: z.int().meta({
      description: 'Events that match its present triggers, filter and tenant.',
    }),
    is_exact: z.boolean().meta({ description: 'Whether all were counted. False: `events` is an estimate.' }),
    since: time(),
    until: time().nullable().meta({ description: 'Null: the webhook is still inactive.' }),
    kept_since: time().nullable().meta({
      description: 'Not null if walhook has already deleted older events of that time: it cannot send them.',
    }),
    replay_id: z.int().nullable().meta({ description: 'The replay that sends them. Null: not started.' }),
    rest_of: z.int().nullable().meta({
      description: 'A replay that was stopped early: `events` counts only the rest.',
    }),
  })
  .meta({ id: 'Missed' })
export const changedSchema = z
  .object({
    ...webhookFields,
    warnings,
    missed: missedSchema.optional().meta({
      description:
        'The events that it missed while it was inactive, if this call activated it. `POST …/replays` sends them.',
    }),
  })
  .meta({ id: 'ChangedWebhook' })
export const createdSchema = z
  .object({
    ...webhookFields,
    warnings,
    secret: z.string().meta({ description: 'The signing secret, `whsec_…`: shown only once.' }),
  })
  .meta({ id: 'CreatedWebhook' })

/** The pace of this process, if known. */
export function paceOf({ paceOf, maxInFlight: atMost }: Control, { id }: Webhook) {
  const pace = paceOf(id)
  return pace ? { requestsAtOnce: pace.limit, atMost, pausedForMs: Math.ceil(pace.pausedForMs) } : undefined
}

/** Settings that the source's tables can't fulfil. */
export async function warned(control: Control, webhook: Webhook): Promise<{ warnings?: Warning[] }> {
  const warnings = await warningsOf(control, webhook)
  return warnings.length > 0 ? { warnings } : {}
}

const isHeld = ({ heldUntil }: Webhook) => heldUntil !== null && heldUntil.getTime() > Date.now()

export const tagged = (webhook: Webhook) => ({ etag: webhookTag(webhook) })

export const shownTo = (role: Role) => (webhook: Webhook) => ({
  ...webhook,
  url: shownUrl(webhook.url, role),
  alertTo:
    webhook.alertTo.length === 0
      ? undefined
      : webhook.alertTo.map(address => (role === 'admin' ? address : maskedAddress(address))),
  managedBy: webhook.managedBy ?? undefined,
  traceparent: webhook.traceparent || undefined,
  filter: webhook.filter as z.input<typeof webhookSchema>['filter'],
  headers: redactedHeaders(webhook.headerNames),
  clientCertificate: webhook.clientCertificate ?? undefined,
  willBeDisabledAt: willBeDisabledAt(webhook, new Date()),
  heldUntil: isHeld(webhook) ? webhook.heldUntil : null,
})

export const shownMissed = ({ count: events, ...missed }: Missed) => ({ events, ...missed })

/** What a webhook missed, after a change that activated it. */
export async function missedBy(control: Control, before: Webhook | null, now: Webhook) {
  const wasOff = before !== null && (!before.isActive || before.disabledReason !== null)
  if (!wasOff || !now.isActive || now.disabledReason !== null) return {}
  const missed = await missedEvents(control, now.id)
  return missed ? { missed: shownMissed(missed) } : {}
}
