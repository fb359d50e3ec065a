import { formatLsn, type Lsn, parseLsn } from '../domain/lsn.ts'
import type { EntityMapping } from '../domain/mapping.ts'
import { tableKey } from '../domain/mapping.ts'
import type { Problem } from '../domain/problem.ts'
import { describeProgress } from '../domain/resync.ts'
import { type Outbox, transaction } from '../outbox/database.ts'
import { type Gap, listGaps } from '../outbox/gaps.ts'
import { restartPosition } from '../outbox/position.ts'
import { beginResyncs, openResyncs } from '../outbox/resyncs.ts'
import { readCatalogue } from './catalogue.ts'
import { preflight } from './preflight.ts'
import { createPublication } from './publication-verdict.ts'
import { slotLock } from './setup.ts'
import { createSlot } from './slot.ts'
import type { Queryable, Source } from './source.ts'

export type ResyncOptions = {
  slotName: string
  publicationName: string
  mapping: readonly EntityMapping[]
  onWaiting: (forWhat: string) => void
}

export type ResyncResult =
  | { readonly ok: true; readonly fromLsn: Lsn }
  | { readonly ok: false; readonly problems: readonly Problem[] }

/** The gap of the slot that is open, or null: nothing is lost. */
export async function openGapOf(outbox: Outbox, slotName: string): Promise<Gap | null> {
  return (await listGaps(outbox, slotName)).find(({ resyncedAt }) => resyncedAt === null) ?? null
}

/**
 * Begins anew after a gap: makes a new slot with the flags of the one before, and in one commit of the outbox moves the
 * position to where it begins and orders a resync of every entity type. From there on everything is captured; whoever
 * captures tells what was lost, page by page (`resync-entity.ts`), and the gap ends with the last page. Killed at any
 * moment it has done nothing, but perhaps made a slot that the next resync drops.
 */
export async function beginResync(
  source: Source,
  outbox: Outbox,
  gap: Gap,
  options: ResyncOptions,
): Promise<ResyncResult> {
  const { slotName, mapping } = options
  await using lock = await lockSlot(source)
  const { problems, facts } = await preflight(source, options)
  const { rows } = await lock.query('select active_pid from pg_replication_slots where slot_name = $1', [
    slotName,
  ])
  if (rows[0]?.active_pid)
    problems.push({
      what: `replication slot ${slotName}`,
      found: 'in use',
      mend: 'stop the walhook that reads it: nothing is lost while it can be read',
    })
  if (problems.length > 0) return { ok: false, problems }
  if (facts.slot) await lock.query('select pg_drop_replication_slot($1)', [slotName])
  if (!facts.publication) await lock.query(createPublication(options.publicationName, mapping, facts))
  const { onWaiting } = options
  const startsAt = parseLsn(await createSlot(lock, slotName, { flags: facts.slot, onWaiting }))
  const { systemIdentifier } = facts
  await transaction(outbox.pool, async client => {
    await restartPosition(client, slotName, { systemIdentifier, commitLsn: startsAt })
    const entityTypes = mapping.map(({ entityType }) => entityType)
    await beginResyncs(client, { slotName, gapId: gap.id, entityTypes })
  })
  return { ok: true, fromLsn: startsAt }
}

async function lockSlot(source: Source): Promise<Queryable & AsyncDisposable> {
  const client = await source.pool.connect()
  const disposable = Object.assign(client, { [Symbol.asyncDispose]: async () => client.release(true) })
  await client.query('select pg_advisory_lock($1)', [slotLock])
  return disposable
}

/** What a resync will do, in words for whoever is about to say yes. */
export async function describeResync(source: Source, gap: Gap, options: ResyncOptions): Promise<string[]> {
  const catalogue = await readCatalogue(source, options.mapping)
  const lines = [
    `Changes are lost since ${formatLsn(gap.fromLsn)} (found ${gap.foundAt.toISOString()}): ${gap.reason}, ${gap.detail}.`,
    `A resync drops the replication slot ${options.slotName} if it is there, and makes a new one. While everything from there on is captured, walhook sends to every webhook that has the trigger:`,
  ]
  for (const { entityType, table } of options.mapping) {
    const { rows } = await source.pool.query(
      `select greatest(reltuples, 0)::bigint as n from pg_class where oid = $1`,
      [catalogue.tables.get(tableKey(table))?.oid ?? 0],
    )
    lines.push(
      `  ${entityType}: update or new for each row there is (about ${rows[0]?.n ?? 0}), delete for each ${entityType} that was told of and is gone`,
    )
  }
  lines.push('Nothing has been changed yet. To do it: walhook resync --yes')
  return lines
}

/** How far a resync is that has begun, in words. */
export async function describeResyncs(outbox: Outbox, gap: Gap, slotName: string): Promise<string[]> {
  return [
    `The resync of what was lost from ${formatLsn(gap.fromLsn)} to ${formatLsn(gap.toLsn!)} is under way: everything since is captured, and the walhook that captures tells the rest:`,
    ...(await openResyncs(outbox, slotName)).map(each => `  ${describeProgress(each)}`),
  ]
}
