/** What the server says about one of its processes, in pg_stat_activity. */
export type Backend = {
  /** `active`, `idle`, `idle in transaction`, …; null where the server does not keep count. */
  readonly state: string | null
  /** For how long it has been so. */
  readonly stateMs: number
  readonly waitEventType: string | null
  readonly waitsFor: string | null
  readonly heldBy: readonly string[]
}

/** An answer may be on its way for so long. */
const onItsWayMs = 2_000

/**
 * Whether a statement that has brought no answer for `silentMs` never will: there is no such process any more, or it waits for
 * us, which it does too while it sends what never arrives. A process that works, or waits for something else, will answer.
 * https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STAT-ACTIVITY-VIEW
 */
export function isLost(backend: Backend | null, silentMs: number): boolean {
  if (backend === null) return true
  if (backend.state === 'active') return backend.waitEventType === 'Client'
  // Not counted: the server is asked to no end.
  if (backend.state === null || backend.state === 'disabled') return silentMs > 60_000
  return backend.stateMs > onItsWayMs
}

/** A statement that takes long, of which the server says that it works on it. */
export type SlowStatement = {
  readonly seconds: number
  readonly statement: string
  /** What it waits for, as Postgres names it; null: nothing. */
  readonly waitsFor: string | null
  /** Where it waits for a lock: who holds it, as `pid 123 (psql, since …, ALTER TABLE users …)`. */
  readonly heldBy: readonly string[]
}

export function describeSlow({ seconds, statement, waitsFor, heldBy }: SlowStatement): string {
  const holders = heldBy.length > 0 ? `, held by ${heldBy.join(' and ')}` : ''
  const what = waitsFor === null ? 'is at work' : `waits for ${waitsFor}${holders}`
  return `a statement ${what}, for ${seconds} s (${statement})`
}
