import type { Backfill } from '../../domain/capture/backfill.ts'
import type { FanOut } from '../../domain/capture/fan-out.ts'
import type { PageCode, PageFailures } from '../../domain/capture/page-failures.ts'
import type { Part } from '../../domain/capture/resync.ts'
import type { EntityMapping } from '../../domain/mapping/mapping.ts'
import { maxInARow } from '../../domain/value/streak.ts'
import type { Receivers } from '../../outbox/cells/receivers.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import type { WantedReceivers } from '../../outbox/source/backfills.ts'
import {
  hasOpenWork,
  noteReason,
  type OpenWork,
  type PageDone,
  type PageReason,
} from '../../outbox/source/paged-work.ts'
import { describeError, type Log } from '../../runtime/log.ts'
import { sleep } from '../../runtime/sleep.ts'
import type { CheckedEntity } from '../continuity/check-entity.ts'
import type { Source } from '../source/source.ts'
import type { Catalogue } from '../verdict/catalogue.ts'
import { bytesOf, type Page, readPageOf } from './backfill-page.ts'
import type { PageStep, PageTask } from './backfill-window.ts'
import { classifyPageError } from './page-failure.ts'
import type { PageMerger, PageOutcome } from './pages.ts'
import { readFanOutPageOf, readPartPageOf } from './part-page.ts'

/** The interval of looking for work, and of retrying waiting work. */
export type PagePace = { readonly pollMs: number; readonly retryMs: number }

export const defaultPagePace: PagePace = { pollMs: 2_000, retryMs: 1_000 }

const rereadMs = 100
const hopelessMs = 10_000
const over = { goesOnInMs: 0 } as const
/** A shorter wait is not recorded. */
const noteAfterMs = 1_000
const overdueAfterMs = 30_000

/** The state of a piece of work between its pages. */
export type Turn = {
  nextAtMs: number
  waitsSinceMs: number | null
  bytesPerRow: number | null
  failures: PageFailures | null
  /** The row limit of the next page after unreadable rows; null: none. */
  maxRows: number | null
  /** The number of consecutive unreadable rows. */
  unreadable: number
}

/**
 * The end of a turn: the work continues in `ms`, or waits, for this reason. `briefly`: usually over in a moment.
 * `isHopeless`: it failed too often for an accident.
 */
export type TurnEnd =
  | { readonly goesOnInMs: number }
  | { readonly waitsFor: PageReason; readonly briefly?: boolean; readonly isHopeless?: boolean }

/** An open backfill or resync. */
export type Piece = {
  readonly of: OpenWork
  readonly id: number
  /** Of unrequested work: its description. */
  readonly unasked?: string | null
  /** The key that the next page begins after. */
  readonly position: string
  takeTurn(turn: Turn, signal: AbortSignal): Promise<TurnEnd>
  /** Ends work that always fails; absent: it is retried for ever. */
  giveUp?(because: { reason: string; code: PageCode }): Promise<void>
}

/** The progress of a backfill or resync. */
type KeyRange = Pick<Backfill, 'id' | 'afterKey' | 'untilKey'> & {
  readonly part?: Part | null
  readonly fanOut?: FanOut | null
}

/** The dependencies of backfills and resyncs. */
export type PagedWork = {
  readonly source: Source
  readonly outbox: Outbox
  readonly slotName: string
  readonly mapping: readonly EntityMapping[]
  readonly merger: PageMerger
  /** The receivers of a backfill in all cells; absent: there is main alone. */
  readonly receiversOf?: ((wanted: WantedReceivers) => Promise<Receivers>) | undefined
  /** An entity as the source has it now; throws if its tables can't be captured. */
  readonly checkEntity: (entity: EntityMapping) => Promise<CheckedEntity>
  readonly nowMs: () => number
  readonly log: Log
}

/**
 * Works on all open pieces, one page of each in turn, while the stream is stored; until `signal` is aborted. Failures are
 * reported and retried. `overdue` gets unrequested work that has waited for long, with the reason.
 */
