import type { PoolClient } from 'pg'
import { describeProgress } from '../../domain/capture/resync.ts'
import type { EntityMapping } from '../../domain/mapping/mapping.ts'
import { tableKey } from '../../domain/mapping/mapping.ts'
import { formatLsn, type Lsn, parseLsn } from '../../domain/value/lsn.ts'
import type { Problem } from '../../domain/value/problem.ts'
import { type Outbox, transaction } from '../../outbox/database/database.ts'
import { otherSlots, readPosition, renameSlot, restartPosition } from '../../outbox/log/position.ts'
import { readRemembered, remember } from '../../outbox/source/captured.ts'
import { type Gap, listOpenGaps, noteLost, recordGap } from '../../outbox/source/gaps.ts'
import { beginResyncs, openResyncs } from '../../outbox/source/resyncs.ts'
import { lastGood } from '../continuity/last-good.ts'
import { findLoss, type Loss } from '../continuity/loss.ts'
import { type CapturedNow, readCaptured } from '../continuity/read-captured.ts'
import { preflight, readFacts } from '../source/preflight.ts'
import { readCatalogue } from '../source/read-catalogue.ts'
import { createSlot } from '../source/slot.ts'
import type { Queryable, Source } from '../source/source.ts'
import { publish } from '../start/publish.ts'
import { slotLock } from '../start/setup.ts'
import type { Catalogue } from '../verdict/catalogue.ts'
import { checkPublication } from '../verdict/publication-verdict.ts'

type ResyncOptions = {
  slotName: string
  publicationName: string
  mapping: readonly EntityMapping[]
  onWaiting: (forWhat: string) => void
}

type ResyncResult =
  | { readonly ok: true; readonly fromLsn: Lsn }
  | { readonly ok: false; readonly problems: readonly Problem[] }

/** The reason for resyncing everything: an open gap of everything, or another slot than before. Null: none. */
export type Occasion =
  | { readonly gap: Gap }
  /** A loss that the next start would record. */
  | { readonly loss: Loss }
  | { readonly otherSlot: string }
  /** A person skips what can't be read or stored. */
  | { readonly givenUpFrom: Lsn }

export async function occasionOf(outbox: Outbox, slotName: string): Promise<Occasion | null> {
  const gap = (await listOpenGaps(outbox, slotName)).find(({ tableName }) => tableName === null)
  if (gap) return { gap }
  if (await readPosition(outbox, slotName)) return null
  const [otherSlot] = await otherSlots(outbox.pool, slotName)
  return otherSlot === undefined ? null : { otherSlot }
}

/** A loss that nobody has recorded: the slot was dropped, say, while walhook was stopped. */
export async function unrecordedLoss(
  source: Source,
  outbox: Outbox,
  options: Omit<ResyncOptions, 'onWaiting'>,
): Promise<Occasion | null> {
  const facts = await readFacts(source, options)
  const position = await readPosition(outbox, options.slotName)
  if (!position) return null
  const { loss } = await findLoss(source, outbox, { facts, position }, options)
  return loss && { loss }
}

/** The occasion of skipping what is not stored yet; null: nothing is captured. */
export async function givingUp(outbox: Outbox, slotName: string): Promise<Occasion | null> {
  const position = await readPosition(outbox, slotName)
  return position && { givenUpFrom: position.commitLsn }
}

/**
 * Starts again after a gap: creates a new slot with the old one's flags, and in one commit moves the position to its start
 * and requests a resync of every entity type. From there everything is captured; the resyncs send what was lost
 * (`resync-entity.ts`), and the last page ends the gap. A crash at any moment leaves at most an unused slot, which the next
 * resync drops.
 */
export async function beginResync(
  source: Source,
  outbox: Outbox,
  occasion: Occasion,
  options: ResyncOptions,
): Promise<ResyncResult> {
  const { slotName } = options
  await using lock = await lockSlot(source)
  const { problems, facts, catalogue, living } = await preflight(source, { ...options, outbox })
  const { mapping } = living
  // With a slot, a missing publication is a gap rather than a problem; here it must be created.
  if (facts.slot && !facts.publication)
    problems.push(...checkPublication({ ...facts, slot: null }, catalogue, { ...options, mapping }))
  const { rows } = await lock.query('select active_pid from pg_replication_slots where slot_name = $1', [
    slotName,
  ])
  if (rows[0]?.active_pid)
    problems.push({
      code: 'slot_in_use',
      what: `replication slot ${slotName}`,
      found: 'in use',
      mend: 'stop the walhook that reads it. Nothing is lost as long as it can read the slot',
    })
  if (problems.length > 0) return { ok: false, problems }
  if (!facts.publication) await publish(lock, options.publicationName, mapping, facts)
  if (facts.slot) await lock.query('select pg_drop_replication_slot($1)', [slotName])
  const now = await readCaptured(lock, { ...options, ...facts })
  const { captured, beforeLsn: seenLsn, endedXid: seenXid } = now
  const fromLsn = await lastGoodOf(outbox, 'otherSlot' in occasion ? occasion.otherSlot : slotName, {
    now,
    mapping,
  })
  const { onWaiting } = options
  const startsAt = parseLsn(await createSlot(lock, slotName, { flags: facts.slot, onWaiting }))
  const { systemIdentifier } = facts
  await transaction(outbox.pool, async client => {
    if ('otherSlot' in occasion) await goOnFrom(client, { ...occasion, slotName, fromLsn })
    if ('givenUpFrom' in occasion) await recordGap(client, { ...givenUp, slotName, fromLsn })
    if ('loss' in occasion && (await recordGap(client, { ...occasion.loss, slotName })))
      await noteLost(client, { ...occasion.loss, slotName, entityType: null, tableName: null })
    await restartPosition(client, slotName, { systemIdentifier, commitLsn: startsAt })
    await remember(client, slotName, { captured, seenLsn, seenXid })
    const entityTypes = mapping.map(({ entityType }) => entityType)
    await beginResyncs(client, { slotName, entityTypes })
  })
  return { ok: true, fromLsn: startsAt }
}

