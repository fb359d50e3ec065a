import type { Backfill } from '../../domain/capture/backfill.ts'
import type { Lost } from '../../domain/capture/lost-texts.ts'
import type { Resync } from '../../domain/capture/resync.ts'
import { timeOf } from '../../domain/value/time-id.ts'
import type { CellState } from '../../outbox/cells/cells.ts'
import { type Position, readPosition } from '../../outbox/log/position.ts'
import { type EventLine, findLastEvent } from '../../outbox/reading/events.ts'
import { type QueueDepth, queueDepth } from '../../outbox/reading/queue-total.ts'
import { failedBackfills } from '../../outbox/source/backfills.ts'
import { type Gap, listGaps } from '../../outbox/source/gaps.ts'
import { openResyncs } from '../../outbox/source/resyncs.ts'
import { overCells } from '../kit/cells.ts'
import type { CaptureStatus, Control, MappingState } from '../kit/control.ts'
import { sumQueues } from './sums.ts'

export { maxBehind } from '../../outbox/cells/cells.ts'
export type { Gap }

export type Status = {
  readonly capture: CaptureStatus
  readonly position: Position | null
  readonly lastEvent: EventLine | null
  readonly gaps: readonly Gap[]
  readonly resyncs: readonly Resync[]
  /** Recently failed backfills without a restart. */
  readonly failedBackfills: readonly Backfill[]
  /** The objects of the mapping that the source has dropped; null: it is unavailable. */
  readonly mappingLost: readonly Lost[] | null
  /** Null: unknown. */
  readonly mapping: MappingState | null
  /** Of the cells that answer. */
  readonly queue: QueueDepth
  /** All cells, main first. */
  readonly cells: readonly CellState[]
  /** How far the newest event's id is in the future, in ms: a clock was ahead when it was assigned. */
  readonly idsAheadMs: number
}

/** The source's WAL beyond the stored or known position; null: unknown. */
export function lagBytes({ capture: { source }, position }: Status): number | null {
  if (!source || !position) return null
  const confirmed = source.confirmedLsn ?? 0n
  const stored = position.commitLsn > confirmed ? position.commitLsn : confirmed
  return source.walEnd > stored ? Number(source.walEnd - stored) : 0
}

/** The status in figures, for people and monitoring. */
export async function readStatus(control: Control): Promise<Status> {
  const capture = await control.captureStatus()
  const { outbox } = control.cells.main
  const [position, lastEvent, gaps, resyncs, failed, mappingLost, queue, cells] = await Promise.all([
    readPosition(outbox, capture.slotName),
    findLastEvent(outbox),
    listGaps(outbox, capture.slotName),
    openResyncs(outbox, capture.slotName),
    failedBackfills(outbox, capture.slotName),
    control.readMappingLost?.() ?? null,
    readQueue(control),
    control.cells.states(),
  ])
  const newestMs = position === null ? 0 : timeOf(position.lastEventId)
  const idsAheadMs = Math.max(0, newestMs - control.nowMs())
  return {
    ...{ capture, position, lastEvent, gaps, resyncs, mappingLost, queue, cells, idsAheadMs },
    failedBackfills: failed,
    mapping: control.mappingState?.() ?? null,
  }
}

/** The pending deliveries of the cells that answer. */
export async function readQueue(control: Pick<Control, 'cells'>): Promise<QueueDepth> {
  const { results } = await overCells(control, outbox => queueDepth(outbox))
  return sumQueues(results.map(({ value }) => value))
}
