import { formatLsn, type Lsn } from '../../domain/value/lsn.ts'

/** Why changes were lost: the reasons of `walhook.gaps`. */
export type GapReason =
  | 'slot missing'
  | 'slot invalidated'
  | 'slot moved'
  | 'slot older than publication'
  | 'publication missing'
  | 'publication remade'
  | 'other cluster'
  | 'other database'
  | 'other history'

/** What is stored so far, and what the source says of itself now. */
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
  /** Where the source's WAL has left the timeline that was captured; null: it has not. */
  readonly forkLsn: Lsn | 'unrelated' | null
  readonly slot: { readonly confirmedLsn: Lsn; readonly isInvalidated: boolean } | null
  readonly hasPublication: boolean
}

/**
 * Judges whether the slot goes on exactly where the outbox ends. Where it does not, changes are lost, and are never
 * passed over in silence: the gap has a reason, and in plain words what has happened.
 */
export function judgeContinuity(facts: ContinuityFacts): { reason: GapReason; detail: string } | null {
  const { stored, slot, slotName } = facts
  if (facts.systemIdentifier !== stored.systemIdentifier)
    return {
      reason: 'other cluster',
      detail: `DATABASE_URL leads to the cluster ${facts.systemIdentifier}, and ${stored.systemIdentifier} was captured so far`,
    }
  if (facts.walEnd < stored.commitLsn)
    return {
      reason: 'other history',
      detail: `the source ends at ${formatLsn(facts.walEnd)}, before ${formatLsn(stored.commitLsn)}, which is stored: it was restored from a backup or lost what it had written`,
    }
  if (facts.forkLsn !== null && (facts.forkLsn === 'unrelated' || stored.commitLsn >= facts.forkLsn))
    return {
      reason: 'other history',
      detail:
        facts.forkLsn === 'unrelated'
          ? `the source's WAL does not come from the timeline that was captured`
          : `the source's WAL has left the timeline that was captured at ${formatLsn(facts.forkLsn)}, before ${formatLsn(stored.commitLsn)}, which is stored: it was restored to an earlier time, or the standby that took over had not received everything`,
    }
  if (!slot)
    return {
      reason: 'slot missing',
      detail: `the replication slot ${slotName} was dropped, or did not survive a failover`,
    }
  if (slot.isInvalidated)
    return {
      reason: 'slot invalidated',
      detail: `PostgreSQL has removed WAL that the replication slot ${slotName} had not read (max_slot_wal_keep_size)`,
    }
  if (!facts.hasPublication)
    return {
      reason: 'publication missing',
      detail: `the publication ${facts.publicationName} was dropped, and the slot can't read what was written without it`,
    }
  const reached = lower(stored.confirmedLsn, facts.forkLsn)
  if (reached !== null && slot.confirmedLsn > reached)
    return {
      reason: 'slot moved',
      detail: `the replication slot ${slotName} stands at ${formatLsn(slot.confirmedLsn)}, and walhook has confirmed no more than ${formatLsn(reached)}`,
    }
  return null
}

/** What was confirmed of another timeline behind the fork says nothing of this one. */
function lower(confirmed: Lsn | null, fork: ContinuityFacts['forkLsn']): Lsn | null {
  return typeof fork === 'bigint' && confirmed !== null && fork < confirmed ? fork : confirmed
}
