import type { TimeId } from '../value/time-id.ts'

/**
 * A replay of a range of the log that walhook carries out by itself.
 *
 *   running    events are being queued; a crash changes nothing: another process goes on.
 *   done       all are queued. When they are delivered is up to the queue.
 *   cancelled  somebody has stopped it; what was queued by then stays queued.
 *   failed     the webhook was switched off meanwhile.
 */
export type ReplayJob = {
  readonly id: number
  readonly webhookId: number
  readonly fromId: TimeId
  readonly toId: TimeId
  /** Null: those of the webhook. */
  readonly triggers: readonly string[] | null
  /** Not null: it sends what the webhook missed while it was off. */
  readonly fromVersion: number | null
  /** How many events were counted before it began, and whether that was all of them. */
  readonly counted: number
  readonly isExact: boolean
  readonly state: 'running' | 'done' | 'cancelled' | 'failed'
  /** How many events are done with; those that were not queued waited already. */
  readonly lookedAt: number
  readonly queued: number
  readonly actor: string
  readonly actorTenant: string | null
  /** Why it does not go on at the moment, in the database's words; walhook tries again. Null: it goes on, or has ended. */
  readonly problem: string | null
  readonly createdAt: Date
  readonly endedAt: Date | null
}

/** How many events a replay that was ended early did not reach; null where that can't be told, or none are left. */
export function notReached({ state, lookedAt, counted, isExact }: ReplayJob): number | null {
  const wasEnded = state === 'cancelled' || state === 'failed'
  return wasEnded && isExact && counted > lookedAt ? counted - lookedAt : null
}

/** How far a replay is, from 0 to 1; null where that can't be told. */
export function progressOf({ state, lookedAt, counted }: ReplayJob): number | null {
  if (state === 'done') return 1
  return counted === 0 ? null : Math.min(1, lookedAt / counted)
}
