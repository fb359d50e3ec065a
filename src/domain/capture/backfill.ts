import type { BackfillAction } from '../event/event.ts'
import { describePageReason, type PageCode } from './page-failures.ts'

/**
 * A wish to send every row that an entity's table holds, to one webhook or to all that have the trigger.
 *
 *   waiting    nobody has begun it. Ends when its first page is stored (running, or done with the last one).
 *   running    the rows up to `afterKey` are done. A crash changes nothing: whoever captures next goes on from there.
 *   done       every row that was there at the beginning is done.
 *   cancelled  an admin has ended it; what was sent stays sent.
 *   failed     it can't be done; `reason` says why, and `code` what a person does about it.
 *
 * While it waits or runs, `reason` says what it is waiting for, if anything. A row of which no event can be made is set aside
 * (`walhook.parked_changes`), and the others go on.
 */
export type Backfill = {
  readonly id: number
  readonly slotName: string
  readonly entityType: string
  /** Null: every webhook that has the trigger. */
  readonly webhookId: number | null
  readonly actionType: BackfillAction
  readonly rowsPerSecond: number
  readonly state: 'waiting' | 'running' | 'done' | 'cancelled' | 'failed'
  readonly reason: string | null
  readonly code: PageCode | null
  readonly afterKey: string | null
  /** The last key that there was at the beginning: what came after it was told by its own event. */
  readonly untilKey: string | null
  readonly rowsDone: number
  readonly rowsEstimate: number | null
  readonly createdAt: Date
  readonly startedAt: Date | null
  readonly endedAt: Date | null
}

export const usualRowsPerSecond = 1_000
export const maxRowsPerSecond = 100_000

const maxPageRows = 1_000
const firstPageRows = 100
const maxPageBytes = 4 * 1024 * 1024

/**
 * How many rows the next page may have: half a second's worth, as many as fit into memory by the size of those before
 * (`bytesPerRow`; null: not known yet), at most 1,000.
 */
export function pageRows(rowsPerSecond: number, bytesPerRow: number | null): number {
  const byPace = Math.ceil(rowsPerSecond / 2)
  const bySize = bytesPerRow === null ? firstPageRows : Math.floor(maxPageBytes / Math.max(1, bytesPerRow))
  return Math.max(1, Math.min(byPace, bySize, maxPageRows))
}

/** How long to wait after a page of `rows` rows that took `tookMs`, so that the pace is kept. */
export function pauseMs(rows: number, rowsPerSecond: number, tookMs: number): number {
  return Math.max(0, (rows * 1_000) / rowsPerSecond - tookMs)
}

/** Whether it is worked off, or will be. */
export function isOpen({ state }: Pick<Backfill, 'state'>): boolean {
  return state === 'waiting' || state === 'running'
}

/** The rows per second that a backfill has really had so far, and when it may be done; null where that can't be told. */
export function forecast(
  backfill: Pick<Backfill, 'state' | 'startedAt' | 'endedAt' | 'rowsDone' | 'rowsEstimate'>,
  nowMs: number,
): { rowsPerSecond: number | null; doneAt: Date | null } {
  const { startedAt, endedAt, rowsDone, rowsEstimate } = backfill
  if (startedAt === null) return { rowsPerSecond: null, doneAt: null }
  const seconds = ((endedAt?.getTime() ?? nowMs) - startedAt.getTime()) / 1_000
  if (seconds <= 0 || rowsDone === 0) return { rowsPerSecond: null, doneAt: null }
  const rowsPerSecond = rowsDone / seconds
  if (backfill.state !== 'running' || rowsEstimate === null) return { rowsPerSecond, doneAt: null }
  const left = Math.max(0, rowsEstimate - rowsDone)
  const doneAtMs = nowMs + (left / rowsPerSecond) * 1_000
  return { rowsPerSecond, doneAt: doneAtMs > maxTimeMs ? null : new Date(doneAtMs) }
}

/** The last moment that a Date can be. https://tc39.es/ecma262/#sec-time-values-and-time-range */
const maxTimeMs = 8.64e15

/** A backfill in one line, for people: `3  user  webhook 7  new  running  1200 of about 5000 rows …`. */
export function describeBackfill(backfill: Backfill, nowMs: number): string {
  const { id, entityType, webhookId, actionType, state, reason, code, rowsDone, rowsEstimate } = backfill
  const { rowsPerSecond, doneAt } = forecast(backfill, nowMs)
  const parts = [
    `backfill ${id}: ${entityType} as ${actionType} to ${webhookId === null ? 'every webhook' : `webhook ${webhookId}`}`,
    state,
    `${rowsDone}${isOpen(backfill) && rowsEstimate !== null ? ` of about ${rowsEstimate}` : ''} rows`,
  ]
  if (rowsPerSecond !== null) parts.push(`${rowsPerSecond.toFixed(rowsPerSecond < 10 ? 1 : 0)} rows/s`)
  if (doneAt !== null) parts.push(`done about ${doneAt.toISOString().slice(0, 16)}Z`)
  const line = parts.join(', ')
  if (reason === null) return line
  return `${line}. ${isOpen(backfill) ? 'It waits: ' : ''}${describePageReason(reason, code)}`
}
