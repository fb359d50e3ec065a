import { z } from 'zod'
import {
  cancelBackfill,
  changeBackfill,
  getBackfill,
  listBackfills,
  startBackfill,
} from '../../control/status/backfills.ts'
import {
  type Backfill,
  defaultRowsPerSecond,
  forecast,
  maxRowsPerSecond,
} from '../../domain/capture/backfill.ts'
import { pageMendOf } from '../../domain/capture/page-failures.ts'
import { id, idCursor, limit, page, pageOf, text, time } from '../kit/fields.ts'
import { respond, route } from '../kit/route.ts'

const actions = ['new', 'update'] as const
const rowsPerSecond = () =>
  z
    .int('must be a whole number')
    .min(1, 'must be at least 1')
    .max(maxRowsPerSecond, `must be at most ${maxRowsPerSecond}`)
    .meta({ description: 'Maximum number of rows per second.' })

const newBackfill = z
  .strictObject({
    entity_type: text().min(1, 'must not be empty').meta({ description: 'The entity type, such as `user`.' }),
    webhook_id: z
      .int('must be the id of a webhook')
      .min(1)
      .max(2_147_483_647)
      .nullable()
      .default(null)
      .meta({ description: 'The receiving webhook. Null: every active webhook with the trigger.' }),
    action_type: z.enum(actions, 'must be new or update').optional().meta({
      description: 'The action of the events. Default: from the mapping, usually `new`.',
    }),
    rows_per_second: rowsPerSecond().default(defaultRowsPerSecond),
  })
  .meta({ id: 'NewBackfill' })
const backfillChange = z.strictObject({ rows_per_second: rowsPerSecond() }).meta({ id: 'BackfillChange' })

const backfillSchema = z
  .object({
    id: z.int(),
    entity_type: z.string(),
    webhook_id: z.int().nullable(),
    action_type: z.enum(actions),
    rows_per_second: z.int(),
    state: z.enum(['waiting', 'running', 'done', 'cancelled', 'failed']),
    reason: z.string().nullable().meta({
      description: 'Why the backfill is waiting, was cancelled or failed. Null otherwise.',
    }),
    code: z.string().nullable().meta({
      description: 'The reason for programs: `page.failed`, `page.timed_out`, … Null if nobody needs to act.',
    }),
    mend: z.string().nullable().meta({ description: 'The fix. Null if nobody needs to act.' }),
    rows_done: z.int(),
    rows_estimate: z.int().nullable().meta({
      description: 'The estimated number of rows, from the statistics of Postgres. Null if it has none.',
    }),
    real_rows_per_second: z.number().nullable(),
    done_about: time().nullable().meta({ description: 'The estimated end at the present rate.' }),
    created_at: time(),
    started_at: time().nullable(),
    ended_at: time().nullable(),
  })
  .meta({ id: 'Backfill' })

const tag = 'Backfills'
const params = z.strictObject({ id: id() })
const one = { status: 200, what: 'The backfill', schema: backfillSchema } as const

export const backfillRoutes = [
  route({
    method: 'post',
    path: '/api/backfills',
    id: 'startBackfill',
    tag,
    summary: 'Starts a backfill: sends every existing row',
    description:
      'Each row becomes an event, in order with new changes: a receiver never gets an older state after a newer one. The backfill pauses while more than 10,000 deliveries are pending for one of its webhooks.',
    role: 'operator',
    body: newBackfill,
    response: { ...one, status: 201, headers: ['location'] },
    async handle({ control, caller, body }) {
      const started = await startBackfill(control, caller, body)
      return respond(started, shown, ({ id }) => ({ location: `/api/backfills/${id}` }))
    },
  }),
  route({
    method: 'get',
    path: '/api/backfills',
    id: 'listBackfills',
    tag,
    summary: 'Lists backfills, newest first',
    role: 'viewer',
    query: z.strictObject({ limit: limit(100, 50), cursor: idCursor() }),
    response: { status: 200, what: 'A page of backfills', schema: page(backfillSchema) },
    async handle({ control, query: { limit, cursor } }) {
      const found = await listBackfills(control, { limit, before: cursor === 0 ? null : cursor })
      return { ok: true, value: pageOf(found, shown) }
    },
  }),
  route({
    method: 'get',
    path: '/api/backfills/{id}',
    id: 'getBackfill',
    tag,
    summary: 'Reads the progress of a backfill',
    role: 'viewer',
    params,
    response: one,
    async handle({ control, params }) {
      return respond(await getBackfill(control, params.id), shown)
    },
  }),
  route({
    method: 'patch',
    path: '/api/backfills/{id}',
    id: 'changeBackfill',
    tag,
    summary: 'Changes the rate of a backfill',
    role: 'operator',
    params,
    body: backfillChange,
    response: one,
    async handle({ control, caller, params, body }) {
      return respond(await changeBackfill(control, caller, params.id, body), shown)
    },
  }),
  route({
    method: 'delete',
    path: '/api/backfills/{id}',
    id: 'cancelBackfill',
    tag,
    summary: 'Cancels a backfill',
    description: 'Its pending deliveries stay.',
    role: 'operator',
    params,
    response: one,
    async handle({ control, caller, params }) {
      return respond(await cancelBackfill(control, caller, params.id), shown)
    },
  }),
]

function shown(backfill: Backfill) {
  const { rowsPerSecond, doneAt } = forecast(backfill, Date.now())
  return {
    ...backfill,
    mend: backfill.code && pageMendOf(backfill.code),
    realRowsPerSecond: rowsPerSecond === null ? null : Math.round(rowsPerSecond * 10) / 10,
    doneAbout: doneAt,
  }
}
