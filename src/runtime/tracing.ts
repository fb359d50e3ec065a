import type { ReadableSpan } from '@opentelemetry/sdk-trace'
import packageJson from '../../package.json' with { type: 'json' }
import { describeError, type Log } from './log.ts'
import { within } from './within.ts'

/** A span with given ids. Times are in ms since 1970. */
type Span = {
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string | undefined
  readonly isClient?: boolean
  readonly startMs: number
  readonly endMs: number
  readonly attributes: Readonly<Record<string, string | number | undefined>>
  readonly failure?: string | null
  readonly link?: { readonly traceId: string; readonly spanId: string } | undefined
}

type SpanExporter = {
  /** Queues a span without waiting; beyond 2,048 queued spans it is dropped. */
  add(span: Span): void
  /** Sends queued spans, for at most two seconds. */
  close(): Promise<void>
}

const maxWaiting = 2_048
const everyMs = 1_000
const closeWithinMs = 2_000
const logEveryMs = 60_000

/**
 * Sends spans to a collector by OTLP over HTTP in JSON, in the background. A slow or missing collector only loses spans. The
 * libraries are loaded on demand, and read further standard variables themselves: headers, time-outs, compression,
 * certificates, service name.
 */
export async function openSpanExporter(url: string, log: Log): Promise<SpanExporter> {
  const [{ SpanKind, SpanStatusCode, TraceFlags }, { BatchSpanProcessor }, { OTLPTraceExporter }, resources] =
    await Promise.all([
      import('@opentelemetry/api'),
      import('@opentelemetry/sdk-trace'),
      import('@opentelemetry/exporter-trace-otlp-http'),
      import('@opentelemetry/resources'),
    ])
  const { name, version } = packageJson
  const resource = resources
    .resourceFromAttributes({ 'service.name': name, 'service.version': version })
    .merge(resources.detectResources({ detectors: [resources.envDetector] }))
  const exporter = new OTLPTraceExporter({ url })
  const processor = new BatchSpanProcessor({
    exporter: loggingLosses(exporter, log),
    maxQueueSize: maxWaiting,
    scheduledDelayMillis: everyMs,
  })
  const scope = { name, version }
  const contextOf = (context: { traceId: string; spanId: string }) => ({
    traceId: context.traceId,
    spanId: context.spanId,
    traceFlags: TraceFlags.SAMPLED,
  })

  function toReadable(span: Span): ReadableSpan {
    const { traceId, parentSpanId, startMs, endMs, failure = null, link } = span
    const context = contextOf(span)
    return {
      name: span.name,
      kind: span.isClient ? SpanKind.CLIENT : SpanKind.INTERNAL,
      spanContext: () => context,
      ...(parentSpanId !== undefined && { parentSpanContext: contextOf({ traceId, spanId: parentSpanId }) }),
      startTime: toTime(startMs),
      endTime: toTime(endMs),
      duration: toTime(endMs - startMs),
      ended: true,
      status:
        failure === null ? { code: SpanStatusCode.UNSET } : { code: SpanStatusCode.ERROR, message: failure },
      attributes: Object.fromEntries(
        Object.entries(span.attributes).filter(([, value]) => value !== undefined),
      ),
      links: link ? [{ context: contextOf(link) }] : [],
      events: [],
      resource,
      instrumentationScope: scope,
      droppedAttributesCount: 0,
      droppedEventsCount: 0,
      droppedLinksCount: 0,
    }
  }

  return {
    add: span => processor.onEnd(toReadable(span)),
    async close() {
      await within(closeWithinMs, processor.shutdown()).catch(() => {})
    },
  }
}

type Exporter = ConstructorParameters<
  typeof import('@opentelemetry/sdk-trace').BatchSpanProcessor
>[0]['exporter']

/** Logs lost spans, at most once a minute: the libraries do not. */
function loggingLosses(exporter: Exporter, log: Log): Exporter {
  let loggedAtMs = Number.NEGATIVE_INFINITY
  let lost = 0
  return {
    export(spans, done) {
      exporter.export(spans, result => {
        if (result.code !== 0) {
          lost += spans.length
          const nowMs = performance.now()
          if (nowMs - loggedAtMs >= logEveryMs) {
            log.warn('tracing.spans_lost', { spans: lost, reason: describeError(result.error) })
            loggedAtMs = nowMs
            lost = 0
          }
        }
        done(result)
      })
    },
    shutdown: () => exporter.shutdown(),
    forceFlush: async () => await exporter.forceFlush?.(),
  }
}

/** Seconds and nanoseconds. */
function toTime(ms: number): [number, number] {
  const seconds = Math.floor(ms / 1000)
  return [seconds, Math.round((ms - seconds * 1000) * 1e6)]
}
