import { Hono } from 'hono'
import { z } from 'zod'
import type { Caller, Control, LoggedAttempt } from '../control/control.ts'
import { testWebhook } from '../control/test-webhook.ts'
import {
  changeWebhook,
  createWebhook,
  deleteWebhook,
  getWebhook,
  listLog,
  listWebhooks,
} from '../control/webhooks.ts'
import { willBeDisabledAt } from '../domain/health.ts'
import type { Webhook } from '../domain/webhook.ts'
import { read, readJson } from './input.ts'
import { failed } from './problem.ts'

export type ApiEnv = { Variables: { caller: Caller } }

/** Postgres holds any text but one with NUL, and UTF-8 can't write half a surrogate pair. */
const text = () =>
  z
    .string()
    .refine(value => value.isWellFormed() && !value.includes('\0'), 'must not hold NUL or half a character')

const fields = {
  name: text().trim().min(1, 'must not be empty').max(200, 'must be at most 200 characters'),
  url: text().trim().min(1, 'must not be empty').max(2048, 'must be at most 2048 characters'),
  is_active: z.boolean(),
  triggers: z.array(z.string()).min(1, 'must hold at least one trigger').max(100, 'must hold at most 100'),
}
const newWebhook = z.strictObject({ ...fields, is_active: fields.is_active.default(true) })
const webhookChange = z.strictObject(fields).partial()
const testRequest = z.strictObject({
  user_id: z.union([text().min(1).max(200), z.int()], 'must be the id of a user account').optional(),
})

const maxId = 2_147_483_647
/** Digits only: `Number` reads `0x1` and an empty text too, and a webhook would answer to names it does not have. */
const number = (least: number, most: number, what: string) =>
  z
    .string()
    .regex(/^\d{1,16}$/, what)
    .transform(Number)
    .pipe(z.int().min(least).max(most))
const idParam = z.strictObject({ id: number(1, maxId, 'must be a number') })
const limit = (most: number, usual: number) => number(1, most, 'must be a whole number').default(usual)
const listQuery = z.strictObject({
  limit: limit(100, 50),
  cursor: number(0, maxId, 'must be a cursor that a list gave').default(0),
})
const logQuery = z.strictObject({
  limit: limit(100, 10),
  cursor: z
    .string()
    .refine(
      value => /^\d{1,19}$/.test(value) && BigInt(value) < 2n ** 63n,
      'must be a cursor that the log gave',
    )
    .optional(),
})

/** `/api/webhooks`: each route is one operation of `control/`. */
export function webhookRoutes(control: Control): Hono<ApiEnv> {
  return new Hono<ApiEnv>()
    .post('/', async c => {
      const input = await readJson(c, newWebhook)
      if (!input.ok) return input.response
      const { is_active, ...rest } = input.value
      const created = await createWebhook(control, { ...rest, isActive: is_active })
      if (!created.ok) return failed(c, created)
      const { webhook, secret } = created.value
      return c.json({ ...webhookJson(webhook), secret }, 201, { location: `/api/webhooks/${webhook.id}` })
    })
    .get('/', async c => {
      const query = read(c, listQuery, c.req.query())
      if (!query.ok) return query.response
      const page = await listWebhooks(control, { limit: query.value.limit, after: query.value.cursor })
      return c.json({
        data: page.items.map(webhookJson),
        next_cursor: page.next === null ? null : String(page.next),
      })
    })
    .get('/:id', async c => {
      const param = read(c, idParam, c.req.param())
      if (!param.ok) return param.response
      const found = await getWebhook(control, param.value.id)
      return found.ok ? c.json(webhookJson(found.value)) : failed(c, found)
    })
    .patch('/:id', async c => {
      const param = read(c, idParam, c.req.param())
      if (!param.ok) return param.response
      const input = await readJson(c, webhookChange)
      if (!input.ok) return input.response
      const { is_active, ...rest } = input.value
      const changed = await changeWebhook(control, param.value.id, { ...rest, isActive: is_active })
      return changed.ok ? c.json(webhookJson(changed.value)) : failed(c, changed)
    })
    .delete('/:id', async c => {
      const param = read(c, idParam, c.req.param())
      if (!param.ok) return param.response
      const deleted = await deleteWebhook(control, param.value.id)
      return deleted.ok ? c.body(null, 204) : failed(c, deleted)
    })
    .post('/:id/test', async c => {
      const param = read(c, idParam, c.req.param())
      if (!param.ok) return param.response
      const input = await readJson(c, testRequest, {})
      if (!input.ok) return input.response
      const userId = input.value.user_id === undefined ? null : String(input.value.user_id)
      const tested = await testWebhook(control, param.value.id, c.get('caller'), userId)
      return tested.ok ? c.json(attemptJson(tested.value)) : failed(c, tested)
    })
    .get('/:id/log', async c => {
      const param = read(c, idParam, c.req.param())
      if (!param.ok) return param.response
      const query = read(c, logQuery, c.req.query())
      if (!query.ok) return query.response
      const { cursor } = query.value
      const page = { limit: query.value.limit, before: cursor === undefined ? null : BigInt(cursor) }
      const log = await listLog(control, param.value.id, page)
      if (!log.ok) return failed(c, log)
      return c.json({
        data: log.value.items.map(attemptJson),
        next_cursor: log.value.next === null ? null : String(log.value.next),
      })
    })
}

function webhookJson(webhook: Webhook) {
  return {
    id: webhook.id,
    name: webhook.name,
    url: webhook.url,
    is_active: webhook.isActive,
    triggers: webhook.triggers,
    disabled_at: webhook.disabledAt?.toISOString() ?? null,
    disabled_reason: webhook.disabledReason,
    failing_since: webhook.failingSince?.toISOString() ?? null,
    will_be_disabled_at: willBeDisabledAt(webhook)?.toISOString() ?? null,
    held_until: webhook.heldUntil?.toISOString() ?? null,
    created_at: webhook.createdAt.toISOString(),
    updated_at: webhook.updatedAt.toISOString(),
  }
}

function attemptJson(attempt: LoggedAttempt) {
  return {
    id: String(attempt.id),
    webhook_id: attempt.webhookId,
    trigger: attempt.trigger,
    event_id: attempt.eventId === null ? null : String(attempt.eventId),
    message_id: attempt.messageId,
    entity_type: attempt.entityType,
    entity_id: attempt.entityId,
    action_type: attempt.actionType,
    number: attempt.number,
    outcome: attempt.outcome,
    error: attempt.errorClass === null ? null : { class: attempt.errorClass, message: attempt.errorMessage },
    started_at: attempt.startedAt.toISOString(),
    duration_ms: attempt.durationMs,
    phases: attempt.phases,
    remote_address: attempt.remoteAddress,
    next_attempt_at: attempt.nextAttemptAt?.toISOString() ?? null,
    request: { method: 'POST', ...attempt.request },
    response: attempt.response,
  }
}
