import { type TimeId, timeOf } from '../../domain/value/time-id.ts'
import type { Cell } from '../../outbox/cells/cells.ts'
import {
  type CellPosition,
  type CopiedEvent,
  readCellPosition,
  readToCopy,
  storeCopied,
} from '../../outbox/cells/copy-log.ts'
import { mainCell, noteCopied } from '../../outbox/cells/registry.ts'
import { type SetBack, settleSetBack } from '../../outbox/cells/set-back.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import { dayMs, ensurePartitions } from '../../outbox/days/partitions.ts'
import type { Service } from '../../runtime/service.ts'
import type { AppendedEvents } from '../turn/dispatcher.ts'
import { createWaker } from '../turn/waker.ts'

const page = { limit: 1_000, maxBytes: 4_194_304 }
/** A wake-up may be lost. */
const pollEveryMs = 1_000
const noteEveryMs = 1_000
/** A cell restored while nothing is copied causes no notification. */
const checkEveryMs = 1_000
/** The copying process is gone or stuck if the cell lacks events and got none for this long. */
const silentAfterMs = 3_000

/**
 * The service that copies the log into a cell, with the same ids. Every delivering process runs it, and one copies: the others
 * wait until the cell lacks events and gets none. Two at once are safe, because every page is a compare-and-set of the
 * cell's position.
 */
export function createCopier({
  main,
  cell,
  onCopied = () => {},
  onSetBack = () => {},
}: {
  readonly main: Outbox
  readonly cell: Cell
  /** What this process copied, for its own streams. */
  readonly onCopied?: (copied: AppendedEvents) => void
  readonly onSetBack?: (found: SetBack) => void
}): Service & { wake(): void } {
  const { outbox, name } = cell
  const waker = createWaker()
  const makeDays = dayMaker(outbox)
  let notedUpTo: TimeId = 0n
  let notedAtMs = Number.NEGATIVE_INFINITY
  const positions = createPositions(main, cell, onSetBack)

  return {
    name: 'copier',
    wake: waker.wake,
    async run(signal) {
      let position: CellPosition | null = await positions.readFirst()
      while (!signal.aborted) position = position ? await copy(position, signal) : await follow(signal)
    },
  }

  /** Copies a page. Null: another process copies. */
  async function copy(position: CellPosition, signal: AbortSignal): Promise<CellPosition | null> {
    await note(position.copiedUpTo)
    const found = await readToCopy(main, position, page)
    if (found.upTo === position.copiedUpTo) {
      await waker.wait(pollEveryMs, signal)
      return positions.isDue() ? await present(position) : position
    }
    await makeDays(found.events)
    const stored = await storeCopied(outbox, position, found)
    if (!stored) return await present(position)
    const { webhooksVersion } = position
    onCopied({
      previousEventId: position.copiedUpTo,
      lastEventId: stored.copiedUpTo,
      events: found.events.map(event => ({ ...event, webhooksVersion })),
    })
    return stored
  }

  /** The webhooks changed, or the fence moved: the page is read again. Null: another process copies. */
  async function present(position: CellPosition): Promise<CellPosition | null> {
    const there = await positions.readAgain(position)
    return there.copiedUpTo === position.copiedUpTo ? there : null
  }

  /** Waits until no process copies. */
  async function follow(signal: AbortSignal): Promise<CellPosition | null> {
    let position = await positions.readFirst()
    let sinceMs = performance.now()
    while (!signal.aborted) {
      await waker.wait(pollEveryMs, signal)
      const next = await positions.readAgain(position)
      if (next.copiedUpTo !== position.copiedUpTo) sinceMs = performance.now()
      position = next
      if (performance.now() - sinceMs < silentAfterMs) continue
      const { upTo } = await readToCopy(main, position, { limit: 1, maxBytes: 1 })
      if (upTo !== position.copiedUpTo) return position
      sinceMs = performance.now()
    }
    return null
  }

  async function note(upTo: TimeId): Promise<void> {
    if (upTo === notedUpTo || performance.now() - notedAtMs < noteEveryMs) return
    await noteCopied(main, name, upTo)
    notedUpTo = upTo
    notedAtMs = performance.now()
  }
}

/** Reads a cell's position, and settles what main and the cell say about each other if the cell's database was set back. */
function createPositions(main: Outbox, cell: Cell, onSetBack: (found: SetBack) => void) {
  let readAtMs = Number.NEGATIVE_INFINITY

  async function read(): Promise<CellPosition> {
    readAtMs = performance.now()
    return await readCellPosition(cell.outbox)
  }

  async function settle({ copiedUpTo }: CellPosition): Promise<void> {
    const setBack = await settleSetBack({ name: mainCell, outbox: main }, cell, copiedUpTo)
    if (setBack) onSetBack(setBack)
  }

  return {
    isDue: () => performance.now() - readAtMs >= checkEveryMs,

    async readFirst(): Promise<CellPosition> {
      const position = await read()
      await settle(position)
      return position
    },

    async readAgain(known: CellPosition): Promise<CellPosition> {
      const position = await read()
      if (position.copiedUpTo < known.copiedUpTo) await settle(position)
      return position
    },
  }
}

/** Makes the partitions of events: a new cell copies days that are over. */
function dayMaker(outbox: Outbox) {
  const days = new Set<number>()
  return async (events: readonly CopiedEvent[]): Promise<void> => {
    for (const { id } of events) {
      const day = Math.floor(timeOf(id) / dayMs)
      if (days.has(day)) continue
      await ensurePartitions(outbox, day * dayMs)
      days.add(day)
    }
  }
}
