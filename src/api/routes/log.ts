import { z } from 'zod'
import { getAttempt, listLog } from '../../control/log/log.ts'
import { readWebhookStats, type WebhookStats } from '../../control/status/webhook-stats.ts'
import { testWebhook } from '../../control/webhooks/test-webhook.ts'
import { outcomes } from '../../domain/delivery/outcome.ts'
import { type Performances, successRate } from '../../domain/shown/traffic.ts'
import { bigCursor, bigIdInput, limit, moment, page, pageOf, someOf, text, time } from '../kit/fields.ts'
import { respond, route } from '../kit/route.ts'
import { attemptSchema, shownTo, triggers } from './attempt.ts'
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

const performanceFields = {
  delivered: z.int(),
  failed: z.int(),
  p50_ms: z
    .number()
    .nullable()
    .meta({ description: 'Half of the responses took at most this long. Null: no response came.' }),
  p95_ms: z.number().nullable().meta({ description: 'The same for 95 % of the responses.' }),
}
const performancesSchema = z
  .object({
    from: time(),
    to: time().meta({ description: 'The end of the current minute.' }),
    ...performanceFields,
    success_rate: z.number().nullable().meta({ description: 'From 0 to 1. Null: no request.' }),
    is_estimated: z.boolean().meta({
      description: 'True above 20,000 requests: all figures are estimated from a sample.',
    }),
    buckets: z.array(z.object({ from: time(), ...performanceFields })),
  })
  .meta({ id: 'Performance' })
const statsSchema = z
  .object({
    pending: z.int().meta({ description: 'Pending deliveries, counted up to 1,000.' }),
    pending_is_exact: z.boolean().meta({ description: 'False: there may be more.' }),
    oldest_pending_at: time()
      .nullable()
      .meta({ description: 'When walhook captured the oldest pending event. Null: none is known.' }),
    oldest_pending_is_exact: z.boolean().meta({
      description: 'False if more is pending than walhook searches: there may be an older one.',
    }),
    last_24_hours: performancesSchema.meta({ description: 'By the hour.' }),
    last_7_days: performancesSchema.meta({ description: 'By six hours.' }),
  })
  .meta({ id: 'WebhookStats' })

/** Test, log and performance of a webhook. */
export const logRoutes = [
  route({
    method: 'post',
    path: '/api/webhooks/{id}/test',
    id: 'testWebhook',
    tag: 'Test and log',
    summary: 'Sends a test now',
    description:
      'Takes the same path as any delivery, even to an inactive webhook, and does not affect its health. Returns 200 with the whole attempt, whatever the receiver did.',
    role: 'operator',
    tenants: 'webhook',
    params: webhookParams,
    body: testRequest,
    whenNoBody: {},
    response: { status: 200, what: 'The attempt', schema: attemptSchema },
    async handle({ control, caller, params, body }) {
      const userId = body.userId === undefined ? null : String(body.userId)
      return respond(await testWebhook(control, params.id, caller, userId), shownTo(caller.role))
    },
  }),
  route({
    method: 'get',
    path: '/api/webhooks/{id}/log',
    id: 'listAttempts',
    tag: 'Test and log',
    summary: 'Lists the last requests, newest first',
    description:
      'Requests that match every filter. A page ends at 2 MB: `next_cursor` says whether more follow. For an entity: the requests of its last 1,000 events.',
    role: 'viewer',
    tenants: 'webhook',
    params: webhookParams,
    query: logQuery,
    response: { status: 200, what: 'A page of attempts', schema: page(attemptSchema) },
    async handle({ control, caller, params, query }) {
      const { limit, cursor, outcome: outcomes, trigger: triggers, entityType, entityId, ...rest } = query
      const entity = entityType === undefined || entityId === undefined ? undefined : { entityType, entityId }
      const filter = { ...rest, outcomes, triggers, entity }
      const log = await listLog(control, params.id, { limit, before: cursor ?? null, filter })
      return respond(log, found => pageOf(found, shownTo(caller.role)))
    },
  }),
  route({
    method: 'get',
    path: '/api/webhooks/{id}/stats',
    id: 'readWebhookStats',
    tag: 'Test and log',
    summary: 'Reads success, response times and backlog of a webhook',
    description:
      'Tests, and requests that walhook itself ended, do not count. Response times are those of requests with a response.',
    role: 'viewer',
    tenants: 'webhook',
    params: webhookParams,
    response: { status: 200, what: 'The figures', schema: statsSchema },
    async handle({ control, params }) {
      return respond(await readWebhookStats(control, params.id, control.nowMs()), shownStats)
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
    response: { status: 200, what: 'The attempt', schema: attemptSchema },
    async handle({ control, caller, params }) {
      return respond(await getAttempt(control, params.id, params.attemptId), shownTo(caller.role))
    },
  }),
]

const shownStats = ({ day, week, pending, oldestPending }: WebhookStats) => ({
  pending: pending.count,
  pendingIsExact: pending.isExact,
  oldestPendingAt: oldestPending.at,
  oldestPendingIsExact: oldestPending.isExact,
  last24Hours: shownPerformances(day),
  last7Days: shownPerformances(week),
})

function shownPerformances(of: Performances) {
  const { fromMs, bucketMs, buckets, share } = of
  const at = (bucket: number) => new Date(fromMs + bucket * bucketMs)
  return {
    ...of,
    from: at(0),
    to: at(buckets.length),
    successRate: successRate(of),
    isEstimated: share < 1,
    buckets: buckets.map((bucket, i) => ({ ...bucket, from: at(i) })),
  }
}
