/** A row of pg_stat_activity. */
export type Backend = {
  /** `active`, `idle`, `idle in transaction`, …; null if the server does not track it. */
  readonly state: string | null
  /** The time in that state. */
  readonly stateMs: number
  readonly waitEventType: string | null
  readonly waitsFor: string | null
  readonly heldBy: readonly string[]
}

/** An answer may be in flight this long. */
const onItsWayMs = 2_000

/**
 * Whether a statement without an answer for `silentMs` is lost: its process is gone, or waits for the client, which includes
 * sending data that never arrives. A process that works, or waits for anything else, will answer.
 * https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STAT-ACTIVITY-VIEW
 */
export function isLost(backend: Backend | null, silentMs: number): boolean {
  if (backend === null) return true
  if (backend.state === 'active') return backend.waitEventType === 'Client'
  // Untracked: asking again can't help.
  if (backend.state === null || backend.state === 'disabled') return silentMs > 60_000
  return backend.stateMs > onItsWayMs
}

/** A slow statement that the server is still executing. */
export type SlowStatement = {
  readonly seconds: number
  readonly statement: string
  /** The wait event; null: none. */
  readonly waitsFor: string | null
  /** The holders of the lock that it waits for, as `pid 123 (psql, since …, ALTER TABLE users …)`. */
  readonly heldBy: readonly string[]
}

export function describeSlow({ seconds, statement, waitsFor, heldBy }: SlowStatement): string {
  const holders = heldBy.length > 0 ? `, held by ${heldBy.join(' and ')}` : ''
  const what = waitsFor === null ? 'is at work' : `waits for ${waitsFor}${holders}`
  return `a statement ${what}, for ${seconds} s (${statement})`
}
