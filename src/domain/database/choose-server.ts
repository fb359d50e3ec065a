/** Which server a session may use, like `target_session_attrs` of libpq. */
export type WantedServer = 'any' | 'read-write' | 'primary'

/** What a server reports about itself. */
export type ServerFacts = {
  readonly isStandby: boolean
  /** Whether transactions are read-only, by role or by setting. */
  readonly isReadOnly: boolean
  /** Null on a standby. */
  readonly timeline: number | null
}

/** Why a session may not use this server, or null. */
export function whyUnsuitable(wants: WantedServer, { isStandby, isReadOnly }: ServerFacts): string | null {
  if (wants === 'any') return null
  if (isStandby) return 'a standby'
  return isReadOnly && wants === 'read-write' ? 'read-only (default_transaction_read_only is on)' : null
}

/**
 * The suitable server on the newest timeline; the first of several. A former primary that starts again after a promotion has
 * an older timeline, and its writes are lost.
 */
export function chooseServer<T extends Pick<ServerFacts, 'timeline'>>(suitable: readonly T[]): T | null {
  let best: T | null = null
  for (const one of suitable) if (best === null || (one.timeline ?? 0) > (best.timeline ?? 0)) best = one
  return best
}
