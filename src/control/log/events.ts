import { askedType } from '../../domain/event/alert.ts'
import type { ExplainTexts } from '../../domain/failure/explain-texts.ts'
import { type Explanation, explain } from '../../domain/shown/explain.ts'
import { because } from '../../domain/shown/reason.ts'
import type { TimeId } from '../../domain/value/time-id.ts'
import type { ListedEvent } from '../../outbox/listing/events.ts'
import * as listing from '../../outbox/listing/events.ts'
import type { EventFilter, Looked } from '../../outbox/listing/look.ts'
import { type AttemptLine, readEventAttempts } from '../../outbox/reading/attempt-lines.ts'
import * as events from '../../outbox/reading/events.ts'
import { readExplainFacts } from '../../outbox/reading/explain.ts'
import type { Caller, Control } from '../kit/control.ts'
import { invalid, notFound, type Result, wrongField } from '../kit/result.ts'
import { eventFor, tenantAsked } from '../kit/tenants.ts'
import { labelFor, withLabels } from './labels.ts'

export type { EventFilter, Looked } from '../../outbox/listing/look.ts'
export type { EventLine, ShownEvent } from '../../outbox/reading/events.ts'
export type LabelledLine = ListedEvent & WithLabel
export type LabelledEvent = events.ShownEvent & WithLabel
type WithLabel = { readonly label: string | null }

/** An event's delivery to one webhook, explained. */
export type ExplainedDelivery = Explanation & { readonly webhookId: number; readonly webhookName: string }

/** This many webhooks of an event are explained at once. */
export const mostExplained = 1_000

/**
 * An event with its delivery to each webhook, in ascending order of id after `after`, or to the named one. `next`: the cursor
 * of the next page, or null.
 */
export async function explainEvent(
  control: Control,
  caller: Pick<Caller, 'tenant'>,
  eventId: TimeId,
  { webhookId, after }: { webhookId: number | null; after: number },
): Promise<Result<{ event: LabelledEvent; deliveries: ExplainedDelivery[]; next: number | null }>> {
  const whole = await events.findEvent(control.outbox, eventId)
  const event = whole && eventFor(caller, whole)
  if (!whole || !event) return notFound('event', String(eventId))
  const found = await explainDeliveries(control, caller, whole, {
    webhookId,
    after,
    limit: mostExplained + 1,
  })
  const deliveries = found.slice(0, mostExplained)
  const next = found.length > mostExplained ? deliveries.at(-1)!.webhookId : null
  if (webhookId !== null && deliveries.length === 0) return notFound('webhook', webhookId)
  return { ok: true, value: { event: withLabel(control, event), deliveries, next } }
}

async function explainDeliveries(
  control: Control,
  { tenant }: Pick<Caller, 'tenant'>,
  event: events.EventLine,
  { texts, ...which }: { webhookId: number | null; after: number; limit: number; texts?: ExplainTexts },
): Promise<ExplainedDelivery[]> {
  const found = await readExplainFacts(control.outbox, event, { ...which, tenant })
  return found.map(({ facts, webhookId, name }) => ({
    ...explain(facts, texts),
    webhookId,
    webhookName: name,
  }))
}

/** An event's delivery to one webhook, with its newest hundred requests, oldest first. */
export type ToldDelivery = ExplainedDelivery & { readonly attempts: readonly AttemptLine[] }
export type EventStory = { readonly event: events.EventLine; readonly deliveries: readonly ToldDelivery[] }

/** An event with its deliveries and their requests, without its data. `texts`: the reader's language. */
export async function tellEvent(
  control: Control,
  caller: Pick<Caller, 'tenant'>,
  eventId: TimeId,
  texts: ExplainTexts,
): Promise<Result<EventStory>> {
  const whole = await events.findEventLine(control.outbox, eventId)
  const event = whole && eventFor(caller, whole)
  if (!whole || !event) return notFound('event', String(eventId))
  const explained = await explainDeliveries(control, caller, whole, {
    webhookId: null,
    after: 0,
    limit: mostExplained,
    texts,
  })
  const attempts = await readEventAttempts(control.outbox, eventId, null)
  const deliveries = explained.map(each => ({
    ...each,
    attempts: attempts.get(each.webhookId) ?? [],
  }))
  return { ok: true, value: { event, deliveries } }
}

const withLabel = (control: Control, event: events.ShownEvent): LabelledEvent => ({
  ...event,
  label: labelFor(control, event.entityType, event.body),
})

export async function readEvent(
  control: Control,
  caller: Pick<Caller, 'tenant'>,
  eventId: TimeId,
): Promise<Result<LabelledEvent>> {
  const whole = await events.findEvent(control.outbox, eventId)
  const event = whole && eventFor(caller, whole)
  return event ? { ok: true, value: withLabel(control, event) } : notFound('event', String(eventId))
}

/** The newest events that match, as lines, of one tenant if given, before the event `before`. */
export async function listEvents(
  control: Control,
  caller: Pick<Caller, 'tenant'>,
  page: {
    filter: EventFilter
    tenant?: string | null | undefined
    limit: number
    before: TimeId | null
  },
): Promise<Result<Looked<LabelledLine>>> {
  const { from, to, entityType: shown } = page.filter
  if (from && to && from >= to) return invalid(wrongField('/to', because('range.order')))
  const tenant = tenantAsked(caller, page.tenant)
  const entityType = shown === undefined ? undefined : askedType(shown, control.entityTypes)
  const filter = { ...page.filter, entityType }
  const found = await listing.listEvents(control.outbox, { ...page, filter, tenant, seenBy: caller.tenant })
  const items = await withLabels(control, caller, found.items)
  return { ok: true, value: { ...found, items: items.flatMap(event => eventFor(caller, event) ?? []) } }
}
