import { type Backfill, pageRows, pauseMs } from '../domain/backfill.ts'
import type { EntityMapping } from '../domain/mapping.ts'
import { triggerOf } from '../domain/trigger.ts'
import {
  advanceBackfill,
  backfillReceivers,
  endBackfill,
  noteBackfill,
  openBackfills,
} from '../outbox/backfills.ts'
import type { Outbox } from '../outbox/database.ts'
import type { Log } from '../runtime/log.ts'
import { describeError } from '../runtime/log.ts'
import { type Page, readPageOf } from './backfill-page.ts'
import type { PageStep } from './backfill-window.ts'
import type { Catalogue } from './catalogue.ts'
import type { PageTeller } from './pages.ts'
import type { Source } from './source.ts'

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

/** Works off the slot's backfills, each page of them in its turn, while the stream is stored. */
export function createBackfills(options: {
  source: Source
  outbox: Outbox
  slotName: string
  mapping: readonly EntityMapping[]
  teller: PageTeller
  /** The catalogue of an entity's tables; throws where they can't be captured as they are. */
  judge: (entity: EntityMapping) => Promise<Catalogue>
  nowMs: () => number
  log: Log
}) {
  const { source, outbox, slotName, mapping, teller, judge, nowMs, log } = options
  const turns = new Map<number, Turn>()

  /** Does what is to be done next; returns after how many ms there is more, and whether any is open. */
  async function takeNextTurn(signal: AbortSignal): Promise<{ waitMs: number; isIdle: boolean }> {
    const open = await openBackfills(outbox, slotName)
    for (const id of turns.keys()) if (!open.some(backfill => backfill.id === id)) turns.delete(id)
    const next = open.toSorted((a, b) => turnOf(a).nextAtMs - turnOf(b).nextAtMs)[0]
    if (!next) return { waitMs: pollMs, isIdle: true }
    const turn = turnOf(next)
    const waitMs = turn.nextAtMs - nowMs()
    if (waitMs > 0) return { waitMs: Math.min(waitMs, pollMs), isIdle: false }
    try {
      await takeTurn(next, turn, signal)
    } catch (error) {
      if (signal.aborted) return { waitMs: 0, isIdle: false }
      turn.nextAtMs = nowMs() + retryMs
      await noteBackfill(outbox, next.id, `the next page could not be read: ${describeError(error)}`)
    }
    return { waitMs: 0, isIdle: false }
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

    const catalogue = await judge(entity)
    const limit = pageRows(backfill.rowsPerSecond, turn.bytesPerRow)
    const at = { after: backfill.afterKey, until: backfill.untilKey, limit }
    const stepOf = (page: Page) => stepPast(backfill, page, limit)
    const told = await teller.tell(
      { of: 'backfill', actionType: backfill.actionType, webhookId: backfill.webhookId },
      entity,
      {
        read: () => readPageOf(source, catalogue, entity, at),
        contentOf: page => (page.rows === 0 ? null : { reading: page, step: stepOf(page) }),
      },
      signal,
    )
    if (told.outcome === 'again') return await wait(backfill, turn, rereadMs, told.reason)
    if (told.outcome === 'ended') return
    const { page } = told
    if (told.outcome === 'nothing') {
      if (!signal.aborted && (await advanceBackfill(outbox.pool, stepOf(page)))) logDone(backfill)
      return
    }
    turn.rowsSinceCount += page.rows
    turn.bytesPerRow = bytesOf(page.entities) / page.rows
    turn.waitsSinceMs = null
    turn.nextAtMs = nowMs() + pauseMs(page.rows, backfill.rowsPerSecond, nowMs() - startedAtMs)
    if (stepOf(page).isLast) logDone(backfill)
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

  return { takeNextTurn }
}

function stepPast(backfill: Backfill, page: Page, limit: number): PageStep & { of: 'backfill' } {
  return {
    of: 'backfill',
    id: backfill.id,
    fromKey: backfill.afterKey,
    toKey: page.lastKey,
    untilKey: page.untilKey,
    rows: page.rows,
    rowsEstimate: page.rowsEstimate,
    isLast: page.rows < limit,
  }
}

/** The bytes, about, of the entities' values. */
export function bytesOf(entities: readonly { resultJson: string }[]): number {
  return entities.reduce((sum, { resultJson }) => sum + resultJson.length, 0)
}
