import { type Backfill, pageRows, pauseMs } from '../../domain/capture/backfill.ts'
import { type PageCode, pageMendOf } from '../../domain/capture/page-failures.ts'
import { triggerOf } from '../../domain/event/trigger.ts'
import {
  advanceBackfill,
  backfillReceivers,
  endBackfill,
  openBackfills,
} from '../../outbox/source/backfills.ts'
import { maxShownKey } from '../map/map.ts'
import type { Page } from './backfill-page.ts'
import { mergeRows, type PagedWork, type Piece, stepPast, type Turn, type TurnEnd } from './paged-work.ts'

/** A webhook with more pending deliveries gets no more rows. */
const maxWaiting = 10_000
const recountAfterRows = 5_000
const recountAfterMs = 1_000

const over: TurnEnd = { goesOnInMs: 0 }

/** When the receivers' deliveries were counted, and the rows since. */
type Counts = WeakMap<Turn, { atMs: number; rows: number }>

/** Finds the slot's open backfills. */
export function createBackfills(options: PagedWork): () => Promise<Piece[]> {
  const { outbox, slotName, mapping, checkEntity, nowMs } = options
  const counts: Counts = new WeakMap()

  async function takeTurn(backfill: Backfill, turn: Turn, signal: AbortSignal): Promise<TurnEnd> {
    const startedAtMs = nowMs()
    const mapped = mapping.find(({ entityType }) => entityType === backfill.entityType)
    if (!mapped)
      return await fail(options, backfill, {
        reason: `the mapping no longer has an entity ${JSON.stringify(backfill.entityType)}`,
        code: 'page.entity_gone',
      })
    const obstacle = await obstacleOf(options, counts, backfill, turn)
    if (obstacle?.code === 'page.receiver_gone') return await fail(options, backfill, obstacle)
    if (obstacle) return { waitsFor: obstacle }

    const { actionType, webhookId, rowsPerSecond } = backfill
    const of = await checkEntity(mapped)
    if (of.kind === 'gone')
      return await fail(options, backfill, { reason: of.reason, code: 'page.entity_gone' })
    const { entity, catalogue } = of
    const limit = pageRows(rowsPerSecond, turn.bytesPerRow)
    const stepOf = (page: Page) => ({ of: 'backfill' as const, ...stepPast(backfill, page) })
    const task = { of: 'backfill', actionType, webhookId } as const
    const merged = await mergeRows(
      options,
      { task, entity, catalogue, work: backfill, limit, stepOf },
      turn,
      signal,
    )
    switch (merged.outcome) {
      case 'again':
        return { waitsFor: { reason: merged.reason, code: null }, briefly: true }
      case 'ended':
        return over
      case 'nothing':
        if (!signal.aborted && (await advanceBackfill(outbox.pool, stepOf(merged.page))))
          logDone(options, backfill)
        return over
      case 'stored': {
        const { rows } = merged.page
        counts.get(turn)!.rows += rows
        if (stepOf(merged.page).isLast) logDone(options, backfill)
        return { goesOnInMs: pauseMs(rows, rowsPerSecond, nowMs() - startedAtMs) }
      }
    }
  }

  return async () =>
    (await openBackfills(outbox, slotName)).map(backfill => ({
      of: 'backfills',
      id: backfill.id,
      position: backfill.afterKey ?? '',
      takeTurn: (turn, signal) => takeTurn(backfill, turn, signal),
      async giveUp({ reason, code }) {
        await fail(options, backfill, { reason: `${positionText(backfill)}: ${reason}`, code })
      },
    }))
}

const positionText = ({ afterKey }: Backfill) =>
  afterKey === null ? 'at the first row' : `after the key ${afterKey.slice(0, maxShownKey)}`

/** Why a backfill's receivers get no more rows, for now or for ever. */
async function obstacleOf(
  { outbox, receiversOf, nowMs }: PagedWork,
  counts: Counts,
  backfill: Backfill,
  turn: Turn,
): Promise<{ reason: string; code: PageCode } | null> {
  const counted = counts.get(turn)
  if (counted && counted.rows < recountAfterRows && nowMs() - counted.atMs < recountAfterMs) return null
  const { webhookId } = backfill
  const trigger = triggerOf(backfill.entityType, backfill.actionType)
  const wanted = { webhookId, trigger, countTo: maxWaiting + 1 }
  const { receivers, isComplete } = receiversOf
    ? await receiversOf(wanted)
    : { receivers: await backfillReceivers(outbox, wanted), isComplete: true }
  const waiting = (reason: string) => ({ reason, code: 'page.receiver_waits' as const })
  if (receivers.length === 0 && !isComplete) return null
  if (receivers.length === 0)
    return webhookId === null
      ? waiting(`no active webhook has the trigger ${trigger}`)
      : { reason: `webhook ${webhookId} was deleted`, code: 'page.receiver_gone' }
  for (const receiver of receivers) {
    const name = `webhook ${receiver.webhookId}`
    if (!receiver.isActive) return waiting(`${name} is not active`)
    if (receiver.isDisabled) return waiting(`${name} was disabled by walhook`)
    if (!receiver.hasTrigger) return waiting(`${name} has not the trigger ${trigger}`)
    if (receiver.waiting > maxWaiting)
      return waiting(`more than ${maxWaiting} deliveries are already pending for ${name}`)
  }
  counts.set(turn, { atMs: nowMs(), rows: 0 })
  return null
}

async function fail(
  { outbox, log }: PagedWork,
  { id }: Backfill,
  { reason, code }: { reason: string; code: PageCode },
): Promise<TurnEnd> {
  await endBackfill(outbox.pool, id, { state: 'failed', reason, code })
  const mend = pageMendOf(code)
  log.error('backfill.ended', { backfill_id: id, state: 'failed', reason, code, mend })
  return over
}

function logDone({ log }: PagedWork, { id, entityType, webhookId }: Backfill): void {
  log.info('backfill.ended', {
    backfill_id: id,
    state: 'done',
    entity_type: entityType,
    webhook_id: webhookId,
  })
}
