import { formatLsn, type Lsn } from '../../domain/value/lsn.ts'

/** Why changes were lost: the reasons of `walhook.gaps`. */
type GapReason =
  | 'slot missing'
  | 'slot invalidated'
  | 'slot moved'
  | 'slot older than publication'
  | 'publication missing'
  | 'publication remade'
  | 'other cluster'
  | 'other database'
  | 'other history'

/** The stored position, and the source's present state. */
export type ContinuityFacts = {
  readonly slotName: string
  readonly publicationName: string
  readonly stored: {
    readonly systemIdentifier: string
    readonly commitLsn: Lsn
    readonly confirmedLsn: Lsn | null
  }
  readonly systemIdentifier: string
  /** The end of the source's WAL. */
  readonly walEnd: Lsn
  /** Where the source's WAL left the captured timeline; null: it did not. */
  readonly forkLsn: Lsn | 'unrelated' | null
  readonly slot: { readonly confirmedLsn: Lsn; readonly isInvalidated: boolean } | null
  readonly hasPublication: boolean
}

/**
 * Checks whether the slot continues exactly where the outbox ends. Otherwise changes are lost, which is a gap with a reason
 * and a description.
 */
export function checkContinuity(facts: ContinuityFacts): { reason: GapReason; detail: string } | null {
  const { stored, slot, slotName } = facts
  if (facts.systemIdentifier !== stored.systemIdentifier)
    return {
      reason: 'other cluster',
      detail: `DATABASE_URL leads to the cluster ${facts.systemIdentifier}; walhook has captured ${stored.systemIdentifier} so far`,
    }
  if (facts.walEnd < stored.commitLsn)
    return {
      reason: 'other history',
      detail: `the source's WAL ends at ${formatLsn(facts.walEnd)}, before ${formatLsn(stored.commitLsn)}, which walhook has stored: the source was restored from a backup, or lost WAL`,
    }
  if (facts.forkLsn !== null && (facts.forkLsn === 'unrelated' || stored.commitLsn >= facts.forkLsn))
    return {
      reason: 'other history',
      detail:
        facts.forkLsn === 'unrelated'
          ? `the source's WAL does not come from the timeline that walhook captured`
          : `the source's WAL left the captured timeline at ${formatLsn(facts.forkLsn)}, before ${formatLsn(stored.commitLsn)}, which walhook has stored: the source was restored to an earlier time, or the promoted standby had not received everything`,
    }
  if (!slot)
    return {
      reason: 'slot missing',
      detail: `the replication slot ${slotName} was dropped, or did not survive a failover`,
    }
  if (slot.isInvalidated)
    return {
      reason: 'slot invalidated',
      detail: `PostgreSQL removed WAL that walhook had not read from the replication slot ${slotName} (max_slot_wal_keep_size)`,
    }
  if (!facts.hasPublication)
    return {
      reason: 'publication missing',
      detail: `the publication ${facts.publicationName} was dropped, and the slot can't read changes from the time without it`,
    }
  const reached = lower(stored.confirmedLsn, facts.forkLsn)
  if (reached !== null && slot.confirmedLsn > reached)
    return {
      reason: 'slot moved',
      detail: `the replication slot ${slotName} is at ${formatLsn(slot.confirmedLsn)}, and walhook has confirmed only up to ${formatLsn(reached)}`,
    }
  return null
}

/** A position confirmed after the fork belongs to another timeline. */
function lower(confirmed: Lsn | null, fork: ContinuityFacts['forkLsn']): Lsn | null {
  return typeof fork === 'bigint' && confirmed !== null && fork < confirmed ? fork : confirmed
}
