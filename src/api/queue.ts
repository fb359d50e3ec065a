import { z } from 'zod'
import { cancelWaiting, type Waiting } from '../control/cancel.ts'
import { type Resend, resendEvent } from '../control/resend.ts'
import { bigId, bigIdInput, text } from './fields.ts'
import { answer, route } from './route.ts'
import { webhookParams } from './webhooks.ts'

const entityId = () => z.union([text().min(1), z.int()], 'must be the id of an entity')

const resendRequest = z.strictObject({ event_id: bigIdInput('an event') }).meta({ id: 'ResendRequest' })
const resendSchema = z
  .object({
    webhook_id: z.int(),
    event_id: bigId(),
    message_id: z.string().meta({ description: 'The header `webhook-id`, the same as ever.' }),
    entity_type: z.string(),
    entity_id: z.string(),
    behind_event_id: bigId().nullable().meta({
      description:
        'The event of the same entity that is on its way or comes first; null where this one is next.',
    }),
    newer_delivered: z.boolean().meta({
      description:
        'The receiver has had a newer state of the entity, or is getting it, and gets this older one after it.',
    }),
  })
  .meta({ id: 'Resend' })

const cancelRequest = z
  .strictObject({
    all: z.literal(true).optional().meta({ description: 'Everything that waits.' }),
    entity_type: text().min(1).optional(),
    entity_id: entityId().optional(),
    event_id: bigIdInput('an event').optional(),
  })
  .refine(
    ({ all, entity_type, entity_id, event_id }) =>
      (entity_type === undefined) === (entity_id === undefined) &&
      [all, entity_type, event_id].filter(value => value !== undefined).length === 1,
    'name one of: all (true), event_id, or entity_type with entity_id',
  )
  .meta({ id: 'CancelRequest' })
const cancelledSchema = z
  .object({
    cancelled: z.int().meta({ description: 'How many deliveries this call cancelled.' }),
    is_complete: z.boolean().meta({
      description:
        'False where there was more than one call may take, or where it could not be told whether something was in flight: call again.',
    }),
  })
  .meta({ id: 'Cancelled' })

const tag = 'Queue'

/** What an admin does to the queue by hand. */
export const queueRoutes = [
  route({
    method: 'post',
    path: '/api/webhooks/{id}/resend',
    id: 'resendEvent',
    tag,
    summary: 'Sends one event once more',
    description:
      'Whatever became of it before, and also where the webhook does not want it: under the same `webhook-id`, at its place in the order of its entity, beginning with the first attempt.',
    role: 'operator',
    params: webhookParams,
    body: resendRequest,
    answer: { status: 202, what: 'It waits in its lane', schema: resendSchema },
    async handle({ control, caller, params, body }) {
      return answer(await resendEvent(control, caller, params.id, body.event_id), resendJson)
    },
  }),
  route({
    method: 'post',
    path: '/api/webhooks/{id}/cancel',
    id: 'cancelWaiting',
    tag,
    summary: 'Cancels what waits',
    description:
      'Of the webhook, of one entity, or one event. What is in flight goes on, and so does what comes later. What was cancelled can be sent again by hand.',
    role: 'operator',
    params: webhookParams,
    body: cancelRequest,
    answer: { status: 200, what: 'How many were cancelled', schema: cancelledSchema },
    async handle({ control, caller, params, body }) {
      const cancelled = await cancelWaiting(control, caller, params.id, waitingOf(body))
      return answer(cancelled, ({ cancelled, isComplete }) => ({ cancelled, is_complete: isComplete }))
    },
  }),
]

function waitingOf(body: z.output<typeof cancelRequest>): Waiting {
  if (body.event_id !== undefined) return { of: 'event', eventId: body.event_id }
  if (body.entity_type === undefined || body.entity_id === undefined) return { of: 'webhook' }
  return { of: 'entity', entity: { entityType: body.entity_type, entityId: String(body.entity_id) } }
}

function resendJson(resend: Resend): z.input<typeof resendSchema> {
  return {
    webhook_id: resend.webhookId,
    event_id: String(resend.eventId),
    message_id: resend.messageId,
    entity_type: resend.entityType,
    entity_id: resend.entityId,
    behind_event_id: resend.behind === null ? null : String(resend.behind),
    newer_delivered: resend.newerDelivered,
  }
}
