import { mergeSorted } from '../../domain/cells/merge-sorted.ts'
import { askedType } from '../../domain/event/alert.ts'
import type { ExplainTexts } from '../../domain/failure/explain-texts.ts'
import { type Explanation, explain } from '../../domain/shown/explain.ts'
import { because } from '../../domain/shown/reason.ts'
import type { TimeId } from '../../domain/value/time-id.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import type { ListedEvent } from '../../outbox/listing/events.ts'
import type { EventFilter, Scanned } from '../../outbox/listing/scan.ts'
import { type AttemptLine, readEventAttempts } from '../../outbox/reading/attempt-lines.ts'
import * as events from '../../outbox/reading/events.ts'
import { readExplainFacts } from '../../outbox/reading/explain.ts'
import { controlOfWebhook, overCells } from '../kit/cells.ts'
import type { Caller, Control } from '../kit/control.ts'
import { invalid, notFound, type Result, wrongField } from '../kit/result.ts'
import { eventFor, tenantAsked } from '../kit/tenants.ts'
import { listOverCells } from './event-list.ts'
import { labelFor, withLabels } from './labels.ts'

export type { EventFilter, Scanned } from '../../outbox/listing/scan.ts'
export type { EventLine, ShownEvent } from '../../outbox/reading/events.ts'
export type LabelledLine = ListedEvent & WithLabel
export type LabelledEvent = events.ShownEvent & WithLabel
type WithLabel = { readonly label: string | null }

type ExplainedDelivery = Explanation & { readonly webhookId: number; readonly webhookName: string }

/** This many webhooks of an event are explained at once. */
export const maxExplained = 1_000

/** An event with deliveries, and the cells whose webhooks are missing because they do not answer. */
type OfEvent<T> = T & { readonly away: readonly string[] }

/** An event of the log, which is complete in main; or an alert, which is in its webhook's cell. */
async function findEvent<E>(
  { cells }: Pick<Control, 'cells'>,
  find: (outbox: Outbox) => Promise<E | null>,
): Promise<E | null> {
  const found = await find(cells.main.outbox)
  if (found || cells.all().length === 1) return found
  const { results } = await overCells({ cells }, find)
  return results.find(({ value }) => value)?.value ?? null
}

/**
 * An event with its delivery to each webhook, in ascending order of id after `after`, or to the named one. `next`: the cursor
 * of the next page, or null.
 */
export async function explainEvent(
  control: Control,
  caller: Pick<Caller, 'tenant'>,
  eventId: TimeId,
  { webhookId, after }: { webhookId: number | null; after: number },
): Promise<Result<OfEvent<{ event: LabelledEvent; deliveries: ExplainedDelivery[]; next: number | null }>>> {
  const whole = await findEvent(control, outbox => events.findEvent(outbox, eventId))
  const event = whole && eventFor(caller, whole)
  if (!whole || !event) return notFound('event', String(eventId))
  if (webhookId !== null) {
    const of = await controlOfWebhook(control, caller, webhookId)
    if (!of.ok) return of
  }
  const { found, away } = await explainDeliveries(control, caller, whole, {
    webhookId,
    after,
    limit: maxExplained + 1,
  })
  const deliveries = found.slice(0, maxExplained)
  const next = found.length > maxExplained ? deliveries.at(-1)!.webhookId : null
  if (webhookId !== null && deliveries.length === 0) return notFound('webhook', webhookId)
  return { ok: true, value: { event: withLabel(control, event), deliveries, next, away } }
}

async function explainDeliveries(
  control: Control,
  { tenant }: Pick<Caller, 'tenant'>,
  event: events.EventLine,
  { texts, ...which }: { webhookId: number | null; after: number; limit: number; texts?: ExplainTexts },
): Promise<OfEvent<{ found: ExplainedDelivery[] }>> {
  const { results, away } = await overCells(control, outbox =>
    readExplainFacts(outbox, event, { ...which, tenant }),
  )
  const lists = results.map(({ value }) => value)
  const found = mergeSorted(lists, (a, b) => a.webhookId < b.webhookId, which.limit)
  return {
    found: found.map(({ facts, webhookId, name }) => ({
      ...explain(facts, texts),
      webhookId,
      webhookName: name,
    })),
    away,
  }
}

/** An event's delivery to one webhook, with its newest hundred requests, oldest first. */
export type DeliveryStory = ExplainedDelivery & { readonly attempts: readonly AttemptLine[] }
export type EventStory = { readonly event: events.EventLine; readonly deliveries: readonly DeliveryStory[] }

/** An event with its deliveries and their requests, without its data. `texts`: the reader's language. */
export async function readEventStory(
  control: Control,
  caller: Pick<Caller, 'tenant'>,
  eventId: TimeId,
  texts: ExplainTexts,
): Promise<Result<EventStory>> {
  const whole = await findEvent(control, outbox => events.findEventLine(outbox, eventId))
  const event = whole && eventFor(caller, whole)
  if (!whole || !event) return notFound('event', String(eventId))
  const { found: explained } = await explainDeliveries(control, caller, whole, {
    webhookId: null,
    after: 0,
    limit: maxExplained,
    texts,
  })
  const { results } = await overCells(control, outbox => readEventAttempts(outbox, eventId, null))
  const attempts = new Map(results.flatMap(({ value }) => [...value]))
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
  const whole = await findEvent(control, outbox => events.findEvent(outbox, eventId))
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
): Promise<Result<OfEvent<Scanned<LabelledLine>>>> {
  const { from, to, entityType: shown } = page.filter
  if (from && to && from >= to) return invalid(wrongField('/to', because('range.order')))
  const tenant = tenantAsked(caller, page.tenant)
  const entityType = shown === undefined ? undefined : askedType(shown, control.entityTypes)
  const filter = { ...page.filter, entityType }
  const found = await listOverCells(control, { ...page, filter, tenant, seenBy: caller.tenant })
  const items = await withLabels(control, caller, found.items)
  return { ok: true, value: { ...found, items: items.flatMap(event => eventFor(caller, event) ?? []) } }
}
