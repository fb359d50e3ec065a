import { z } from 'zod'
import { testWebhook } from '../control/test-webhook.ts'
import { listLog } from '../control/webhooks.ts'
import { attemptJson, attemptSchema } from './attempt.ts'
import { bigCursor, limit, page, pageJson, text } from './fields.ts'
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
      return answer(await testWebhook(control, params.id, caller, userId), attemptJson)
    },
  }),
  route({
    method: 'get',
    path: '/api/webhooks/{id}/log',
    id: 'listAttempts',
    tag: 'Test and log',
    summary: 'Lists the last requests, newest first',
    role: 'viewer',
    params: webhookParams,
    query: z.strictObject({ limit: limit(100, 10), cursor: bigCursor() }),
    answer: { status: 200, what: 'A page of attempts', schema: page(attemptSchema) },
    async handle({ control, params, query: { limit, cursor } }) {
      const log = await listLog(control, params.id, { limit, before: cursor ?? null })
      return answer(log, found => pageJson(found, attemptJson))
    },
  }),
]