export async function workOffPages(
  findOpen: readonly (() => Promise<Piece[]>)[],
  options: PagedWork & { readonly pace: PagePace; readonly overdue: Map<string, string> },
  signal: AbortSignal,
): Promise<void> {
  const { outbox, slotName, merger, nowMs, log, pace, overdue } = options
  const turns = new Map<string, Turn>()

  function turnOf({ of, id }: Piece): Turn {
    const key = `${of} ${id}`
    const turn = turns.get(key) ?? {
      nextAtMs: 0,
      waitsSinceMs: null,
      bytesPerRow: null,
      failures: null,
      maxRows: null,
      unreadable: 0,
    }
    turns.set(key, turn)
    return turn
  }

  /** Does the next step; returns the ms until there is more. */
  async function takeNextTurn(): Promise<number> {
    const isAnyOpen = turns.size > 0 || (await hasOpenWork(outbox, slotName))
    const open = isAnyOpen ? (await Promise.all(findOpen.map(find => find()))).flat() : []
    for (const key of turns.keys())
      if (!open.some(({ of, id }) => key === `${of} ${id}`)) {
        turns.delete(key)
        overdue.delete(key)
      }
    const next = open.toSorted((a, b) => turnOf(a).nextAtMs - turnOf(b).nextAtMs)[0]
    if (!next) {
      merger.rest()
      return pace.pollMs
    }
    const turn = turnOf(next)
    const waitMs = turn.nextAtMs - nowMs()
    if (waitMs > 0) return Math.min(waitMs, pace.pollMs)
    const end = await next
      .takeTurn(turn, signal)
      .catch(error => (signal.aborted ? over : onFailure(next, turn, error)))
    if (!signal.aborted) await settle(next, turn, end)
    return 0
  }

  async function onFailure(piece: Piece, turn: Turn, error: unknown): Promise<TurnEnd> {
    const { failures, reason, code, isFinal } = classifyPageError(error, turn.failures, piece.position)
    turn.failures = failures
    if (!isFinal || !code || !piece.giveUp) return { waitsFor: { reason, code }, isHopeless: isFinal }
    await piece.giveUp({ reason, code })
    return over
  }

  async function settle({ of, id, unasked }: Piece, turn: Turn, end: TurnEnd): Promise<void> {
    if ('goesOnInMs' in end) {
      turn.waitsSinceMs = null
      turn.failures = null
      overdue.delete(`${of} ${id}`)
      turn.nextAtMs = nowMs() + end.goesOnInMs
      return
    }
    turn.waitsSinceMs ??= nowMs()
    turn.nextAtMs = nowMs() + (end.isHopeless ? hopelessMs : end.briefly ? rereadMs : pace.retryMs)
    if (unasked && nowMs() - turn.waitsSinceMs > overdueAfterMs)
      overdue.set(`${of} ${id}`, `${unasked}: ${end.waitsFor.reason}`)
    if (!end.briefly || nowMs() - turn.waitsSinceMs >= noteAfterMs)
      await noteReason(outbox, of, id, end.waitsFor)
  }

  while (!signal.aborted) {
    const waitMs = await takeNextTurn().catch(error => {
      if (!signal.aborted) log.warn('pages.failed', { reason: describeError(error) })
      return pace.retryMs
    })
    await sleep(waitMs, signal)
  }
}

/** Reads the next page of an entity's rows and sends it. `stepOf` gives the progress after it. */
export async function mergeRows(
  { source, merger }: Pick<PagedWork, 'source' | 'merger'>,
  page: {
    task: PageTask
    entity: EntityMapping
    catalogue: Catalogue
    work: KeyRange
    limit: number
    stepOf: (page: Page) => PageStep
  },
  turn: Turn,
  signal: AbortSignal,
): Promise<PageOutcome<Page>> {
  const { task, entity, catalogue, work, limit, stepOf } = page
  const at = { after: work.afterKey, until: work.untilKey, limit: Math.min(limit, turn.maxRows ?? limit) }
  const read = async () => {
    const page = work.part
      ? await readPartPageOf(source, catalogue, entity, work.part, at)
      : work.fanOut
        ? await readFanOutPageOf(source, catalogue, entity, work.fanOut, at)
        : await readPageOf(source, catalogue, entity, at)
    expectReadable(page, turn)
    turn.maxRows = maxRowsAfter(page, at.limit, limit)
    return page
  }
  const contentOf = (page: Page) => (page.rows === 0 ? null : { reading: page, step: stepOf(page) })
  const merged = await merger.merge(task, entity, { read, contentOf }, signal)
  if (merged.outcome === 'stored') turn.bytesPerRow = bytesOf(merged.page.entities) / merged.page.rows
  return merged
}

/** After an unreadable row the next may be unreadable too: the page size grows again slowly. */
function maxRowsAfter({ unreadable, rows, isLast }: Page, limit: number, wanted: number): number | null {
  const isNarrowed = unreadable.length > 0 || (rows < limit && !isLast)
  if (isNarrowed) return Math.max(1, 2 * rows)
  return limit < wanted ? 2 * limit : null
}

function expectReadable({ rows, entities, unreadable }: Page, turn: Turn): void {
  if (entities.length > 0) turn.unreadable = 0
  else if (turn.unreadable < maxInARow) turn.unreadable += rows
  else if (rows > 0)
    throw new Error(`more than ${maxInARow} rows in succession cannot be sent: ${unreadable[0]?.reason}`)
}

export function stepPast({ id, afterKey }: KeyRange, page: Page): PageDone {
  const { lastKey: toKey, untilKey, rows, rowsEstimate, isLast } = page
  return { id, fromKey: afterKey, toKey, untilKey, rows, rowsEstimate, isLast }
}
