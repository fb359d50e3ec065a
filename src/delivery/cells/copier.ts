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
/** Nor does a cell that is set back tell anybody. */
const lookEveryMs = 1_000
/** Whoever copies is gone, or stands still, if the cell lacks events and has got none for this long. */
const silentAfterMs = 3_000

/**
 * The service that copies the log into a cell, with the same ids. Every delivering process runs it, and one copies: whoever finds that
 * another one did waits until the cell stands still although it lacks events. Two at once do no harm, because every page is a
 * compare-and-set of the cell's position.
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
  let readAtMs = Number.NEGATIVE_INFINITY

  return {
    name: 'copier',
    wake: waker.wake,
    async run(signal) {
      let position: CellPosition | null = await readPosition()
      await lookBack(position)
      while (!signal.aborted) position = position ? await copy(position, signal) : await follow(signal)
    },
  }

  async function readPosition(): Promise<CellPosition> {
    readAtMs = performance.now()
    return await readCellPosition(outbox)
  }

  /** Settles what main and the cell say, if the cell was set back. */
  async function lookBack({ copiedUpTo }: CellPosition): Promise<void> {
    const setBack = await settleSetBack({ name: mainCell, outbox: main }, cell, copiedUpTo)
    if (setBack) onSetBack(setBack)
  }

  /** The cell's present position, which is lower than `known` if its database was set back meanwhile. */
  async function readAgain(known: CellPosition): Promise<CellPosition> {
    const there = await readPosition()
    if (there.copiedUpTo < known.copiedUpTo) await lookBack(there)
    return there
  }

  /** Copies a page. Null: another process copies. */
  async function copy(position: CellPosition, signal: AbortSignal): Promise<CellPosition | null> {
    await note(position.copiedUpTo)
    const found = await readToCopy(main, position, page)
    if (found.upTo === position.copiedUpTo) {
      await waker.wait(pollEveryMs, signal)
      return performance.now() - readAtMs < lookEveryMs ? position : await readAgain(position)
    }
    await makeDays(found.events)
    const stored = await storeCopied(outbox, position, found)
    if (!stored) {
      const there = await readAgain(position)
      // The webhooks changed, or somebody moved the fence: the page is read again.
      return there.copiedUpTo === position.copiedUpTo ? there : null
    }
    const { webhooksVersion } = position
    onCopied({
      previousEventId: position.copiedUpTo,
      lastEventId: stored.copiedUpTo,
      events: found.events.map(event => ({ ...event, webhooksVersion })),
    })
    return stored
  }

  /** Waits until nobody copies any more. */
  async function follow(signal: AbortSignal): Promise<CellPosition | null> {
    let position = await readPosition()
    let sinceMs = performance.now()
    while (!signal.aborted) {
      await waker.wait(pollEveryMs, signal)
      const next = await readAgain(position)
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
