import { type Backfill, pageRows, pauseMs } from '../domain/backfill.ts'
import type { EntityMapping } from '../domain/mapping.ts'
import { triggerOf } from '../domain/trigger.ts'
import {
  advanceBackfill,
  type BackfillStep,
  backfillReceivers,
  endBackfill,
  noteBackfill,
  openBackfills,
} from '../outbox/backfills.ts'
import type { Outbox } from '../outbox/database.ts'
import { describeError, type Log } from '../runtime/log.ts'
import { sleep } from '../runtime/sleep.ts'
import { readPageOf } from './backfill-page.ts'
import { openWindow, type PageContent, type PageEnd, type Window } from './backfill-window.ts'
import { readCatalogue } from './catalogue.ts'
import { markPrefix } from './decode.ts'
import type { TransactionPart } from './inbox.ts'
import type { Mapped } from './map.ts'
import type { Source } from './source.ts'
import { createVisibility } from './visibility.ts'

/** What the storing of the stream and the reading of pages have to do with one another. */
export type Pages = {
  /** Takes note of transactions, in the order in which they are stored and before they are. */
  observe(parts: readonly TransactionPart[], mapped: Mapped): void
  /** The page whose mark this is, or null. Whoever takes it says what became of it. */
  take(markId: string): { content: PageContent; settle: (end: PageEnd) => void } | null
}

const pollMs = 2_000
const retryMs = 1_000
const rereadMs = 100
/** While more deliveries than this wait for a webhook, it is given no more rows. */
const maxWaiting = 10_000
const recountAfterRows = 5_000
/** What is over sooner is not worth a note. */
const noteAfterMs = 1_000

/** What is known of an open backfill between its pages. */
type Turn = {
  nextAtMs: number
  bytesPerRow: number | null
  rowsSinceCount: number
  countedAtMs: number
  waitsSinceMs: number | null
}

/**
 * Works off the slot's backfills, each page of them in its turn, while the stream is stored. It reads; whoever stores
 * the stream stores the pages, each at its mark.
 *
 * A page is right if everything that was stored before its window is seen by its reading. That the stream has brought a
 * transaction does not mean that others see it already (`visibility.ts`): then the page is read again.
 */
