import { z } from 'zod'
import { type Incident, listAlerts } from '../../control/status/alerts.ts'
import { alertTriggers } from '../../domain/event/alert.ts'
import { idCursor, limit, page, pageJson, time } from '../kit/fields.ts'
import { route } from '../kit/route.ts'

const lost = z
  .array(
    z.object({
      reason: z.string(),
      entity_type: z.string().nullable().meta({ description: 'Null: everything.' }),
      table_name: z.string().nullable(),
    }),
  )
  .meta({ description: 'The first 20 gaps.' })

const incidentSchema = z
  .object({
    id: z.int(),
    kind: z.enum(alertTriggers.filter(trigger => trigger !== 'webhook.recovered')),
    webhook_id: z.int().nullable().meta({ description: 'The webhook that it is about. Null: capture.' }),
    slot: z.string().nullable().meta({ description: 'The slot that it is about. Null: a webhook.' }),
    since: time(),
    last_at: time().meta({ description: 'When it last happened.' }),
    count: z.int().meta({ description: 'How many deliveries are dead, or how many gaps there are; else 1.' }),
    reason: z.enum(['gone', 'failed_too_long']).optional(),
    code: z.string().optional(),
    lost: lost.optional(),
    ended_at: time().nullable().meta({ description: 'Null: it goes on.' }),
  })
  .meta({ id: 'Incident' })

export const alertRoutes = [
  route({
    method: 'get',
    path: '/api/alerts',
    id: 'listAlerts',
    tag: 'Status',
    summary: 'Lists the incidents that alerts are about, newest first',
    description: 'Whether anybody gets an alert about them or not. What has ended is kept for 90 days.',
    role: 'viewer',
    query: z.strictObject({
      limit: limit(100, 50),
      cursor: idCursor().optional(),
      open: z.enum(['true', 'false']).optional().meta({ description: 'true: only what goes on.' }),
    }),
    answer: { status: 200, what: 'A page of incidents', schema: page(incidentSchema) },
    async handle({ control, query: { limit, cursor, open } }) {
      const found = await listAlerts(control, { limit, before: cursor || null, isOpen: open === 'true' })
      return { ok: true, value: pageJson(found, incidentJson) }
    },
  }),
]

function incidentJson(incident: Incident): z.input<typeof incidentSchema> {
  const { id, kind, webhookId, subject, count, facts } = incident
  return {
    id,
    kind,
    webhook_id: webhookId,
    slot: webhookId === null ? subject : null,
    since: incident.openedAt.toISOString(),
    last_at: incident.lastAt.toISOString(),
    count,
    ...(facts.reason && { reason: facts.reason }),
    ...(facts.code && { code: facts.code }),
    ...(facts.lost && { lost: [...facts.lost] }),
    ended_at: incident.endedAt?.toISOString() ?? null,
  }
}

const ofWebhook = {
  webhook_id: z.int(),
  webhook_name: z.string(),
}
const ofCapture = {
  slot: z.string(),
  code: z.string().optional().meta({ description: 'What is wrong: see the codes of capture.' }),
  mend: z.string().optional().meta({ description: 'What a person can do.' }),
}
const counted = { count: z.int().meta({ description: 'How many when it was told.' }) }

/** What `result` holds besides what every alert has. */
const results = {
  'webhook.failing': ofWebhook,
  'webhook.recovered': { ...ofWebhook, ended_at: time() },
  'webhook.disabled': { ...ofWebhook, reason: z.enum(['gone', 'failed_too_long']) },
  'delivery.dead': { ...ofWebhook, ...counted },
  'capture.lost': { ...ofCapture, ...counted, lost },
  'capture.blocked': ofCapture,
  'capture.lagging': ofCapture,
} as const satisfies Record<(typeof alertTriggers)[number], z.ZodRawShape>

/** The bodies of alerts, as receivers get them. */
export const alertBodies = alertTriggers.map(trigger => {
  const [type = '', action = ''] = trigger.split('.')
  const name = `${type[0]!.toUpperCase()}${type.slice(1)}${action[0]!.toUpperCase()}${action.slice(1)}Alert`
  const schema = z
    .object({
      entity_id: type === 'capture' ? z.string() : z.int(),
      entity_type: z.literal(type),
      action_type: z.literal(action),
      result: z.object({
        version: z.literal(1).meta({ description: 'Rises where a field changes its meaning or goes.' }),
        incident_id: z.int().meta({ description: 'The same for webhook.failing and its webhook.recovered.' }),
        since: time(),
        told_at: time(),
        ...results[trigger],
      }),
    })
    .meta({ id: name })
  return { trigger, schema }
})
