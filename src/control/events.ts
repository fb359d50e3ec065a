import { type Explanation, explain } from '../domain/explain.ts'
import type { TimeId } from '../domain/time-id.ts'
import { type AttemptLine, readEventAttempts } from '../outbox/attempt-lines.ts'
import * as events from '../outbox/events.ts'
import { readExplainFacts } from '../outbox/explain.ts'
import type { Control } from './control.ts'
import { notFound, type Result } from './result.ts'
import type { Page } from './webhooks.ts'

export type { EventLine, ShownEvent } from '../outbox/events.ts'

/** What became of an event at one webhook. */
export type ExplainedDelivery = Explanation & { readonly webhookId: number; readonly webhookName: string }

/** Of an event with more webhooks than this, the first ones are explained; the others are asked for one by one. */
export const mostExplained = 1_000

/** An event with what became of it at each webhook, by rising id, or at the one that is named. */
export async function explainEvent(
  control: Control,
  eventId: TimeId,
  webhookId: number | null,
): Promise<Result<{ event: events.ShownEvent; deliveries: ExplainedDelivery[] }>> {
  const event = await events.findEvent(control.outbox, eventId)
  if (!event) return notFound('event', String(eventId))
  const deliveries = await explainDeliveries(control, event, webhookId)
  if (webhookId !== null && deliveries.length === 0) return notFound('webhook', webhookId)
  return { ok: true, value: { event, deliveries } }
}

async function explainDeliveries(
  control: Control,
  event: events.EventLine,
  webhookId: number | null,
): Promise<ExplainedDelivery[]> {
  const found = await readExplainFacts(control.outbox, event, { webhookId, limit: mostExplained })
  return found.map(({ facts, webhookId, name }) => ({ ...explain(facts), webhookId, webhookName: name }))
}

/** What became of an event at one webhook, with every request that sent it, oldest first: the newest hundred. */
export type ToldDelivery = ExplainedDelivery & { readonly attempts: readonly AttemptLine[] }
export type EventStory = { readonly event: events.EventLine; readonly deliveries: readonly ToldDelivery[] }

/** An event, and at each webhook what became of it and how that came about; without the event's data. */
export async function tellEvent(control: Control, eventId: TimeId): Promise<Result<EventStory>> {
  const event = await events.findEventLine(control.outbox, eventId)
  if (!event) return notFound('event', String(eventId))
  const explained = await explainDeliveries(control, event, null)
  const attempts = await readEventAttempts(control.outbox, eventId, null)
  const deliveries = explained.map(each => ({
    ...each,
    attempts: attempts.get(each.webhookId) ?? [],
  }))
  return { ok: true, value: { event, deliveries } }
}

/** An event by itself. */
export async function readEvent(control: Control, eventId: TimeId): Promise<Result<events.ShownEvent>> {
  const event = await events.findEvent(control.outbox, eventId)
  return event ? { ok: true, value: event } : notFound('event', String(eventId))
}

/** Events in lines, newest first, at most `limit`, of one entity where one is named, those before the event `before`. */
export async function listEvents(
  control: Control,
  page: { entity: { entityType: string; entityId: string } | null; limit: number; before: TimeId | null },
): Promise<Page<events.EventLine, TimeId>> {
  const found = await events.listEvents(control.outbox, { ...page, limit: page.limit + 1 })
  const items = found.slice(0, page.limit)
  return { items, next: found.length > page.limit ? items.at(-1)!.id : null }
}
