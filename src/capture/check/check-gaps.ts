import { compareCaptured } from '../../domain/capture/captured.ts'
import { type CheckLine, failure, ok, warning } from '../../domain/capture/check-line.ts'
import { type EntityMapping, publishedTables, tableKey } from '../../domain/mapping/mapping.ts'
import { formatLsn } from '../../domain/value/lsn.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import { readPosition } from '../../outbox/log/position.ts'
import { type Gap, listOpenGaps } from '../../outbox/source/gaps.ts'
import { openResyncs } from '../../outbox/source/resyncs.ts'
import { entitiesOf } from '../continuity/interruptions.ts'
import { findLoss } from '../continuity/loss.ts'
import type { Source } from '../source/source.ts'
import type { SourceFacts } from '../verdict/preflight-verdict.ts'

type Options = {
  readonly slotName: string
  readonly publicationName: string
  readonly mapping: readonly EntityMapping[]
}

/**
 * The recorded losses, and those that walhook will find: of everything, where the slot is gone, say; of tables that were
 * dropped, unpublished or replaced since. Records nothing. An unused outbox has none.
 */
export async function gapLines(
  source: Source,
  outbox: Outbox,
  facts: SourceFacts,
  options: Options,
): Promise<CheckLine[]> {
  const { slotName, mapping } = options
  const position = await readPosition(outbox, slotName)
  const open = await listOpenGaps(outbox, slotName)
  const resyncing = new Set((await openResyncs(outbox, slotName)).flatMap(({ gapIds }) => gapIds))
  const lines = open.map(gap => lineOf(gap, resyncing.has(gap.id)))
  if (!position) return lines
  const { loss, remembered, now } = await findLoss(source, outbox, { facts, position }, options)
  if (loss && !open.some(({ tableName, toLsn }) => tableName === null && toLsn === null))
    lines.push(
      failure({
        code: 'gap_to_come',
        what: 'changes of everything',
        found: `lost since ${formatLsn(loss.fromLsn)} (${loss.reason}: ${loss.detail}): the next start records a gap`,
        mend: 'run: walhook resync',
      }),
    )
  if (loss || !remembered) return lines
  const { captured: before, seenLsn, seenXid } = remembered
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
            `lost since ${formatLsn(fromLsn)} (${reason}: ${detail}): the capturing process, or its next start, records a gap`,
            `start walhook, then run: walhook resync --entity ${entityType}`,
          ),
        )
  return lines.length > 0 ? lines : [ok('gap', 'changes', 'no loss is known')]
}

function lineOf({ tableName, entityType, reason, detail, fromLsn }: Gap, isResyncing: boolean): CheckLine {
  const what =
    tableName === null ? 'changes of everything' : `table ${tableName}, changes for entity ${entityType}`
  const found = `lost since ${formatLsn(fromLsn)} (${reason}: ${detail})`
  if (isResyncing)
    return warning('resyncing', what, `${found}; a resync is running`, 'its progress: walhook resync')
  const command = entityType === null ? 'walhook resync' : `walhook resync --entity ${entityType}`
  return failure({ code: 'gap', what, found, mend: `run: ${command}` })
}