/** Everything between the position and the new slot: a gap like any other. */
const givenUp = {
  reason: 'given up',
  detail: 'a forced resync skipped the changes that were not stored by then',
}

/** The end of complete capture with a slot: tables may have been interrupted unnoticed. */
async function lastGoodOf(
  outbox: Outbox,
  slotName: string,
  { now, mapping }: { now: CapturedNow; mapping: readonly EntityMapping[] },
): Promise<Lsn> {
  const position = await readPosition(outbox, slotName)
  return position
    ? lastGood({ position, remembered: await readRemembered(outbox, slotName), now }, mapping)
    : now.beforeLsn
}

/** Takes over from another slot; everything since is a gap. */
async function goOnFrom(
  client: PoolClient,
  { otherSlot, ...since }: { otherSlot: string; slotName: string; fromLsn: Lsn },
): Promise<void> {
  await renameSlot(client, otherSlot, since.slotName)
  const detail = `walhook used the replication slot ${otherSlot} before`
  await recordGap(client, { ...since, reason: 'other slot', detail })
}

async function lockSlot(source: Source): Promise<Queryable & AsyncDisposable> {
  const client = await source.pool.connect()
  const disposable = Object.assign(client, { [Symbol.asyncDispose]: async () => client.release(true) })
  await client.query('select pg_advisory_lock($1)', [slotLock])
  return disposable
}

/** A description of the resync, for confirmation. */
export async function describeResync(
  source: Source,
  occasion: Occasion,
  options: ResyncOptions,
): Promise<string[]> {
  const catalogue = await readCatalogue(source, options.mapping)
  const lines = [
    'gap' in occasion
      ? describeLoss(occasion.gap)
      : 'loss' in occasion
        ? `Changes are lost since ${formatLsn(occasion.loss.fromLsn)}: ${occasion.loss.reason}, ${occasion.loss.detail}.`
        : 'givenUpFrom' in occasion
          ? `No loss is known. A forced resync skips the changes after ${formatLsn(occasion.givenUpFrom)} that are not stored yet: from there to the new slot is a gap.`
          : `This outbox used the replication slot ${occasion.otherSlot} before: to continue from there, set WALHOOK_SLOT=${occasion.otherSlot}. If ${options.slotName} replaces it, the changes in between are lost, and you must drop ${occasion.otherSlot}, which retains WAL.`,
    `A resync drops the replication slot ${options.slotName}, if it exists, and creates a new one. While walhook captures everything from there on, it sends to every webhook with the trigger:`,
  ]
  for (const entity of options.mapping) lines.push(await describeEntity(source, catalogue, entity))
  const force = 'givenUpFrom' in occasion ? '--force ' : ''
  lines.push(`Nothing has changed yet. To start it: walhook resync ${force}--yes`)
  return lines
}

/** A loss in words. */
export function describeLoss({ fromLsn, toLsn, foundAt, tableName, reason, detail }: Gap): string {
  const of = tableName === null ? '' : ` of ${tableName}`
  const range = `${toLsn === null ? 'since' : 'from'} ${formatLsn(fromLsn)}${toLsn === null ? '' : ` to ${formatLsn(toLsn)}`}`
  return `Changes${of} are lost ${range} (found ${foundAt.toISOString()}): ${reason}, ${detail}.`
}

/** A resync of one entity type in words. */
export async function describeEntity(
  source: Source,
  catalogue: Catalogue,
  { entityType, table }: EntityMapping,
): Promise<string> {
  const { rows } = await source.pool.query(
    `select greatest(reltuples, 0)::bigint as n from pg_class where oid = $1`,
    [catalogue.tables.get(tableKey(table))?.oid ?? 0],
  )
  return `  ${entityType}: update or new for each existing row (about ${rows[0]?.n ?? 0}), delete for each ${entityType} that no longer exists`
}

/** The progress of running resyncs in words. */
export async function describeResyncs(outbox: Outbox, gap: Gap, slotName: string): Promise<string[]> {
  return [
    `The resync of the gap from ${formatLsn(gap.fromLsn)} to ${formatLsn(gap.toLsn!)} is running: walhook captures everything since, and the capturing process sends the rest:`,
    ...(await openResyncs(outbox, slotName))
      .filter(({ fanOut }) => fanOut === null)
      .map(each => `  ${describeProgress(each)}`),
  ]
}
