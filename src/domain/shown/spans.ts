import type { Attempt } from '../delivery/attempt.ts'
import type { NextOfShipment } from '../delivery/shipment.ts'
import type { StoredEvent } from '../event/event.ts'
import { formatLsn } from '../value/lsn.ts'
import type { TimeId } from '../value/time-id.ts'
import { isSampled, mostTraced, spanIdIn, type TracePlace, traceOf } from './trace.ts'

/** What has a beginning, an end, and a place in a trace. Times are in ms since 1970. */
export type Span = TracePlace & {
  readonly name: 'capture' | 'append' | 'attempt' | 'settle'
  readonly parentSpanId?: string | undefined
  /** It is a request to somebody else. */
  readonly isClient?: boolean
  readonly startMs: number
  readonly endMs: number
  readonly attributes: Readonly<Record<string, string | number | undefined>>
  /** Not null: it failed, and why. */
  readonly failure?: string | null
  /** The same request in another trace. */
  readonly link?: TracePlace | undefined
}

/** What decides about spans: the outbox, the share of traces that are sampled, and whether spans may name entities. */
export type Sampling = { readonly outboxId: string; readonly ratio: number; readonly entityIds: boolean }

/** What a span tells of an event: nothing of its body. */
export type TracedEvent = Pick<
  StoredEvent,
  'id' | 'entityType' | 'entityId' | 'actionType' | 'commitLsn' | 'index' | 'committedAt'
>

/** Begins the traces of events. */
export type TraceAppends = {
  /** Adds an event to those that are traced, if it is one of them. */
  pick(traced: TracedEvent[], event: TracedEvent): void
  /** They have committed, with all the `events` of their commit. */
  committed(traced: readonly TracedEvent[], at: { startMs: number; endMs: number; events: number }): void
}

/** The spans of an event that was appended: the capture, with which its trace begins, and the append below it. */
export function spansOfAppend(
  { outboxId, entityIds }: Sampling,
  event: TracedEvent,
  at: { readonly startMs: number; readonly endMs: number; readonly events: number },
): Span[] {
  const root = traceOf(outboxId, event.id)
  const attributes = {
    'walhook.event_id': String(event.id),
    'walhook.entity_type': event.entityType,
    ...(entityIds && { 'walhook.entity_id': event.entityId }),
    'walhook.action_type': event.actionType,
  }
  // By two clocks: that of the source, and that of the outbox.
  const startMs = Math.min(event.committedAt.getTime(), at.startMs)
  return [
    {
      ...root,
      name: 'capture',
      startMs,
      endMs: at.startMs,
      attributes: { ...attributes, 'walhook.commit_lsn': formatLsn(event.commitLsn) },
    },
    {
      traceId: root.traceId,
      spanId: spanIdIn(root.traceId, `append ${root.spanId}`),
      parentSpanId: root.spanId,
      name: 'append',
      startMs: at.startMs,
      endMs: at.endMs,
      attributes: { ...attributes, 'walhook.append.events': at.events },
    },
  ]
}

type OfMessage = Pick<Attempt, 'eventId' | 'eventIds' | 'messageId'>

/** What a request is about: its events, or where it has none, which is a test, its message. */
function subjectsOf({ eventId, eventIds, messageId }: OfMessage): readonly (TimeId | string)[] {
  return eventIds ?? [eventId ?? messageId]
}

/** Where a request is in the trace of the first of its events: what `traceparent` tells, and whether it is sampled. */
export function placeOfRequest(
  { outboxId, ratio }: Sampling,
  message: OfMessage,
  spanId: string,
): TracePlace & { readonly isSampled: boolean } {
  const { traceId } = traceOf(outboxId, subjectsOf(message)[0]!)
  return { traceId, spanId, isSampled: isSampled(traceId, ratio) }
}

type Place = TracePlace & { readonly parentSpanId: string | undefined; readonly link: TracePlace | undefined }

/** A request's places in the traces of its events, of those that are sampled, and of the first hundred. */
function placesOf({ outboxId, ratio }: Sampling, message: OfMessage, spanId: string): Place[] {
  const places: Place[] = []
  let first: TracePlace | null = null
  for (const subject of subjectsOf(message)) {
    const { traceId, spanId: root } = traceOf(outboxId, subject)
    const place: TracePlace = { traceId, spanId: first ? spanIdIn(traceId, spanId) : spanId }
    const link = first && isSampled(first.traceId, ratio) ? first : undefined
    first ??= place
    if (!isSampled(traceId, ratio)) continue
    // A test's trace begins with its request.
    places.push({ ...place, parentSpanId: typeof subject === 'string' ? undefined : root, link })
    if (places.length === mostTraced) break
  }
  return places
}

/** The spans of a request that has ended, one in the trace of each of its events. Of the URL, they name the host. */
export function spansOfAttempt(sampling: Sampling, attempt: Attempt, spanId: string): Span[] {
  const { outcome, errorClass, number, startedAt, durationMs, eventIds } = attempt
  const startMs = startedAt.getTime()
  const attributes = {
    'walhook.webhook_id': attempt.webhookId,
    'walhook.message_id': attempt.messageId,
    'walhook.event_id': attempt.eventId === null ? undefined : String(attempt.eventId),
    'walhook.events': eventIds?.length,
    'walhook.entity_type': attempt.entityType ?? undefined,
    'walhook.entity_id': sampling.entityIds ? (attempt.entityId ?? undefined) : undefined,
    'walhook.action_type': attempt.actionType ?? undefined,
    'walhook.trigger': attempt.trigger,
    'walhook.attempt': number,
    'walhook.outcome': outcome,
    'walhook.duration_ms': durationMs,
    'http.request.method': 'POST',
    'http.request.resend_count': number > 1 ? number - 1 : undefined,
    'http.response.status_code': attempt.response?.status,
    'server.address': URL.canParse(attempt.request.url) ? new URL(attempt.request.url).hostname : undefined,
    'error.type': errorClass ?? undefined,
  }
  return placesOf(sampling, attempt, spanId).map(place => ({
    ...place,
    name: 'attempt' as const,
    isClient: true,
    startMs,
    endMs: startMs + durationMs,
    attributes,
    failure: outcome === 'delivered' ? null : (errorClass ?? outcome),
  }))
}

/** The spans of a settlement that has committed, each below the attempt that it settles. */
export function spansOfSettlement(
  sampling: Sampling,
  { attempt, next }: { readonly attempt: Attempt; readonly next: NextOfShipment },
  settledAtMs: number,
): Span[] {
  if (attempt.spanId === undefined) return []
  const endedAtMs = attempt.startedAt.getTime() + attempt.durationMs
  const attributes = {
    'walhook.webhook_id': attempt.webhookId,
    'walhook.next': next.state,
    'walhook.next_in_ms': 'waitMs' in next ? Math.round(next.waitMs) : undefined,
  }
  return placesOf(sampling, attempt, attempt.spanId).map(({ traceId, spanId }) => ({
    traceId,
    spanId: spanIdIn(traceId, `settle ${spanId}`),
    parentSpanId: spanId,
    name: 'settle' as const,
    startMs: Math.min(endedAtMs, settledAtMs),
    endMs: settledAtMs,
    attributes,
  }))
}
