import { createHash } from 'node:crypto'

/** At most this many events of one commit or request have spans. */
export const maxTraced = 100

/** A span context, as W3C Trace Context defines it: 32 and 16 lower-case hexadecimal digits. */
export type SpanContext = { readonly traceId: string; readonly spanId: string }

/**
 * The trace of an event and its root span, both computed from the event's id: every process adds to the same trace, even days
 * later, without storing anything. `outboxId` separates installations, whose event ids may be equal.
 */
export function traceOf(outboxId: string, subject: bigint | string): SpanContext {
  const digest = createHash('sha256').update(`walhook trace ${outboxId} ${subject}`).digest('hex')
  return { traceId: notZero(digest.slice(0, 32)), spanId: notZero(digest.slice(32, 48)) }
}

/** A request has one span in the trace of each of its events; this is its id there, computed from the one in the first trace. */
export function spanIdIn(traceId: string, spanId: string): string {
  return notZero(createHash('sha256').update(`${spanId} ${traceId}`).digest('hex').slice(0, 16))
}

/** W3C Trace Context forbids ids of zeros only. */
const notZero = (id: string) => (/[^0]/.test(id) ? id : `${id.slice(1)}1`)

const randomBits = 56n

/**
 * Whether a trace is sampled at `ratio` (0 to 1): by the rightmost 56 bits of its id, so all processes with the same ratio
 * agree.
 * https://www.w3.org/TR/trace-context-2/#randomness-of-trace-id
 */
export function isSampled(traceId: string, ratio: number): boolean {
  if (ratio >= 1) return true
  const threshold = (1 - ratio) * Number(1n << randomBits)
  return ratio > 0 && Number(BigInt(`0x${traceId.slice(-14)}`)) >= threshold
}

/** The value of the header `traceparent`. https://www.w3.org/TR/trace-context/#traceparent-header */
export function traceparent({ traceId, spanId }: SpanContext, isSampled: boolean): string {
  return `00-${traceId}-${spanId}-${isSampled ? '01' : '00'}`
}

const ratios: Readonly<Record<string, number | null>> = {
  always_on: 1,
  always_off: 0,
  traceidratio: null,
  parentbased_always_on: 1,
  parentbased_always_off: 0,
  parentbased_traceidratio: null,
}

/** The accepted values of OTEL_TRACES_SAMPLER: an event has no parent, so `parentbased_` changes nothing. */
export const samplers = Object.keys(ratios)

/** The ratio of a sampler, one of `samplers`; null: the argument is invalid. */
export function ratioOf(name: string, argument: string): number | null {
  const ratio = ratios[name]
  if (ratio !== null) return ratio ?? null
  return /^(\d+(\.\d*)?|\.\d+)$/.test(argument) && Number(argument) <= 1 ? Number(argument) : null
}

/** The URL to send spans to: an endpoint for all signals gets the path for traces. Null: no such URL. */
export function tracesUrl(endpoint: string, isForTraces: boolean): string | null {
  if (!/^https?:\/\/[^/]/i.test(endpoint) || !URL.canParse(endpoint)) return null
  if (isForTraces) return endpoint
  const url = new URL(endpoint)
  url.pathname = `${url.pathname.replace(/\/$/, '')}/v1/traces`
  return url.href
}
