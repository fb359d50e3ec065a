import { askedType } from '../../domain/event/alert.ts'
import { because } from '../../domain/shown/reason.ts'
import type { TimeId } from '../../domain/value/time-id.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import {
  type AttemptLine,
  listAttemptLines,
  readEventAttempts,
  stillWaiting,
} from '../../outbox/reading/attempt-lines.ts'
import { findAttempt, type LoggedAttempt, type LogPage, listAttempts } from '../../outbox/reading/attempts.ts'
import type { LogFilter } from '../../outbox/reading/attempts-about.ts'
import { findWebhook } from '../../outbox/records/webhooks.ts'
import type { Control } from '../kit/control.ts'
import type { Page } from '../kit/page.ts'
import { invalid, notFound, type Result, wrongField } from '../kit/result.ts'
import { labelsOfLines } from './labels.ts'

export type { AttemptLine, LogFilter }

type Wanted = {
  readonly limit: number
  readonly before: TimeId | null
  readonly filter?: LogFilter
}

/** The maximum size of a page of requests: all of it is in memory. */
const maxPageBytes = 2_000_000

/**
 * A webhook's matching requests, newest first, at most `limit` and 2 MB, before the attempt `before`; of an entity, those of
 * its last 1,000 events.
 */
export async function listLog(
  control: Control,
  webhookId: number,
  page: Wanted,
): Promise<Result<Page<LoggedAttempt, TimeId>>> {
  return await pageOfLog(control, webhookId, page, (outbox, page) => listAttempts(outbox, page, maxPageBytes))
}

/** `isNext`: the announced retry is still to come, without another request in between. `label`: the entity's. */
export type LogLine = AttemptLine & { readonly isNext: boolean; readonly label: string | null }

/** The same as lines, without bodies, which may be a megabyte each. */
export async function listLogLines(
  control: Control,
  webhookId: number,
  page: Wanted,
): Promise<Result<Page<LogLine, TimeId>>> {
  const found = await pageOfLog(control, webhookId, page, async (outbox, page) => ({
    items: await listAttemptLines(outbox, page),
    isCut: false,
  }))
  if (!found.ok) return found
  const { items, next } = found.value
  const announcing = items.filter(({ nextAttemptAt }) => nextAttemptAt !== null)
  const waiting = await stillWaiting(control.outbox, webhookId, announcing)
  const labelOf = await labelsOfLines(control, items)
  const lines = items.map(line => ({ ...line, isNext: waiting.has(line.id), label: labelOf(line) }))
  return { ok: true, value: { items: lines, next } }
}

/** Whether the announced retry of an attempt is still to come. */
export async function isStillNext({ outbox }: Control, attempt: LoggedAttempt): Promise<boolean> {
  return (await stillWaiting(outbox, attempt.webhookId, [attempt])).has(attempt.id)
}

async function pageOfLog<Item extends { id: TimeId }>(
  { outbox, entityTypes }: Control,
  webhookId: number,
  page: Wanted,
  list: (outbox: Outbox, page: LogPage) => Promise<{ items: Item[]; isCut: boolean }>,
): Promise<Result<Page<Item, TimeId>>> {
  const { from, to, entity: shown } = page.filter ?? {}
  if (from && to && from >= to) return invalid(wrongField('/to', because('range.order')))
  if (!(await findWebhook(outbox, webhookId))) return notFound('webhook', webhookId)
  const entity = shown && { ...shown, entityType: askedType(shown.entityType, entityTypes) }
  const found = await list(outbox, {
    ...page,
    filter: { ...page.filter, entity },
    webhookId,
    limit: page.limit + 1,
  })
  const items = found.items.slice(0, page.limit)
  const hasMore = found.isCut || found.items.length > page.limit
  return { ok: true, value: { items, next: hasMore ? items.at(-1)!.id : null } }
}

/** The newest hundred requests of an event to a webhook, oldest first. */
export async function attemptsOfEvent(
  { outbox }: Control,
  eventId: TimeId,
  webhookId: number,
): Promise<AttemptLine[]> {
  return (await readEventAttempts(outbox, eventId, webhookId)).get(webhookId) ?? []
}

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
