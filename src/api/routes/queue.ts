import { z } from 'zod'
import { cancelWaiting, type Waiting } from '../../control/log/cancel.ts'
import {
  type ReplayCursor,
  type ReplayInput,
  type ReplayResult,
  replayEvents,
} from '../../control/log/replay.ts'
import { resendEvent } from '../../control/log/resend.ts'
import { bigId, bigIdInput, moment, text } from '../kit/fields.ts'
import type { Read } from '../kit/names.ts'
import { respond, route } from '../kit/route.ts'
import { webhookParams } from './webhooks.ts'

const entityId = () => z.union([text().min(1), z.int()], 'must be the id of an entity')

const beyond = () =>
  z.boolean().optional().meta({
    description:
      'Includes events outside the webhook’s triggers or filter. Admins only; the audit records it.',
  })

const resendRequest = z
  .strictObject({ event_id: bigIdInput('an event'), beyond_triggers: beyond() })
  .meta({ id: 'ResendRequest' })
const resendSchema = z
  .object({
    webhook_id: z.int(),
    event_id: bigId(),
    message_id: z.string().meta({ description: 'The header `webhook-id`, unchanged.' }),
    entity_type: z.string(),
    entity_id: z.string(),
    behind_event_id: bigId().nullable().meta({
      description: 'The event of the same entity that is sent first. Null: this one is next.',
    }),
    newer_delivered: z.boolean().meta({
      description: 'Whether the receiver gets this older state after a newer one.',
    }),
  })
  .meta({ id: 'Resend' })

const cancelRequest = z
  .strictObject({
    all: z.literal(true).optional().meta({ description: 'All pending deliveries.' }),
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
    cancelled: z.int().meta({ description: 'Number of deliveries that this call cancelled.' }),
    is_complete: z.boolean().meta({
      description: 'False if more may remain: call again.',
    }),
  })
  .meta({ id: 'Cancelled' })

const cursor = () =>
  text()
    .transform(readCursor)
    .refine(value => value !== null, 'must be the next_cursor of the previous call')
    .meta({ asJson: { type: 'string', description: '`next_cursor` of the previous call.' } })
    .optional()
const from = () => moment().meta({ description: 'At or after this time.' })
const to = () => moment().meta({ description: 'Before this time. Default: now.' })

const replayRequest = z
  .strictObject({
    from: from().optional(),
    to: to().optional(),
    triggers: z
      .array(text())
      .min(1, 'must hold at least one trigger')
      .max(100, 'must hold at most 100')
      .optional()
      .meta({
        description: 'Only these triggers, such as `user.new`. Default: those of the webhook.',
      }),
    event_ids: z
      .array(bigIdInput('an event'))
      .min(1, 'must hold at least one')
      .max(1_000, 'must hold at most 1000')
      .optional(),
    beyond_triggers: beyond(),
    cursor: cursor(),
  })
  .refine(
    ({ from, to, triggers, event_ids }) =>
      event_ids === undefined ? from !== undefined : [from, to, triggers].every(value => value === undefined),
    'name from (optionally with to and triggers), or event_ids',
  )
  .meta({ id: 'ReplayRequest' })
const resendFailedRequest = z
  .strictObject({ from: from(), to: to().optional(), beyond_triggers: beyond(), cursor: cursor() })
  .meta({ id: 'ResendFailedRequest' })
const replaySchema = z
  .object({
    queued: z.int().meta({ description: 'Number of deliveries that this call queued.' }),
    next_cursor: z.string().nullable().meta({
      description: 'Not null if more remains: call again with the same fields and this as `cursor`.',
    }),
  })
  .meta({ id: 'Replay' })

const tag = 'Queue'

