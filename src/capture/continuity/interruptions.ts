import { isDeepStrictEqual } from 'node:util'
import {
  capturedTables,
  compareCaptured,
  compareSource,
  type PartArrival,
  type RewriteVerdict,
  type SourceLoss,
  type TableLoss,
} from '../../domain/capture/captured.ts'
import { type EntityMapping, publishedTables, tableKey } from '../../domain/mapping/mapping.ts'
import { type Outbox, transaction } from '../../outbox/database/database.ts'
import { orderArrival } from '../../outbox/source/arrivals.ts'
import { type Remembered, remember } from '../../outbox/source/captured.ts'
import { closeTableGaps, openTableGap } from '../../outbox/source/table-gaps.ts'
import type { CapturedNow } from './read-captured.ts'

/** New losses since the last look, and the record to store (null: none yet). */
export type Interruptions = {
  readonly lost: SourceLoss | null
  readonly losses: readonly TableLoss[]
  /** New partitions, whose rows are to be sent. */
  readonly arrivals: readonly (PartArrival & { readonly name: string })[]
  readonly remembered: Remembered | null
}

/**
 * Compares the captured tables with the stored record. Gaps of interrupted tables, the new record, and the resyncs of new
 * partitions commit together. `isSound`: nothing prevents the tables' capture.
 */
export async function recordInterruptions(
  outbox: Outbox,
  options: { slotName: string; publicationName: string; mapping: readonly EntityMapping[] },
  inspected: { remembered: Remembered | null; now: CapturedNow; isSound: boolean; verdict?: RewriteVerdict },
): Promise<Interruptions> {
  const { slotName, mapping } = options
  const { remembered, now, isSound, verdict } = inspected
  const seen = { seenLsn: now.beforeLsn, seenXid: now.endedXid }
  if (!remembered) {
    if (!isSound) return { ...nothing, remembered: null }
    const first = { captured: now.captured, ...seen }
    await remember(outbox.pool, slotName, first)
    return { ...nothing, remembered: first }
  }
  const lost = compareSource(remembered.captured, now.captured, options.publicationName)
  if (lost) return { ...nothing, lost, remembered }
  const mapped = publishedTables(mapping).map(tableKey)
  const { losses, next, ...compared } = compareCaptured(remembered.captured, now.captured, {
    mapped,
    isSound,
    seenLsn: remembered.seenLsn,
    droppedOids: now.droppedOids,
    seenXid: remembered.seenXid,
    ...(verdict && { verdict }),
  })
  const arrivals = compared.arrivals.map(each => ({
    ...each,
    name: now.parts[each.oid]?.name ?? `${each.oid}`,
  }))
  const news = new Set<TableLoss>()
  if (losses.length > 0 || !isDeepStrictEqual(next, remembered.captured))
    await transaction(outbox.pool, async client => {
      for (const loss of losses)
        for (const entityType of entitiesOf(mapping, loss.table)) {
          const isNews = await openTableGap(client, {
            ...loss,
            slotName,
            entityType,
            tableName: loss.table,
            toLsn: loss.isOver ? now.afterLsn : null,
          })
          if (isNews) news.add(loss)
        }
      for (const { table, oid, name, fromLsn } of arrivals)
        await orderArrival(client, {
          slotName,
          entityTypes: entitiesOf(mapping, table),
          part: { tableName: table, oid, name },
          fromLsn,
        })
      await closeTableGaps(client, slotName, { tableNames: capturedTables(next), toLsn: now.afterLsn })
      await remember(client, slotName, { captured: next, ...seen })
    })
  return { lost: null, losses: [...news], arrivals, remembered: { captured: next, ...seen } }
}

const nothing = { lost: null, losses: [], arrivals: [] }

/** The entity types that depend on a table. */
export function entitiesOf(mapping: readonly EntityMapping[], table: string): string[] {
  return mapping
    .filter(entity => publishedTables([entity]).some(each => tableKey(each) === table))
    .map(({ entityType }) => entityType)
}
