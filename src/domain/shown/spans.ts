import type { Attempt } from '../delivery/attempt.ts'
import type { NextOfShipment } from '../delivery/shipment.ts'
import type { StoredEvent } from '../event/event.ts'
import { formatLsn } from '../value/lsn.ts'
import type { TimeId } from '../value/time-id.ts'
import { isSampled, maxTraced, type SpanContext, spanIdIn, traceOf } from './trace.ts'

/** A span of a trace. Times are in ms since 1970. */
export type Span = SpanContext & {
  readonly name: 'capture' | 'append' | 'attempt' | 'settle'
  readonly parentSpanId?: string | undefined
  /** A request to another system. */
  readonly isClient?: boolean
  readonly startMs: number
  readonly endMs: number
  readonly attributes: Readonly<Record<string, string | number | undefined>>
  /** Why it failed; null or absent: it did not. */
  readonly failure?: string | null
  /** The same request in another trace. */
  readonly link?: SpanContext | undefined
}

/** The settings of tracing: the outbox, the share of sampled traces, and whether spans may name entities. */
export type Sampling = { readonly outboxId: string; readonly ratio: number; readonly entityIds: boolean }

/** The parts of an event in a span, without its body. */
export type TracedEvent = Pick<
  StoredEvent,
  'id' | 'entityType' | 'entityId' | 'actionType' | 'commitLsn' | 'index' | 'committedAt'
>

export type TraceAppends = {
  /** Adds an event to `traced` if it is sampled. */
  pick(traced: TracedEvent[], event: TracedEvent): void
  /** They have committed, with all the `events` of their commit. */
  committed(traced: readonly TracedEvent[], at: { startMs: number; endMs: number; events: number }): void
}

/** The spans of an appended event: the capture, which is the root of its trace, and the append below it. */
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
  // Two clocks: the source's and the outbox's.
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

/** The subjects of a request: its events, or a test's message. */
function subjectsOf({ eventId, eventIds, messageId }: OfMessage): readonly (TimeId | string)[] {
  return eventIds ?? [eventId ?? messageId]
}

/** A request's span context in the trace of its first event: the content of `traceparent`, and whether it is sampled. */
export function spanContextOfRequest(
  { outboxId, ratio }: Sampling,
  message: OfMessage,
  spanId: string,
): SpanContext & { readonly isSampled: boolean } {
  const { traceId } = traceOf(outboxId, subjectsOf(message)[0]!)
  return { traceId, spanId, isSampled: isSampled(traceId, ratio) }
}

type EventContext = SpanContext & {
  readonly parentSpanId: string | undefined
  readonly link: SpanContext | undefined
}

/** A request's span contexts in the sampled traces of its events, at most a hundred. */
function spanContextsOf({ outboxId, ratio }: Sampling, message: OfMessage, spanId: string): EventContext[] {
  const contexts: EventContext[] = []
  let first: SpanContext | null = null
  for (const subject of subjectsOf(message)) {
    const { traceId, spanId: root } = traceOf(outboxId, subject)
    const context: SpanContext = { traceId, spanId: first ? spanIdIn(traceId, spanId) : spanId }
    const link = first && isSampled(first.traceId, ratio) ? first : undefined
    first ??= context
    if (!isSampled(traceId, ratio)) continue
    // The request is the root of a test's trace.
    contexts.push({ ...context, parentSpanId: typeof subject === 'string' ? undefined : root, link })
    if (contexts.length === maxTraced) break
  }
  return contexts
}

/** The spans of a finished request, one in the trace of each of its events. They contain only the host of the URL. */
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
  return spanContextsOf(sampling, attempt, spanId).map(context => ({
    ...context,
    name: 'attempt' as const,
    isClient: true,
    startMs,
    endMs: startMs + durationMs,
    attributes,
    failure: outcome === 'delivered' ? null : (errorClass ?? outcome),
  }))
}

/** The spans of a committed settlement, each below its attempt. */
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
  return spanContextsOf(sampling, attempt, attempt.spanId).map(({ traceId, spanId }) => ({
    traceId,
    spanId: spanIdIn(traceId, `settle ${spanId}`),
    parentSpanId: spanId,
    name: 'settle' as const,
    startMs: Math.min(endedAtMs, settledAtMs),
    endMs: settledAtMs,
    attributes,
  }))
}
