import type { AlertTrigger } from '../event/alert.ts'
import { dayMs, hourMs, minuteMs } from '../value/duration.ts'

/** Open until it ends. `webhook.recovered` is the end of `webhook.failing`. */
export type IncidentKind = Exclude<AlertTrigger, 'webhook.recovered'>

/** A shorter failure may be one lost request. */
export const failingAfterMs = minuteMs

/**
 * How often the same alert is sent:
 *
 * - quietMs: after an incident ends, no new one opens for this long. A flapping webhook causes one alert per quarter of an
 *   hour.
 * - restMs: an incident of single occurrences ends after this long without one.
 * - maxMs: it ends then anyway: a permanent problem causes one alert a day.
 * - gatherMs: the alert waits this long after the first occurrence, and counts those that follow.
 */
export type Pace = {
  readonly quietMs: number
  readonly restMs: number | null
  readonly maxMs: number | null
  readonly gatherMs: number
}

const lasting = { quietMs: 15 * minuteMs, restMs: null, maxMs: null, gatherMs: 0 }
const single = { quietMs: 0, restMs: hourMs, maxMs: dayMs, gatherMs: 5_000 }

export const incidentPaces: Readonly<Record<IncidentKind, Pace>> = {
  'webhook.failing': lasting,
  'webhook.disabled': { ...lasting, quietMs: 0 },
  'delivery.dead': single,
  'capture.lost': { ...single, gatherMs: 2_000 },
  'capture.blocked': lasting,
  'capture.lagging': lasting,
}

/** The facts of an incident: no secret, no URL, no data of an entity. */
export type IncidentFacts = {
  /** Why the webhook was disabled. */
  readonly reason?: 'gone' | 'failed_too_long'
  /** A code of `captureCodes`. */
  readonly code?: string
  /** Gaps: the cause of each, and the table. */
  readonly lost?: readonly {
    readonly reason: string
    readonly entity_type: string | null
    readonly table_name: string | null
  }[]
}
