import type { PoolClient } from 'pg'
import { judgeSource } from '../../domain/capture/captured.ts'
import type { EntityMapping } from '../../domain/mapping/mapping.ts'
import { type Lsn, parseLsn } from '../../domain/value/lsn.ts'
import type { Problem } from '../../domain/value/problem.ts'
import { type Outbox, transaction } from '../../outbox/database/database.ts'
import {
  createPosition,
  otherSlots,
  type Position,
  readPosition,
  takeBackNote,
} from '../../outbox/log/position.ts'
import { type Remembered, readRemembered, remember } from '../../outbox/source/captured.ts'
import { listOpenGaps, openGap, withdrawGap } from '../../outbox/source/gaps.ts'
import { type ContinuityFacts, judgeContinuity } from '../continuity/continuity.ts'
import { type Interruptions, recordInterruptions } from '../continuity/interruptions.ts'
import { lastGood } from '../continuity/last-good.ts'
import { type CapturedNow, readCaptured } from '../continuity/read-captured.ts'
import { readFork } from '../continuity/timeline.ts'
import { preflight } from '../source/preflight.ts'
import type { SourceFacts } from '../source/preflight-verdict.ts'
import { createSlot } from '../source/slot.ts'
import type { Source } from '../source/source.ts'
import { publish } from './publish.ts'

export type SetupResult =
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

/** Held while a slot is created, judged or replaced. */
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
    const { problems, facts: looked } = await preflight(source, { ...options, outbox })
    const position = await readPosition(outbox, options.slotName)
    // Another process may have stored more meanwhile: the end of the WAL is read after the position.
    const facts = looked.isStandby ? looked : { ...looked, walEnd: await readWalEnd(client) }
    if (!position) {
      problems.push(...(await obstaclesToBeginning(outbox, facts, options)))
      if (problems.length > 0) return { kind: 'blocked', problems, found: nothing }
      const remembered = await begin(client, outbox, facts, options)
      return { kind: 'ready', remembered, found: nothing }
    }
    const remembered = await readRemembered(outbox, options.slotName)
    const now = await readCaptured(client, { ...options, ...facts, before: remembered?.captured ?? null })
    const lost = await judge(source, outbox, { facts, position, remembered, now }, options)
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

type Judged = {
  readonly facts: SourceFacts
  readonly position: Position
  readonly remembered: Remembered | null
  readonly now: CapturedNow
}

/** Why everything is lost, or null; records a new gap. */
async function judge(
  source: Source,
  outbox: Outbox,
  at: Judged,
  options: Options,
): Promise<{ reason: string; detail: string } | null> {
  const { slotName, publicationName } = options
  const { remembered, now } = at
  const bySource = remembered && judgeSource(remembered.captured, now.captured, publicationName)
  const forkLsn = bySource ? null : await forkSince(source, at)
  const gap = bySource ?? judgeContinuity(continuityFacts({ ...at, forkLsn }, options))
  if (gap) {
    await openGap(outbox, { ...gap, slotName, fromLsn: lastGood(at, options.mapping) })
    return gap
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

/** Where the source's WAL left the captured timeline. */
async function forkSince(source: Source, { remembered, now }: Judged): Promise<Lsn | 'unrelated' | null> {
  const [was, is] = [remembered?.captured.timeline ?? now.captured.timeline, now.captured.timeline]
  return was === is ? null : ((await readFork(source.url, { was, now: is })) ?? 'unrelated')
}

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
      found: `not the slot ${other}, which this outbox was captured with so far: what happened since would be lost`,
      mend: `set WALHOOK_SLOT=${other}; or, to go on with ${options.slotName} and tell every row anew, run: walhook resync`,
    })
  return problems
}

function continuityFacts(
  { facts, position, forkLsn }: Judged & { forkLsn: Lsn | 'unrelated' | null },
  { slotName, publicationName }: Options,
): ContinuityFacts {
  const { slot, systemIdentifier } = facts
  return {
    slotName,
    publicationName,
    stored: position,
    systemIdentifier,
    forkLsn,
    walEnd: parseLsn(facts.walEnd),
    // An invalidated slot may have no position.
    slot: slot && {
      confirmedLsn: parseLsn(slot.confirmedLsn ?? '0/0'),
      isInvalidated: slot.walStatus === 'lost',
    },
    hasPublication: facts.publication !== null,
  }
}

function orphanedSlot({ slotName, publicationName }: Options): Problem {
  return {
    code: 'slot_orphaned',
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

async function readWalEnd(client: PoolClient): Promise<string> {
  const { rows } = await client.query('select pg_current_wal_insert_lsn()::text as lsn')
  return rows[0].lsn
}
