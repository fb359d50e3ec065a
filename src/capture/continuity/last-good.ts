import { compareCaptured, rewritten } from '../../domain/capture/captured.ts'
import { type EntityMapping, publishedTables, tableKey } from '../../domain/mapping/mapping.ts'
import { earliest, type Lsn } from '../../domain/value/lsn.ts'
import type { Position } from '../../outbox/log/position.ts'
import type { Remembered } from '../../outbox/source/captured.ts'
import type { CapturedNow } from './read-captured.ts'

/**
 * The position up to which nothing is lost. Single tables may have been interrupted before the stored position: the resync of
 * everything replaces their record, so nobody would notice later.
 */
export function lastGood(
  { position, remembered, now }: { position: Position; remembered: Remembered | null; now: CapturedNow },
  mapping: readonly EntityMapping[],
): Lsn {
  const { commitLsn } = position
  // WAL positions of different clusters are unrelated.
  if (!remembered || remembered.captured.systemIdentifier !== now.captured.systemIdentifier) return commitLsn
  const { captured, seenLsn, seenXid } = remembered
  const isRemade = captured.publication?.oid !== now.captured.publication?.oid
  const mapped = publishedTables(mapping).map(tableKey)
  const { losses } = compareCaptured(captured, now.captured, { mapped, isSound: false, seenLsn, seenXid })
  // Whether a partition with a replaced file was truncated can't be found out then.
  const isDoubtful = isRemade || rewritten(captured, now.captured, seenXid).length > 0
  return earliest(commitLsn, ...(isDoubtful ? [seenLsn] : []), ...losses.map(({ fromLsn }) => fromLsn))
}
