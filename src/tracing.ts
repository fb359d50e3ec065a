import { randomBytes } from 'node:crypto'
import type { TracingConfig } from './config/tracing-config.ts'
import type { TraceRequests } from './delivery/sending/deliver.ts'
import {
  type Sampling,
  type Span,
  spanContextOfRequest,
  spansOfAppend,
  spansOfAttempt,
  spansOfSettlement,
  type TraceAppends,
} from './domain/shown/spans.ts'
import { isSampled, maxTraced, traceOf, traceparent } from './domain/shown/trace.ts'
import type { Outbox } from './outbox/database/database.ts'
import type { Settlement } from './outbox/settle/settle.ts'
import { readOutboxId } from './outbox/source/home.ts'
import type { Log } from './runtime/log.ts'
import type { Resources } from './runtime/resources.ts'
import { openSpanExporter } from './runtime/tracing.ts'

/** The spans of each part. */
export type Tracing = {
  readonly appends: TraceAppends
  readonly requests: TraceRequests
  settled(settlements: readonly Settlement[]): void
}

/** Opens tracing; null, without loading anything, if it is not configured. */
export async function openTracing(
  { tracing, logsEntityIds }: { tracing?: TracingConfig; logsEntityIds: boolean },
  outbox: Outbox,
  log: Log,
  opened: Resources,
): Promise<Tracing | null> {
  if (!tracing) return null
  const outboxId = (await readOutboxId(outbox.pool))!
  const exporter = await openSpanExporter(tracing.url, log)
  opened.defer(() => exporter.close())
  const sampling: Sampling = { outboxId, ratio: tracing.ratio, entityIds: logsEntityIds }
  const add = (spans: readonly Span[]) => {
    for (const span of spans) exporter.add(span)
  }
  return {
    appends: {
      pick(traced, event) {
        if (traced.length >= maxTraced || !isSampled(traceOf(outboxId, event.id).traceId, tracing.ratio))
          return
        const { id, entityType, entityId, actionType, commitLsn, index, committedAt } = event
        traced.push({ id, entityType, entityId, actionType, commitLsn, index, committedAt })
      },
      committed(traced, at) {
        for (const event of traced) add(spansOfAppend(sampling, event, at))
      },
    },
    requests: {
      begin(message) {
        const { isSampled, ...context } = spanContextOfRequest(
          sampling,
          message,
          randomBytes(8).toString('hex'),
        )
        return { spanId: context.spanId, header: traceparent(context, isSampled) }
      },
      ended(attempt) {
        if (attempt.spanId !== undefined) add(spansOfAttempt(sampling, attempt, attempt.spanId))
      },
    },
    settled(settlements) {
      // By the clock of the attempts.
      for (const settlement of settlements) add(spansOfSettlement(sampling, settlement, Date.now()))
    },
  }
}
