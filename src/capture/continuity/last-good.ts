import { compareCaptured, rewritten } from '../../domain/capture/captured.ts'
import { type EntityMapping, publishedTables, tableKey } from '../../domain/mapping/mapping.ts'
import { earliest, type Lsn } from '../../domain/value/lsn.ts'
import type { Position } from '../../outbox/log/position.ts'
import type { Remembered } from '../../outbox/source/captured.ts'
import type { CapturedNow } from './read-captured.ts'

/**
 * Up to where nothing is lost. What is stored of one table says nothing of another, which may have been interrupted before:
 * the resync that ends the gap of everything remembers the tables as they are then, and nobody would look for it again.
 */
export function lastGood(
  { position, remembered, now }: { position: Position; remembered: Remembered | null; now: CapturedNow },
  mapping: readonly EntityMapping[],
): Lsn {
  const { commitLsn } = position
  // Positions in the WAL of one cluster say nothing of another's.
  if (!remembered || remembered.captured.systemIdentifier !== now.captured.systemIdentifier) return commitLsn
  const { captured, seenLsn, seenXid } = remembered
  const isRemade = captured.publication?.oid !== now.captured.publication?.oid
  const mapped = publishedTables(mapping).map(tableKey)
  const { losses } = compareCaptured(captured, now.captured, { mapped, isSound: false, seenLsn, seenXid })
  // What was done to a partition with another file is never known then.
  const isDoubtful = isRemade || rewritten(captured, now.captured, seenXid).length > 0
  return earliest(commitLsn, ...(isDoubtful ? [seenLsn] : []), ...losses.map(({ fromLsn }) => fromLsn))
}
