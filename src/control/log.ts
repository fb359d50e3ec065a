import type { TimeId } from '../domain/time-id.ts'
import { findAttempt, type LoggedAttempt, listAttempts } from '../outbox/attempts.ts'
import type { LogFilter } from '../outbox/attempts-about.ts'
import { findWebhook } from '../outbox/webhooks.ts'
import type { Control } from './control.ts'
import { invalid, notFound, type Result } from './result.ts'
import type { Page } from './webhooks.ts'

export type { LogFilter }

/**
 * A webhook's requests, newest first, at most `limit`, those that fit the filter, and those before the attempt `before`
 * where one is given. Of an entity, those about its last 1,000 events.
 */
export async function listLog(
  control: Control,
  webhookId: number,
  page: { limit: number; before: TimeId | null; filter?: LogFilter },
): Promise<Result<Page<LoggedAttempt, TimeId>>> {
  const { from, to } = page.filter ?? {}
  if (from && to && from >= to) return invalid({ pointer: '/to', detail: 'to: must be later than from' })
  if (!(await findWebhook(control.outbox, webhookId))) return notFound('webhook', webhookId)
  const found = await listAttempts(control.outbox, { ...page, webhookId, limit: page.limit + 1 })
  const items = found.slice(0, page.limit)
  return { ok: true, value: { items, next: found.length > page.limit ? items.at(-1)!.id : null } }
}

/** One request of a webhook. */
export async function getAttempt(
  control: Control,
  webhookId: number,
  id: TimeId,
): Promise<Result<LoggedAttempt>> {
  const found = await findAttempt(control.outbox, webhookId, id)
  return found
    ? { ok: true, value: found }
    : notFound(`attempt of webhook ${webhookId} with the id`, String(id))
}