/** Operations on the queue by hand. */
export const queueRoutes = [
  route({
    method: 'post',
    path: '/api/webhooks/{id}/resend',
    id: 'resendEvent',
    tag,
    summary: 'Resends an event',
    description: 'Keeps the `webhook-id` and the order of its entity. Its attempts start from 1 again.',
    role: 'operator',
    tenants: 'webhook',
    params: webhookParams,
    body: resendRequest,
    response: { status: 202, what: 'Queued', schema: resendSchema },
    async handle({ control, caller, params, body }) {
      return respond(
        await resendEvent(control, caller, params.id, body.eventId, body),
        ({ behind, ...resend }) => ({ ...resend, behindEventId: behind }),
      )
    },
  }),
  route({
    method: 'post',
    path: '/api/webhooks/{id}/resend-failed',
    id: 'resendFailed',
    tag,
    summary: 'Resends the undelivered failed events of a time range',
    description: 'Queues dead letters, and sends retrying events at once.',
    role: 'operator',
    tenants: 'webhook',
    params: webhookParams,
    body: resendFailedRequest,
    response: { status: 202, what: 'Queued', schema: replaySchema },
    async handle({ control, caller, params, body }) {
      const input = { of: 'failed', from: body.from, to: body.to ?? null } as const
      return respond(await replayEvents(control, caller, params.id, input, body.cursor ?? null, body), shown)
    },
  }),
  route({
    method: 'post',
    path: '/api/webhooks/{id}/replay',
    id: 'replayEvents',
    tag,
    summary: 'Replays the events of a time range or a list',
    description:
      'Includes events that are older than the webhook or that its `update_fields` exclude, and skips events outside its triggers or its filter. Each entity’s events stay in order, before its newer pending ones. Pending events stay as they are. A range that ends in the past leaves the receiver with the states of that time.',
    role: 'operator',
    tenants: 'webhook',
    params: webhookParams,
    body: replayRequest,
    response: { status: 202, what: 'Queued', schema: replaySchema },
    async handle({ control, caller, params, body }) {
      const input = replayInput(body)
      return respond(await replayEvents(control, caller, params.id, input, body.cursor ?? null, body), shown)
    },
  }),
  route({
    method: 'post',
    path: '/api/webhooks/{id}/cancel',
    id: 'cancelWaiting',
    tag,
    summary: 'Cancels pending deliveries',
    description:
      'Of the webhook, of one entity, or of one event. Deliveries in flight and later events are unaffected. Cancelled events can be resent.',
    role: 'operator',
    tenants: 'webhook',
    params: webhookParams,
    body: cancelRequest,
    response: { status: 200, what: 'The number of cancelled deliveries', schema: cancelledSchema },
    async handle({ control, caller, params, body }) {
      const cancelled = await cancelWaiting(control, caller, params.id, waitingOf(body))
      return respond(cancelled, cancelled => cancelled)
    },
  }),
]

function waitingOf({ eventId, entityType, entityId }: Read<z.output<typeof cancelRequest>>): Waiting {
  if (eventId !== undefined) return { of: 'event', eventId }
  if (entityType === undefined || entityId === undefined) return { of: 'webhook' }
  return { of: 'entity', entity: { entityType, entityId: String(entityId) } }
}

function replayInput({ from, to, triggers, eventIds }: Read<z.output<typeof replayRequest>>): ReplayInput {
  if (eventIds !== undefined) return { of: 'ids', ids: eventIds }
  return { of: 'range', from: from!, to: to ?? null, triggers: triggers ?? null }
}

const shown = ({ queued, next }: ReplayResult) => ({ queued, nextCursor: next && writeCursor(next) })

function writeCursor({ toMs, after }: ReplayCursor): string {
  return Buffer.from(JSON.stringify([toMs, after.entityType, after.entityId])).toString('base64url')
}

const cursorContent = z.tuple([
  z
    .int()
    .min(0)
    .max(2 ** 43 - 1),
  text(),
  text(),
])

function readCursor(written: string): ReplayCursor | null {
  try {
    const [toMs, entityType, entityId] = cursorContent.parse(
      JSON.parse(Buffer.from(written, 'base64url').toString()),
    )
    return { toMs, after: { entityType, entityId } }
  } catch {
    return null
  }
}
