import { compareCaptured } from '../../domain/capture/captured.ts'
import { type CheckLine, failure, ok, warning } from '../../domain/capture/check-line.ts'
import { type EntityMapping, publishedTables, tableKey } from '../../domain/mapping/mapping.ts'
import { formatLsn } from '../../domain/value/lsn.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import { readRemembered } from '../../outbox/source/captured.ts'
import { type Gap, listOpenGaps } from '../../outbox/source/gaps.ts'
import { openResyncs } from '../../outbox/source/resyncs.ts'
import { entitiesOf } from '../continuity/interruptions.ts'
import { readCaptured } from '../continuity/read-captured.ts'
import type { Source } from '../source/source.ts'

type Options = {
  readonly slotName: string
  readonly publicationName: string
  readonly mapping: readonly EntityMapping[]
  readonly systemIdentifier: string
}

/**
 * The recorded losses, and those that walhook will find: tables that were dropped, unpublished or replaced since. Records
 * nothing. An unused outbox has none.
 */
export async function gapLines(source: Source, outbox: Outbox, options: Options): Promise<CheckLine[]> {
  const { slotName, mapping } = options
  const open = await listOpenGaps(outbox, slotName)
  const told = new Set((await openResyncs(outbox, slotName)).flatMap(({ gapIds }) => gapIds))
  const lines = open.map(gap => lineOf(gap, told.has(gap.id)))
  const remembered = await readRemembered(outbox, slotName)
  if (!remembered) return lines
  const { captured: before, seenLsn, seenXid } = remembered
  const now = await readCaptured(source.pool, { ...options, before })
  // Another cluster or database is not comparable: a start reports everything lost.
  if (before.systemIdentifier !== options.systemIdentifier || before.databaseOid !== now.captured.databaseOid)
    return lines
  const mapped = publishedTables(mapping).map(tableKey)
  const { droppedOids } = now
  const seen = { seenLsn, seenXid, droppedOids }
  const { losses } = compareCaptured(before, now.captured, { mapped, isSound: true, ...seen })
  for (const { table, reason, detail, fromLsn } of losses)
    for (const entityType of entitiesOf(mapping, table))
      if (!open.some(gap => gap.tableName === table && gap.entityType === entityType))
        lines.push(
          warning(
            'gap_to_come',
            `table ${table}, changes for entity ${entityType}`,
            `lost since ${formatLsn(fromLsn)} (${reason}: ${detail}): the walhook that captures, or its next start, records a gap`,
            `start walhook, then run: walhook resync --entity ${entityType}`,
          ),
        )
  return lines.length > 0 ? lines : [ok('gap', 'changes', 'none are known to be lost')]
}

function lineOf({ tableName, entityType, reason, detail, fromLsn }: Gap, isToldAnew: boolean): CheckLine {
  const what =
    tableName === null ? 'changes of everything' : `table ${tableName}, changes for entity ${entityType}`
  const found = `lost since ${formatLsn(fromLsn)} (${reason}: ${detail})`
  if (isToldAnew)
    return warning('resyncing', what, `${found}; a resync is under way`, 'see how far it is: walhook resync')
  const command = entityType === null ? 'walhook resync' : `walhook resync --entity ${entityType}`
  return failure({ code: 'gap', what, found, mend: `run: ${command}` })
}
