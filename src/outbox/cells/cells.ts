import type pg from 'pg'
import type { TimeId } from '../../domain/value/time-id.ts'
import type { SealKey } from '../../domain/webhook/seal.ts'
import { describeError } from '../../runtime/log.ts'
import { within } from '../../runtime/within.ts'
import type { Outbox } from '../database/database.ts'
import { whyAway } from './reach.ts'
import {
  cellsOfTenant,
  countByCell,
  findPlacement,
  listCells,
  mainCell,
  place,
  type Registered,
  urlOf,
} from './registry.ts'

/** An outbox for a set of webhooks. The first one, `main`, has the registry, and the log that the others copy. */
export type Cell = { readonly name: string; readonly outbox: Outbox }

/** How a cell is at the moment. */
export type CellState = {
  readonly name: string
  /** It does not respond: its webhooks wait. */
  readonly isAway: boolean
  /** Why it is away, in words; null: it is not. */
  readonly why: string | null
  readonly webhooks: number | null
  /** The newest event that it has; null: unknown. */
  readonly copiedUpTo: TimeId | null
  /** The events of the log that it lacks, at most `maxBehind`; null: unknown. */
  readonly behind: number | null
}

export type Cells = {
  readonly main: Cell
  /** The tenant whose webhooks are visible; null: all. */
  readonly tenant: string | null
  /** Main first. `refresh` applies added, removed and moved cells. */
  all(): readonly Cell[]
  /** The cell of a webhook, whether that exists or not. */
  of(webhookId: number): Promise<Cell>
  /**
   * The cells of `count` new webhooks: each time the reachable, current one with the fewest. `place` records each before the
   * webhook is stored there.
   */
  emptiest(count: number): Promise<readonly Cell[]>
  place(webhook: { readonly id: number; readonly tenant: string | null }, cell: Cell): Promise<void>
  /** Throws if there is no such cell. */
  named(name: string): Promise<Cell>
  states(): Promise<readonly CellState[]>
  /** Reads the registry again. */
  refresh(): Promise<void>
  /** The same for one tenant: `all` is main and the cells with its webhooks; webhooks of others are in none. */
  forTenant(tenant: string | null): Promise<Cells>
}

/** The limit of counting what a cell lacks. */
export const maxBehind = 10_000
const responseTimeoutMs = 3_000
const fewBehind = 1_000

type CellsOptions = {
  readonly main: Outbox
  readonly sealKey: SealKey
  readonly open: (cell: Registered & { readonly url: string }) => Outbox
}

/** The cells of one process. `open` opens the connections of one, each on demand. */
export function createCells(options: CellsOptions): Cells {
  const main: Cell = { name: mainCell, outbox: options.main }
  let cells: readonly Cell[] = [main]

  async function read() {
    const known = new Map(cells.map(cell => [cell.name, cell]))
    const registered = await listCells(main.outbox)
    cells = [main, ...registered.map(one => openCell(options, one, known.get(one.name)))]
  }

  /** One after the other: two at once would open a cell twice. */
  let reading: Promise<void> = Promise.resolve()
  function refresh(): Promise<void> {
    reading = reading.then(read, read)
    return reading
  }

  async function named(name: string): Promise<Cell> {
    const known = () => cells.find(cell => cell.name === name)
    if (!known()) await refresh()
    const cell = known()
    if (!cell) throw new Error(`there is no cell ${name}`)
    return cell
  }

  async function of(webhookId: number, tenant: string | null): Promise<Cell> {
    const { cell } = await findPlacement(main.outbox.pool, webhookId, tenant)
    return cell === mainCell ? main : await named(cell)
  }

  const whole: Cells = {
    main,
    tenant: null,
    all: () => cells,
    refresh,
    named,
    of: webhookId => of(webhookId, null),

    async forTenant(tenant) {
      if (tenant === null) return whole
      const own = cells.length === 1 ? new Set() : await cellsOfTenant(main.outbox, tenant)
      return {
        ...whole,
        tenant,
        all: () => cells.filter(cell => cell === main || own.has(cell.name)),
        of: webhookId => of(webhookId, tenant),
      }
    },

    async emptiest(count) {
      if (cells.length === 1 || count === 0) return Array.from({ length: count }, () => main)
      const [counts, open] = await Promise.all([countByCell(main.outbox), keepingUp(cells, main)])
      const countOf = ({ name }: Cell) => counts.get(name) ?? 0
      return Array.from({ length: count }, () => {
        const chosen = open.reduce((least, cell) => (countOf(cell) < countOf(least) ? cell : least))
        counts.set(chosen.name, countOf(chosen) + 1)
        return chosen
      })
    },

    place: ({ id, tenant }, cell) =>
      place(main.outbox.pool, { webhookId: id, tenant, cell: cell.name, movingTo: null }),

    states: async () => await Promise.all(cells.map(cell => stateOf(cell, main))),
  }
  return whole
}

/** An unmoved cell keeps its connections. A cell with an unreadable URL stays as it was, or counts as unreachable. */
function openCell({ main, sealKey, open }: CellsOptions, cell: Registered, known: Cell | undefined): Cell {
  const { name, schema } = cell
  try {
    const url = urlOf(cell, main.url, sealKey)
    const isThere = known?.outbox.url === url && known.outbox.schema === schema
    return isThere ? known : { name, outbox: open({ ...cell, url }) }
  } catch (error) {
    return known ?? { name, outbox: silentOutbox(schema, error) }
  }
}

/** The outbox of an unreachable cell, with the reason. */
function silentOutbox(schema: string, why: unknown): Outbox {
  const refuse = () => Promise.reject(why)
  const pool = { query: refuse, connect: refuse } as unknown as pg.Pool
  return { pool, url: '', schema, async [Symbol.asyncDispose]() {} }
}

function away(name: string, why: string): CellState {
  return { name, isAway: true, why, webhooks: null, copiedUpTo: null, behind: null }
}

/**
 * Main, and the cells that have nearly all of the log. A new webhook gets the events that its cell copies from then on: a cell
 * far behind would send old ones.
 */
async function keepingUp(cells: readonly Cell[], main: Cell): Promise<readonly Cell[]> {
  const states = await Promise.all(cells.map(cell => stateOf(cell, main)))
  return cells.filter((cell, i) => cell === main || (states[i]!.behind ?? fewBehind) < fewBehind)
}

async function stateOf(cell: Cell, main: Cell): Promise<CellState> {
  const { name, outbox } = cell
  const known = await whyAway(cell)
  if (known !== null) return away(name, known)
  try {
    const { webhooks, copiedUpTo } = await within(responseTimeoutMs, readOwn(outbox))
    const behind =
      name === mainCell ? 0 : await within(responseTimeoutMs, countAfter(main.outbox, copiedUpTo))
    return { name, isAway: false, why: null, webhooks, copiedUpTo, behind }
  } catch (error) {
    return away(name, describeError(error))
  }
}

async function readOwn({ pool }: Outbox): Promise<{ webhooks: number; copiedUpTo: TimeId }> {
  const { rows } = await pool.query(
    `select (select count(*)::int from walhook.webhooks) as webhooks,
            (select coalesce(max(last_event_id), 0) from walhook.positions) as copied`,
  )
  return { webhooks: rows[0].webhooks, copiedUpTo: rows[0].copied }
}

async function countAfter({ pool }: Outbox, id: TimeId): Promise<number> {
  const { rows } = await pool.query(
    `select count(*)::int as count from (select id from walhook.events where id > $1 limit ${maxBehind}) e`,
    [id],
  )
  return rows[0].count
}
