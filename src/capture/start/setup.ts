import type { PoolClient } from 'pg'
import type { EntityMapping } from '../../domain/mapping/mapping.ts'
import { parseLsn } from '../../domain/value/lsn.ts'
import type { Problem } from '../../domain/value/problem.ts'
import { type Outbox, transaction } from '../../outbox/database/database.ts'
import { createPosition, otherSlots, readPosition, takeBackNote } from '../../outbox/log/position.ts'
import { type Remembered, remember } from '../../outbox/source/captured.ts'
import { listOpenGaps, openGap, withdrawGap } from '../../outbox/source/gaps.ts'
import { type Interruptions, recordInterruptions } from '../continuity/interruptions.ts'
import { findLoss, type LossFound } from '../continuity/loss.ts'
import { readCaptured } from '../continuity/read-captured.ts'
import { preflight } from '../source/preflight.ts'
import { createSlot } from '../source/slot.ts'
import type { Source } from '../source/source.ts'
import type { SourceFacts } from '../verdict/preflight-verdict.ts'
import { publish } from './publish.ts'

type SetupResult =
  | {
      readonly kind: 'ready'
      readonly remembered: Remembered
      readonly found: Found
    }
  | { readonly kind: 'blocked'; readonly problems: readonly Problem[]; readonly found: Found }
  | { readonly kind: 'lost'; readonly reason: string; readonly detail: string }

type Found = Pick<Interruptions, 'losses' | 'arrivals'>
const nothing: Found = { losses: [], arrivals: [] }

type Options = {
  slotName: string
  publicationName: string
  mapping: readonly EntityMapping[]
  onWaiting: (forWhat: string) => void
}

/** Held while a slot is created, checked or replaced. */
export const slotLock = 0x77616c68

/**
 * Creates what is missing, in this order: publication, slot (one older than its publication fails on the changes in between),
 * position. Objects that existed once are never silently created again, because changes may be lost: that is a gap, and a gap
 * of everything needs a resync. Any number of processes may call it at once.
 */
export async function setUp(source: Source, outbox: Outbox, options: Options): Promise<SetupResult> {
  const client = await source.pool.connect()
  try {
    await client.query('select pg_advisory_lock($1)', [slotLock])
    const { problems, facts } = await preflight(source, { ...options, outbox })
    const position = await readPosition(outbox, options.slotName)
    if (!position) {
      problems.push(...(await obstaclesToBeginning(outbox, facts, options)))
      if (problems.length > 0) return { kind: 'blocked', problems, found: nothing }
      const remembered = await begin(client, outbox, facts, options)
      return { kind: 'ready', remembered, found: nothing }
    }
    const checked = await findLoss(source, outbox, { facts, position }, options)
    const { remembered, now } = checked
    const lost = await recordLoss(outbox, checked, options)
    if (lost) return { kind: 'lost', ...lost }
    const isSound = problems.length === 0
    const found = await recordInterruptions(outbox, options, { remembered, now, isSound })
    if (!isSound || !found.remembered) return { kind: 'blocked', problems, found }
    return { kind: 'ready', remembered: found.remembered, found }
  } finally {
    // Closing the connection releases the lock, whatever its state.
    client.release(true)
  }
}

/** Why everything is lost, or null; records a new gap. */
async function recordLoss(
  outbox: Outbox,
  { loss, forkLsn }: LossFound,
  { slotName }: Options,
): Promise<{ reason: string; detail: string } | null> {
  if (loss) {
    await openGap(outbox, { ...loss, slotName })
    return loss
  }
  if (typeof forkLsn === 'bigint') await takeBackNote(outbox, slotName, forkLsn)
  const open = (await listOpenGaps(outbox, slotName)).find(
    ({ tableName, toLsn }) => tableName === null && toLsn === null,
  )
  if (open && isOfAddress(open))
    await withdrawGap(outbox, open.id, 'DATABASE_URL leads back to what was captured')
  return open && !isOfAddress(open) ? open : null
}

/** A gap caused by a wrong DATABASE_URL: with the old one, nothing was lost. */
const isOfAddress = ({ reason }: { reason: string }) =>
  reason === 'other cluster' || reason === 'other database'

async function obstaclesToBeginning(
  outbox: Outbox,
  facts: SourceFacts,
  options: Options,
): Promise<Problem[]> {
  const problems: Problem[] = []
  if (facts.slot && !facts.publication) problems.push(orphanedSlot(options))
  const [other] = await otherSlots(outbox.pool, options.slotName)
  if (other !== undefined)
    problems.push({
      code: 'other_slot',
      what: `replication slot ${options.slotName}`,
      found: `not the slot ${other}, which this outbox used before: the changes since would be lost`,
      mend: `set WALHOOK_SLOT=${other}; or, to continue with ${options.slotName} and send every row again, run: walhook resync`,
    })
  return problems
}

function orphanedSlot({ slotName, publicationName }: Options): Problem {
  return {
    code: 'slot_orphaned',
    what: `publication ${publicationName}`,
    found: `missing, although the replication slot ${slotName} exists`,
    mend: `a slot cannot read WAL that was written without its publication. Drop it: select pg_drop_replication_slot('${slotName}');`,
  }
}

/** The first start: from here on everything is captured. */
async function begin(
  client: PoolClient,
  outbox: Outbox,
  facts: SourceFacts,
  options: Options,
): Promise<Remembered> {
  const { slotName } = options
  if (!facts.publication) await publish(client, options.publicationName, options.mapping, facts)
  // Before the slot: changes in between are noticed at the next look.
  const {
    captured,
    beforeLsn: seenLsn,
    endedXid: seenXid,
  } = await readCaptured(client, {
    ...options,
    ...facts,
  })
  const remembered = { captured, seenLsn, seenXid }
  const startsAt = parseLsn(facts.slot?.confirmedLsn ?? (await createSlot(client, slotName, options)))
  await transaction(outbox.pool, async tx => {
    await createPosition(tx, slotName, { systemIdentifier: facts.systemIdentifier, commitLsn: startsAt })
    await remember(tx, slotName, remembered)
  }).catch(async error => {
    // Another slot was first: an unread one would retain WAL.
    if (!facts.slot && error.constraint === 'positions_only_one')
      await client.query('select pg_drop_replication_slot($1)', [slotName])
    throw error
  })
  return remembered
}
