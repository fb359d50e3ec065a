import type { TimeId } from '../value/time-id.ts'

/**
 * A replay of a range of the log, executed by walhook itself.
 *
 *   running    events are being queued; after a crash another process continues.
 *   done       all are queued, and delivered like any other.
 *   cancelled  a person stopped it; queued events stay queued.
 *   failed     the webhook was switched off meanwhile.
 */
export type ReplayJob = {
  readonly id: number
  readonly webhookId: number
  readonly fromId: TimeId
  readonly toId: TimeId
  /** Null: the webhook's own. */
  readonly triggers: readonly string[] | null
  /** Set: it sends what the webhook missed while it was off. */
  readonly fromVersion: number | null
  /** The number of events counted before it began, and whether that count is complete. */
  readonly counted: number
  readonly isExact: boolean
  readonly state: 'running' | 'done' | 'cancelled' | 'failed'
  /** Events done so far, including those that were pending already. */
  readonly lookedAt: number
  readonly queued: number
  readonly actor: string
  readonly actorTenant: string | null
  /** Why it pauses, in the database's words; walhook retries. Null: it continues, or has ended. */
  readonly problem: string | null
  readonly createdAt: Date
  readonly endedAt: Date | null
}

/** How many events a stopped replay did not reach; null: unknown or none. */
export function notReached({ state, lookedAt, counted, isExact }: ReplayJob): number | null {
  const wasEnded = state === 'cancelled' || state === 'failed'
  return wasEnded && isExact && counted > lookedAt ? counted - lookedAt : null
}

/** The progress of a replay, from 0 to 1; null: unknown. */
export function progressOf({ state, lookedAt, counted }: ReplayJob): number | null {
  if (state === 'done') return 1
  return counted === 0 ? null : Math.min(1, lookedAt / counted)
}
