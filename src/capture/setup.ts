import type { PoolClient } from 'pg'
import { parseLsn } from '../domain/lsn.ts'
import type { EntityMapping } from '../domain/mapping.ts'
import type { Problem } from '../domain/problem.ts'
import type { Outbox } from '../outbox/database.ts'
import { openGap } from '../outbox/gaps.ts'
import { createPosition, type Position, readPosition } from '../outbox/position.ts'
import { type GapReason, judgeContinuity } from './continuity.ts'
import { preflight } from './preflight.ts'
import type { SourceFacts } from './preflight-verdict.ts'
import { createPublication } from './publication-verdict.ts'
import { createSlot } from './slot.ts'
import type { Source } from './source.ts'

export type SetupResult =
  | { readonly kind: 'ready'; readonly walSenderTimeoutMs: number }
  | { readonly kind: 'blocked'; readonly problems: readonly Problem[] }
  | { readonly kind: 'lost'; readonly reason: GapReason; readonly detail: string }

type Options = {
  slotName: string
  publicationName: string
  mapping: readonly EntityMapping[]
  onWaiting: (forWhat: string) => void
}

/** Held by whoever makes, judges or replaces a slot. */
export const slotLock = 0x77616c68

/**
 * Makes what capture needs and does not find yet, in this order: the publication, then the slot (a slot older
 * than its publication fails on the changes between), then the position from which the slot reads. What was
 * there once and is gone is never silently made again: what happened meanwhile would be lost without a word. It is
 * recorded as a gap instead. Any number of processes may call it at once.
 */
export async function setUp(source: Source, outbox: Outbox, options: Options): Promise<SetupResult> {
  const client = await source.pool.connect()
  try {
    await client.query('select pg_advisory_lock($1)', [slotLock])
    const { problems, facts } = await preflight(source, options)
    const position = await readPosition(outbox, options.slotName)
    if (position) {
      const gap = judgeContinuity(continuityFacts(facts, position, options))
      if (gap) {
        await openGap(outbox, { ...gap, slotName: options.slotName, fromLsn: position.commitLsn })
        return { kind: 'lost', ...gap }
      }
    } else if (facts.slot && !facts.publication) problems.push(orphanedSlot(options))
    if (problems.length > 0) return { kind: 'blocked', problems }
    if (!position) await begin(client, outbox, facts, options)
    // A timeout of 0 means that the server never gives up on a link; we still do.
    return { kind: 'ready', walSenderTimeoutMs: facts.walSenderTimeoutMs || 60_000 }
  } finally {
    // Ending the connection gives the lock back, whatever state the connection is in.
    client.release(true)
  }
}

function continuityFacts(facts: SourceFacts, stored: Position, { slotName, publicationName }: Options) {
  const { slot, systemIdentifier } = facts
  return {
    slotName,
    publicationName,
    stored,
    systemIdentifier,
    walEnd: parseLsn(facts.walEnd),
    // An invalidated slot may have no position at all.
    slot: slot && {
      confirmedLsn: parseLsn(slot.confirmedLsn ?? '0/0'),
      isInvalidated: slot.walStatus === 'lost',
    },
    hasPublication: facts.publication !== null,
  }
}

function orphanedSlot({ slotName, publicationName }: Options): Problem {
  return {
    what: `publication ${publicationName}`,
    found: `missing, although the replication slot ${slotName} is there`,
    mend: `a slot can't read what was written without its publication. Drop it: select pg_drop_replication_slot('${slotName}');`,
  }
}

/** The first start: from here on everything is captured. */
async function begin(
  client: PoolClient,
  outbox: Outbox,
  facts: SourceFacts,
  options: Options,
): Promise<void> {
  const { slotName } = options
  if (!facts.publication)
    await client.query(createPublication(options.publicationName, options.mapping, facts))
  const startsAt = facts.slot?.confirmedLsn ?? (await createSlot(client, slotName, options))
  const { systemIdentifier } = facts
  await createPosition(outbox, slotName, { systemIdentifier, commitLsn: parseLsn(startsAt) })
}
