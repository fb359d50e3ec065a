import type { BackfillAction } from '../event/event.ts'
import { describePageReason, type PageCode } from './page-failures.ts'

/**
 * A request to send every existing row of an entity type, to one webhook or to all that have the trigger.
 *
 *   waiting    not begun. Ends when its first page is stored (running, or done if it is the last).
 *   running    the rows up to `afterKey` are done. After a crash, the next capturing process continues there.
 *   done       every row that existed at the beginning is done.
 *   cancelled  an admin stopped it; sent events stay sent.
 *   failed     it is impossible; `reason` says why, and `code` how to fix it.
 *
 * While it waits or runs, `reason` says what it is waiting for, if anything. A row that can't become an event is parked
 * (`walhook.parked_changes`), and the others continue.
 */
export type Backfill = {
  readonly id: number
  readonly slotName: string
  readonly entityType: string
  /** Null: every webhook with the trigger. */
  readonly webhookId: number | null
  readonly actionType: BackfillAction
  readonly rowsPerSecond: number
  readonly state: 'waiting' | 'running' | 'done' | 'cancelled' | 'failed'
  readonly reason: string | null
  readonly code: PageCode | null
  readonly afterKey: string | null
  /** The last key at the beginning: later rows have events of their own. */
  readonly untilKey: string | null
  readonly rowsDone: number
  readonly rowsEstimate: number | null
  readonly createdAt: Date
  readonly startedAt: Date | null
  readonly endedAt: Date | null
}

export const defaultRowsPerSecond = 1_000
export const maxRowsPerSecond = 100_000

const maxPageRows = 1_000
const firstPageRows = 100
const maxPageBytes = 4 * 1024 * 1024

/**
 * The row limit of the next page: half a second's worth, within memory by the size of earlier rows (`bytesPerRow`; null:
 * unknown), at most 1,000.
 */
export function pageRows(rowsPerSecond: number, bytesPerRow: number | null): number {
  const byPace = Math.ceil(rowsPerSecond / 2)
  const bySize = bytesPerRow === null ? firstPageRows : Math.floor(maxPageBytes / Math.max(1, bytesPerRow))
  return Math.max(1, Math.min(byPace, bySize, maxPageRows))
}

/** The pause that keeps the pace, after a page of `rows` rows that took `tookMs`. */
export function pauseMs(rows: number, rowsPerSecond: number, tookMs: number): number {
  return Math.max(0, (rows * 1_000) / rowsPerSecond - tookMs)
}

/** Whether it is unfinished. */
export function isOpen({ state }: Pick<Backfill, 'state'>): boolean {
  return state === 'waiting' || state === 'running'
}

/** The actual rows per second so far, and the estimated end; null if unknown. */
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

/** The largest time of a Date. https://tc39.es/ecma262/#sec-time-values-and-time-range */
const maxTimeMs = 8.64e15

/** One line for people: `3  user  webhook 7  new  running  1200 of about 5000 rows …`. */
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
