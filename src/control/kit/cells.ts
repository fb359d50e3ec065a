import { type CellCursor, cursorOf } from '../../domain/cells/cell-cursor.ts'
import { mergeSorted } from '../../domain/cells/merge-sorted.ts'
import { because } from '../../domain/shown/reason.ts'
import type { Cell, Cells } from '../../outbox/cells/cells.ts'
import { askAgain, whileReachable, whyAway } from '../../outbox/cells/reach.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import { within } from '../../runtime/within.ts'
import type { Caller, Control } from './control.ts'
import { type Failed, notFound, type Result, unavailable } from './result.ts'
import { webhookFor } from './tenants.ts'

/** The time limit of one question to a cell, in ms. Main has none: without it nothing is answered. */
const responseTimeoutMs = 10_000
const retryAfterS = 10

type WithCells = Pick<Control, 'cells'>

/** The answers of the cells that gave one, main first, and the names of the others, which a tenant does not see. */
export type OverCells<T> = {
  readonly results: readonly { readonly cell: Cell; readonly value: T }[]
  readonly away: readonly string[]
}

/**
 * Asks every cell side by side. A cell without an answer within 2 s to `select`, or within 10 s to the question, is named in
 * `away`, and so is one that fails. A failure of main is thrown.
 */
export async function overCells<T>(
  { cells }: WithCells,
  ask: (outbox: Outbox, cell: Cell) => Promise<T>,
): Promise<OverCells<T>> {
  const all = cells.all()
  const found = await Promise.all(all.map(cell => askOne(cells.main, cell, ask)))
  return {
    results: found.flatMap((response, i) => (response === null ? [] : [{ cell: all[i]!, ...response }])),
    away: namesFor(
      cells,
      all.filter((_, i) => found[i] === null),
    ),
  }
}

const hidden = '[redacted]'

const namesFor = ({ tenant }: Pick<Cells, 'tenant'>, away: readonly Cell[]): readonly string[] =>
  tenant === null ? away.map(({ name }) => name) : away.length === 0 ? [] : [hidden]

async function askOne<T>(main: Cell, cell: Cell, ask: (outbox: Outbox, cell: Cell) => Promise<T>) {
  if (cell.name === main.name) return { value: await ask(cell.outbox, cell) }
  if ((await whyAway(cell)) !== null) return null
  try {
    return { value: await within(responseTimeoutMs, whileReachable(cell, ask(cell.outbox, cell))) }
  } catch {
    askAgain(cell)
    return null
  }
}

/** The names of the cells that do not answer. */
export async function cellsAway({ cells }: WithCells): Promise<readonly string[]> {
  const others = cells.all().filter(({ name }) => name !== cells.main.name)
  const away = await Promise.all(others.map(async cell => ((await whyAway(cell)) === null ? [] : [cell])))
  return namesFor(cells, away.flat())
}

/** The refusal while a cell does not answer. It is not named to a tenant. */
export const cellAway = (cell: Cell, { tenant }: Pick<Cells, 'tenant'>): Failed =>
  unavailable(because('cell.away', { cell: tenant === null ? cell.name : null }), retryAfterS)

/**
 * The `Control` of a webhook's operations: `outbox` is that of its cell, and main's for an unknown webhook. Or the refusal:
 * its cell is away, or the caller's tenant has no such webhook.
 */
export async function controlOfWebhook(
  control: Control,
  caller: Pick<Caller, 'tenant'>,
  webhookId: number,
): Promise<Result<Control>> {
  const cell = await reachableCell(control, webhookId)
  if (!cell.ok) return cell
  const of = withOutbox(control, cell.value.outbox)
  const isTheirs = caller.tenant === null || (await webhookFor(of, caller, webhookId)) !== null
  return isTheirs ? { ok: true, value: of } : notFound('webhook', webhookId)
}

/** The cell of a webhook, main for an unknown one; or the refusal while it does not answer. */
export async function reachableCell({ cells }: WithCells, webhookId: number): Promise<Result<Cell>> {
  const cell = await cells.of(webhookId)
  const isAway = cell.name !== cells.main.name && (await whyAway(cell)) !== null
  return isAway ? cellAway(cell, cells) : { ok: true, value: cell }
}

/**
 * Runs an operation with the `Control` of a webhook, and again if the webhook is not there because it has moved meanwhile: an
 * operation that changes something waits for the end of a move.
 */
export async function followMoves<T>(
  whole: Control,
  caller: Pick<Caller, 'tenant'>,
  { webhookId, control }: { readonly webhookId: number; readonly control: Control },
  { work, isNotFound }: { work: (control: Control) => Promise<T>; isNotFound: (result: T) => boolean },
): Promise<T> {
  const result = await work(control)
  if (!isNotFound(result)) return result
  const there = await controlOfWebhook(whole, caller, webhookId)
  return there.ok && there.value.outbox !== control.outbox ? await work(there.value) : result
}

const withOutbox = (control: Control, outbox: Outbox): Control =>
  control.outbox === outbox ? control : { ...control, outbox }

/**
 * Runs an operation with the `Control` of a webhook. If it fails because the cell has gone away, the refusal: one that only
 * reads does not wait longer, and one that changes something is waited for, because its result is unknown.
 */
export async function inCell<T>(
  control: Control,
  { isRead }: { readonly isRead: boolean },
  work: () => Promise<T>,
  refuse: (failure: Failed) => T,
): Promise<T> {
  const { cells, outbox } = control
  const cell = cells.all().find(each => each.outbox === outbox) ?? cells.main
  if (cell === cells.main) return await work()
  try {
    return isRead ? await whileReachable(cell, work()) : await work()
  } catch (error) {
    askAgain(cell)
    if ((await whyAway(cell)) === null) throw error
    if (isRead) return refuse(cellAway(cell, cells))
    const named = cells.tenant === null ? cell.name : null
    return refuse(unavailable(because('cell.lost', { cell: named }), retryAfterS))
  }
}

/** A page of one list over all cells; `cell` is where an item is from. */
export type CellPage<T> = {
  readonly items: readonly (T & { readonly cell: string })[]
  /** Null: the end. */
  readonly next: CellCursor | null
  readonly away: readonly string[]
}

/**
 * A page of a list whose ids are each cell's own: newest first by `atMs`, at most `limit`, behind `before` (null: from the
 * newest). `list` gives a cell's items in descending order of id, at most `limit`, before the id `before`.
 */
export async function pageOverCells<T extends { readonly id: bigint | number }>(
  control: WithCells,
  { limit, before }: { readonly limit: number; readonly before: CellCursor | null },
  list: (outbox: Outbox, page: { limit: number; before: bigint | null }) => Promise<readonly T[]>,
  atMs: (item: T) => number,
): Promise<CellPage<T>> {
  const { results, away } = await overCells(control, async (outbox, { name }) =>
    (await list(outbox, { limit: limit + 1, before: before?.get(name) ?? null })).map(item => ({
      ...item,
      cell: name,
    })),
  )
  const lists = results.map(({ value }) => value)
  const found = mergeSorted(lists, (a, b) => atMs(a) > atMs(b), limit + 1)
  const items = found.slice(0, limit)
  return { items, next: found.length > limit ? cursorOf(items, before) : null, away }
}
