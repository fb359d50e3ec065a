import type { AlertTrigger } from '../event/alert.ts'
import { dayMs, hourMs, minuteMs } from '../value/duration.ts'

/** What is open until it ends. `webhook.recovered` is the end of `webhook.failing`. */
export type IncidentKind = Exclude<AlertTrigger, 'webhook.recovered'>

/** A webhook that has failed for less may have lost one request. */
export const failingAfterMs = minuteMs

/**
 * How often the same thing may be told:
 *
 * - quietMs:  for so long after the end of an incident, no new one is opened. What goes on beyond it opens one then. So whatever
 *             comes and goes is told once in a quarter of an hour, and a webhook that is told to have recovered is well.
 * - restMs:   an incident of single happenings has ended when nothing has happened for so long.
 * - mostMs:   it ends then anyway: what never stops is told once a day.
 * - gatherMs: so long after the first happening it is told, with the number of those that came meanwhile.
 */
export type Pace = {
  readonly quietMs: number
  readonly restMs: number | null
  readonly mostMs: number | null
  readonly gatherMs: number
}

const lasting = { quietMs: 15 * minuteMs, restMs: null, mostMs: null, gatherMs: 0 }
const single = { quietMs: 0, restMs: hourMs, mostMs: dayMs, gatherMs: 5_000 }

export const incidentPaces: Readonly<Record<IncidentKind, Pace>> = {
  'webhook.failing': lasting,
  'webhook.disabled': { ...lasting, quietMs: 0 },
  'delivery.dead': single,
  'capture.lost': { ...single, gatherMs: 2_000 },
  'capture.blocked': lasting,
  'capture.lagging': lasting,
}

/** What is known of an incident beyond its kind; no secret, no URL and nothing of an entity. */
export type IncidentFacts = {
  /** Why a webhook was disabled. */
  readonly reason?: 'gone' | 'failed_too_long'
  /** What is wrong with capture, by a code of `captureCodes`. */
  readonly code?: string
  /** Gaps: why, and in what. */
  readonly lost?: readonly {
    readonly reason: string
    readonly entity_type: string | null
    readonly table_name: string | null
  }[]
}