export function createBackfills(options: {
  source: Source
  outbox: Outbox
  slotName: string
  mapping: readonly EntityMapping[]
  nowMs: () => number
  log: Log
}): Pages & { run(signal: AbortSignal): Promise<void> } {
  const { source, outbox, slotName, mapping, nowMs, log } = options
  const visibility = createVisibility(source.pool)
  const turns = new Map<number, Turn>()
  let window: Window | null = null

  async function run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const waitMs = await takeNextTurn(signal).catch(error => {
        if (!signal.aborted) log.warn('backfill.failed', { reason: describeError(error) })
        return retryMs
      })
      await sleep(waitMs, signal)
    }
  }

  /** Returns after how many ms there is something to do. */
  async function takeNextTurn(signal: AbortSignal): Promise<number> {
    const open = await openBackfills(outbox, slotName)
    for (const id of turns.keys()) if (!open.some(backfill => backfill.id === id)) turns.delete(id)
    if (open.length === 0) visibility.end()
    const next = open.toSorted((a, b) => turnOf(a).nextAtMs - turnOf(b).nextAtMs)[0]
    if (!next) return pollMs
    const turn = turnOf(next)
    const waitMs = turn.nextAtMs - nowMs()
    if (waitMs > 0) return Math.min(waitMs, pollMs)
    try {
      await takeTurn(next, turn, signal)
    } catch (error) {
      if (signal.aborted) return 0
      turn.nextAtMs = nowMs() + retryMs
      await noteBackfill(outbox, next.id, `the next page could not be read: ${describeError(error)}`)
    }
    return 0
  }

  function turnOf({ id }: Backfill): Turn {
    const turn = turns.get(id) ?? {
      nextAtMs: 0,
      bytesPerRow: null,
      rowsSinceCount: Number.POSITIVE_INFINITY,
      countedAtMs: 0,
      waitsSinceMs: null,
    }
    turns.set(id, turn)
    return turn
  }

  async function takeTurn(backfill: Backfill, turn: Turn, signal: AbortSignal): Promise<void> {
    const startedAtMs = nowMs()
    const entity = mapping.find(({ entityType }) => entityType === backfill.entityType)
    if (!entity)
      return await fail(backfill, `the mapping has no entity ${JSON.stringify(backfill.entityType)} any more`)
    const obstacle = await obstacleOf(backfill, turn)
    if (obstacle?.isFinal) return await fail(backfill, obstacle.reason)
    if (obstacle) return await wait(backfill, turn, retryMs, obstacle.reason)

    await visibility.begin()
    const catalogue = await readCatalogue(source, [entity])
    const opened = openWindow(backfill, entity)
    window = opened
    try {
      const limit = pageRows(backfill.rowsPerSecond, turn.bytesPerRow)
      const at = { after: backfill.afterKey, until: backfill.untilKey, limit }
      const page = await readPageOf(source, catalogue, entity, at)
      const unseen = visibility.unseen(page.snapshot)
      if (unseen === null || unseen.length > 0)
        return await wait(backfill, turn, rereadMs, reasonOfRereading(unseen))
      const step: BackfillStep = {
        id: backfill.id,
        fromKey: backfill.afterKey,
        toKey: page.lastKey,
        untilKey: page.untilKey,
        rows: page.rows,
        rowsEstimate: page.rowsEstimate,
        isLast: page.rows < limit,
      }
      if (page.rows === 0) {
        if (!signal.aborted && (await advanceBackfill(outbox.pool, step))) logDone(backfill)
        return
      }
      if (!opened.fill(page.entities, step)) return await wait(backfill, turn, rereadMs, tooMuchChanges)
      await setMark(opened.markId)
      const end = await endOf(opened, signal)
      if (end === 'spoiled') return await wait(backfill, turn, rereadMs, tooMuchChanges)
      if (end !== 'stored') return
      turn.rowsSinceCount += page.rows
      turn.bytesPerRow = bytesOf(page.entities) / page.rows
      turn.waitsSinceMs = null
      turn.nextAtMs = nowMs() + pauseMs(page.rows, backfill.rowsPerSecond, nowMs() - startedAtMs)
      if (step.isLast) logDone(backfill)
    } finally {
      window = null
    }
  }

  /** Why a backfill's receivers are given no more rows now, or at all. */
  async function obstacleOf(
    backfill: Backfill,
    turn: Turn,
  ): Promise<{ reason: string; isFinal: boolean } | null> {
    if (turn.rowsSinceCount < recountAfterRows && nowMs() - turn.countedAtMs < retryMs) return null
    const { webhookId } = backfill
    const trigger = triggerOf(backfill.entityType, backfill.actionType)
    const receivers = await backfillReceivers(outbox, { webhookId, trigger, countTo: maxWaiting + 1 })
    const waiting = (reason: string) => ({ reason, isFinal: false })
    if (receivers.length === 0)
      return webhookId === null
        ? waiting(`no active webhook has the trigger ${trigger}`)
        : { reason: `webhook ${webhookId} was deleted`, isFinal: true }
    for (const receiver of receivers) {
      const name = `webhook ${receiver.webhookId}`
      if (!receiver.isActive) return waiting(`${name} is not active`)
      if (receiver.isDisabled) return waiting(`${name} was disabled by walhook`)
      if (!receiver.hasTrigger) return waiting(`${name} has not the trigger ${trigger}`)
      if (receiver.waiting > maxWaiting)
        return waiting(`more than ${maxWaiting} deliveries wait for ${name} already`)
    }
    turn.countedAtMs = nowMs()
    turn.rowsSinceCount = 0
    return null
  }

  async function wait(backfill: Backfill, turn: Turn, ms: number, reason: string): Promise<void> {
    turn.waitsSinceMs ??= nowMs()
    turn.nextAtMs = nowMs() + ms
    if (ms >= retryMs || nowMs() - turn.waitsSinceMs >= noteAfterMs)
      await noteBackfill(outbox, backfill.id, reason)
  }

  async function fail(backfill: Backfill, reason: string): Promise<void> {
    await endBackfill(outbox.pool, backfill.id, { state: 'failed', reason })
    log.error('backfill.ended', { backfill_id: backfill.id, state: 'failed', reason })
  }

  function logDone({ id, entityType, webhookId }: Backfill) {
    log.info('backfill.ended', {
      backfill_id: id,
      state: 'done',
      entity_type: entityType,
      webhook_id: webhookId,
    })
  }

  /**
   * Writes the mark behind everything that the reading has seen. A transaction of its own, because its commit is
   * flushed at once, and not after the standbys have answered.
   */
  async function setMark(id: string): Promise<void> {
    await source.pool.query(
      `select set_config('synchronous_commit', 'local', true), pg_logical_emit_message(true, $1, $2)`,
      [markPrefix, id],
    )
  }

  return {
    run,
    observe(parts, mapped) {
      for (const { xid, changes } of parts) if (changes.length > 0) visibility.note(xid)
      window?.observe(mapped)
    },
    take(markId) {
      if (window?.markId !== markId) return null
      const { settle } = window
      const content = window.content()
      if (content) return { content, settle }
      settle('spoiled')
      return null
    },
  }
}

const tooMuchChanges = 'too much was changed while the page was read'

function reasonOfRereading(unseen: readonly bigint[] | null): string {
  if (unseen === null) return tooMuchChanges
  const shown = unseen.slice(0, 5).join(', ')
  return `transactions that others do not see yet, or that were open when the reading began, must end first (id ${shown})`
}

function bytesOf(entities: readonly { resultJson: string }[]): number {
  return entities.reduce((sum, { resultJson }) => sum + resultJson.length, 0)
}

/** What becomes of a page; `ended` when the stream ends before. */
async function endOf(window: Window, signal: AbortSignal): Promise<PageEnd> {
  const stop = () => window.settle('ended')
  signal.addEventListener('abort', stop, { once: true })
  if (signal.aborted) stop()
  return await window.end.finally(() => signal.removeEventListener('abort', stop))
}
