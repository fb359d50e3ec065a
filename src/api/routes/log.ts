import { z } from 'zod'
import { getAttempt, listLog } from '../../control/log/log.ts'
import { testWebhook } from '../../control/webhooks/test-webhook.ts'
import { outcomes } from '../../domain/delivery/outcome.ts'
import { bigCursor, bigIdInput, limit, moment, page, pageJson, someOf, text } from '../kit/fields.ts'
import { answer, route } from '../kit/route.ts'
import { attemptJson, attemptSchema, triggers } from './attempt.ts'
import { webhookParams } from './webhooks.ts'

const testRequest = z
  .strictObject({
    user_id: z
      .union([text().min(1).max(200), z.int()], 'must be the id of a user account')
      .optional()
      .meta({ description: "The user account whose data is sent. Default: the caller's own." }),
  })
  .meta({ id: 'TestRequest' })

const logQuery = z
  .strictObject({
    limit: limit(100, 10),
    cursor: bigCursor(),
    outcome: someOf(outcomes).optional(),
    trigger: someOf(triggers).optional(),
    event_id: bigIdInput('an event').optional(),
    entity_type: text().min(1).optional(),
    entity_id: text().min(1).optional(),
    from: moment().optional().meta({ description: 'Started at or after this time.' }),
    to: moment().optional().meta({ description: 'Started before this time.' }),
  })
  .refine(
    query => (query.entity_type === undefined) === (query.entity_id === undefined),
    'name entity_type and entity_id together, or neither',
  )

/** What shows whether a webhook works: the test and the log. */
export const logRoutes = [
  route({
    method: 'post',
    path: '/api/webhooks/{id}/test',
    id: 'testWebhook',
    tag: 'Test and log',
    summary: 'Sends a test now',
    description:
      'Takes the same path as any delivery, also to an inactive webhook, and does not affect its health. Answers 200 with the whole attempt, whatever the receiver did.',
    role: 'operator',
    tenants: 'webhook',
    params: webhookParams,
    body: testRequest,
    whenNoBody: {},
    answer: { status: 200, what: 'The attempt', schema: attemptSchema },
    async handle({ control, caller, params, body }) {
      const userId = body.user_id === undefined ? null : String(body.user_id)
      return answer(await testWebhook(control, params.id, caller, userId), attemptJson(caller.role))
    },
  }),
  route({
    method: 'get',
    path: '/api/webhooks/{id}/log',
    id: 'listAttempts',
    tag: 'Test and log',
    summary: 'Lists the last requests, newest first',
    description:
      'Requests that match every filter. A page above 2 MB is cut short: `next_cursor` says whether more follow. For an entity: the requests about its last 1,000 events.',
    role: 'viewer',
    tenants: 'webhook',
    params: webhookParams,
    query: logQuery,
    answer: { status: 200, what: 'A page of attempts', schema: page(attemptSchema) },
    async handle({ control, caller, params, query }) {
      const { limit, cursor, outcome, trigger, event_id, entity_type, entity_id, from, to } = query
      const filter = {
        ...(outcome && { outcomes: outcome }),
        ...(trigger && { triggers: trigger }),
        ...(event_id !== undefined && { eventId: event_id }),
        ...(entity_type !== undefined &&
          entity_id !== undefined && { entity: { entityType: entity_type, entityId: entity_id } }),
        ...(from && { from }),
        ...(to && { to }),
      }
      const log = await listLog(control, params.id, { limit, before: cursor ?? null, filter })
      return answer(log, found => pageJson(found, attemptJson(caller.role)))
    },
  }),
  route({
    method: 'get',
    path: '/api/webhooks/{id}/log/{attempt_id}',
    id: 'getAttempt',
    tag: 'Test and log',
    summary: 'Reads one request',
    role: 'viewer',
    tenants: 'webhook',
    params: z.strictObject({ ...webhookParams.shape, attempt_id: bigIdInput('an attempt') }),
    answer: { status: 200, what: 'The attempt', schema: attemptSchema },
    async handle({ control, caller, params }) {
      return answer(await getAttempt(control, params.id, params.attempt_id), attemptJson(caller.role))
    },
  }),
]
