import { z } from 'zod'
import type { Caller } from '../../control/kit/control.ts'
import {
  cancelReplay,
  getReplay,
  listReplays,
  missedEvents,
  type RangeInput,
  type ReplayJob,
  replayActor,
  replayProblem,
  startReplay,
} from '../../control/log/replays.ts'
import { notReached } from '../../domain/event/replay-job.ts'
import { timeOf } from '../../domain/value/time-id.ts'
import { id, idCursor, limit, moment, page, pageOf, text, time } from '../kit/fields.ts'
import { respond, route } from '../kit/route.ts'
import { missedSchema, shownMissed } from '../routes/webhook-response.ts'
import { webhookParams } from '../routes/webhooks.ts'

const newReplay = z
  .strictObject({
    from: moment().optional().meta({ description: 'At or after this time.' }),
    to: moment().optional().meta({ description: 'Before this time. Default: now.' }),
    triggers: z
      .array(text())
      .min(1, 'must hold at least one trigger')
      .max(100, 'must hold at most 100')
      .optional()
      .meta({ description: 'Only these triggers, such as `user.new`. Default: those of the webhook.' }),
    missed: z.literal(true).optional().meta({
      description: 'The events that the webhook missed while it was last inactive or disabled.',
    }),
  })
  .refine(
    ({ from, to, triggers, missed }) =>
      missed === undefined ? from !== undefined : [from, to, triggers].every(value => value === undefined),
    'name from (optionally with to and triggers), or missed',
  )
  .meta({ id: 'NewReplay' })

const replaySchema = z
  .object({
    id: z.int(),
    webhook_id: z.int(),
    from: time(),
    to: time(),
    triggers: z.array(z.string()).nullable().meta({ description: 'Null: those of the webhook.' }),
    missed: z
      .boolean()
      .meta({ description: 'Whether it sends the events that the webhook missed while it was inactive.' }),
    state: z.enum(['running', 'done', 'cancelled', 'failed']).meta({
      description: '`done`: all events are queued. `failed`: the webhook became inactive meanwhile.',
    }),
    counted: z.int().meta({ description: 'The number of events at its start.' }),
    is_exact: z.boolean().meta({ description: 'Whether all were counted. False: `counted` is an estimate.' }),
    looked_at: z.int().meta({ description: 'The number of events it has processed.' }),
    queued: z
      .int()
      .meta({ description: 'The number of deliveries it has queued. Other events were already pending.' }),
    not_reached: z.int().nullable().meta({
      description:
        'If it was stopped or failed: the number of events it did not reach. Null: none, or unknown.',
    }),
    problem: z.string().nullable().meta({
      description: 'Why it is not progressing. walhook retries by itself.',
    }),
    started_by: z.string(),
    created_at: time(),
    ended_at: time().nullable(),
  })
  .meta({ id: 'ReplayJob' })

const missedResponse = z.object({ missed: missedSchema.nullable() }).meta({ id: 'MissedAnswer' })

const tag = 'Queue'
const params = z.strictObject({ id: id(), replay_id: id() })

export const replayRoutes = [
  route({
    method: 'get',
    path: '/api/webhooks/{id}/missed',
    id: 'readMissed',
    tag,
    summary: 'Counts the events that a webhook missed while it was last inactive',
    description: '`missed` is null if no inactive time of the webhook is known.',
    role: 'viewer',
    tenants: 'webhook',
    params: webhookParams,
    response: { status: 200, what: 'The count', schema: missedResponse },
    async handle({ control, params }) {
      const missed = await missedEvents(control, params.id)
      return { ok: true, value: { missed: missed && shownMissed(missed) } }
    },
  }),
  route({
    method: 'post',
    path: '/api/webhooks/{id}/replays',
    id: 'startReplay',
    tag,
    summary: 'Starts a replay in the background',
    description:
      'Queues the events of a time range, or those that the webhook missed, page by page. It survives a crash and can be stopped. Otherwise like `POST /api/webhooks/{id}/replay`.',
    role: 'operator',
    tenants: 'webhook',
    params: webhookParams,
    body: newReplay,
    response: { status: 201, what: 'The replay', schema: replaySchema, headers: ['location'] },
    async handle({ control, caller, params, body }) {
      const started = await startReplay(control, caller, params.id, inputOf(body))
      return respond(started, shown(caller), job => ({
        location: `/api/webhooks/${params.id}/replays/${job.id}`,
      }))
    },
  }),
  route({
    method: 'get',
    path: '/api/webhooks/{id}/replays',
    id: 'listReplays',
    tag,
    summary: 'Lists the replays of a webhook, newest first',
    description: 'The last 100 of each webhook are kept.',
    role: 'viewer',
    tenants: 'webhook',
    params: webhookParams,
    query: z.strictObject({ limit: limit(100, 50), cursor: idCursor() }),
    response: { status: 200, what: 'A page of replays', schema: page(replaySchema) },
    async handle({ control, caller, params, query: { limit, cursor } }) {
      const found = await listReplays(control, params.id, { limit, before: cursor === 0 ? null : cursor })
      return { ok: true, value: pageOf(found, shown(caller)) }
    },
  }),
  route({
    method: 'get',
    path: '/api/webhooks/{id}/replays/{replay_id}',
    id: 'getReplay',
    tag,
    summary: 'Reads the progress of a replay',
    role: 'viewer',
    tenants: 'webhook',
    params,
    response: { status: 200, what: 'The replay', schema: replaySchema },
    async handle({ control, caller, params }) {
      return respond(await getReplay(control, params.id, params.replayId), shown(caller))
    },
  }),
  route({
    method: 'delete',
    path: '/api/webhooks/{id}/replays/{replay_id}',
    id: 'cancelReplay',
    tag,
    summary: 'Stops a replay',
    description: 'Deliveries that it queued stay queued: `POST /api/webhooks/{id}/cancel` cancels them.',
    role: 'operator',
    tenants: 'webhook',
    params,
    response: { status: 200, what: 'The replay', schema: replaySchema },
    async handle({ control, caller, params }) {
      return respond(await cancelReplay(control, caller, params.id, params.replayId), shown(caller))
    },
  }),
]

function inputOf({ from, to, triggers }: z.output<typeof newReplay>): RangeInput {
  return from ? { of: 'range', from, to: to ?? null, triggers: triggers ?? null } : { of: 'missed' }
}

const shown = (caller: Caller) => (job: ReplayJob) => ({
  ...job,
  from: new Date(timeOf(job.fromId)),
  to: new Date(timeOf(job.toId)),
  missed: job.fromVersion !== null,
  notReached: notReached(job),
  problem: replayProblem(caller, job),
  startedBy: replayActor(caller, job) ?? 'administrator',
})
