/** Which server a session may be on, as `target_session_attrs` of libpq says it. */
export type WantedServer = 'any' | 'read-write' | 'primary'

/** What a server says of itself. */
export type ServerFacts = {
  readonly isStandby: boolean
  /** Whether a transaction can write nothing there, also where that is a setting. */
  readonly isReadOnly: boolean
  /** Null on a standby. */
  readonly timeline: number | null
}

/** Why a session may not be on this server, or null. */
export function whyUnsuitable(wants: WantedServer, { isStandby, isReadOnly }: ServerFacts): string | null {
  if (wants === 'any') return null
  if (isStandby) return 'a standby'
  return isReadOnly && wants === 'read-write' ? 'read-only (default_transaction_read_only is on)' : null
}

/**
 * The server to take of those that are suitable: the one on the newest timeline, and the first of several. A primary that
 * a standby has been promoted over, and that is started again, has an older one; nothing written there is kept.
 */
export function chooseServer<T extends Pick<ServerFacts, 'timeline'>>(suitable: readonly T[]): T | null {
  let best: T | null = null
  for (const one of suitable) if (best === null || (one.timeline ?? 0) > (best.timeline ?? 0)) best = one
  return best
}
