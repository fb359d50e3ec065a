import { z } from 'zod'
import { type AlertTrigger, alertTriggers } from '../event/alert.ts'

const time = () => z.string().meta({ format: 'date-time' })

/** The gaps of an alert. */
export const lost = z
  .array(
    z.object({
      reason: z.string(),
      entity_type: z.string().nullable().meta({ description: 'Null: everything.' }),
      table_name: z.string().nullable(),
    }),
  )
  .meta({ description: 'The first 20 gaps.' })

const ofWebhook = {
  webhook_id: z.int(),
  webhook_name: z.string(),
}
const ofCapture = {
  slot: z.string(),
  code: z.string().optional().meta({ description: 'The problem: see the codes of capture.' }),
  mend: z.string().optional().meta({ description: 'The fix.' }),
}
const counted = { count: z.int().meta({ description: 'The number at the time of the alert.' }) }

/** The fields of `result` beyond the common ones. */
const results = {
  'webhook.failing': ofWebhook,
  'webhook.recovered': { ...ofWebhook, ended_at: time() },
  'webhook.disabled': { ...ofWebhook, reason: z.enum(['gone', 'failed_too_long']) },
  'delivery.dead': { ...ofWebhook, ...counted },
  'capture.lost': { ...ofCapture, ...counted, lost },
  'capture.blocked': ofCapture,
  'capture.lagging': ofCapture,
} as const satisfies Record<AlertTrigger, z.ZodRawShape>

export const alertSchemas = Object.fromEntries(
  alertTriggers.map(trigger => [trigger, alertSchema(trigger)]),
) as Readonly<Record<AlertTrigger, z.ZodType>>

/** The same schemas under their OpenAPI names. */
export const namedAlertSchemas = Object.fromEntries(
  alertTriggers.map(trigger => {
    const words = trigger.split('.').map(word => word[0]!.toUpperCase() + word.slice(1))
    return [trigger, alertSchemas[trigger].meta({ id: `${words.join('')}Alert` })]
  }),
)

function alertSchema(trigger: AlertTrigger): z.ZodType {
  const [type = '', action = ''] = trigger.split('.')
  return z.object({
    entity_id: type === 'capture' ? z.string() : z.int(),
    entity_type: z.literal(type),
    action_type: z.literal(action),
    result: z.object({
      version: z
        .literal(1)
        .meta({ description: 'Increases when a field changes its meaning or is removed.' }),
      incident_id: z.int().meta({ description: 'The same for webhook.failing and its webhook.recovered.' }),
      since: time(),
      told_at: time(),
      ...results[trigger],
    }),
  })
}
