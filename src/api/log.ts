import { z } from 'zod'
import { getAttempt, listLog } from '../control/log.ts'
import { testWebhook } from '../control/test-webhook.ts'
import { attemptJson, attemptSchema, outcomes, triggers } from './attempt.ts'
import { bigCursor, bigIdInput, limit, moment, page, pageJson, someOf, text } from './fields.ts'
import { answer, route } from './route.ts'
import { webhookParams } from './webhooks.ts'

const testRequest = z
  .strictObject({
    user_id: z
      .union([text().min(1).max(200), z.int()], 'must be the id of a user account')
      .optional()
      .meta({ description: "Whose data is sent; the caller's own account where it is absent." }),
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
    from: moment().optional().meta({ description: 'Begun at this moment or later.' }),
    to: moment().optional().meta({ description: 'Begun before this moment.' }),
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
      'By the same path as any delivery, also to a webhook that is not active; it counts for nothing. Answers 200 with the whole attempt, whatever the receiver did.',
    role: 'operator',
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
      'Those that fit every filter that is given; fewer than `limit` where they would have more than 2 MB together: `next_cursor` says whether there are more. Of an entity, the requests about its last 1,000 events.',
    role: 'viewer',
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
    params: z.strictObject({ ...webhookParams.shape, attempt_id: bigIdInput('an attempt') }),
    answer: { status: 200, what: 'The attempt', schema: attemptSchema },
    async handle({ control, caller, params }) {
      return answer(await getAttempt(control, params.id, params.attempt_id), attemptJson(caller.role))
    },
  }),
]
