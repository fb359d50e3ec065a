import { type Backfill, defaultRowsPerSecond } from '../../domain/capture/backfill.ts'
import type { BackfillAction } from '../../domain/event/event.ts'
import { triggerOf } from '../../domain/event/trigger.ts'
import { because, type Reason } from '../../domain/shown/reason.ts'
import { nearest } from '../../domain/value/nearest.ts'
import { transaction } from '../../outbox/database/database.ts'
import { recordAudit } from '../../outbox/records/audit.ts'
import { findWebhook } from '../../outbox/records/webhooks.ts'
import * as backfills from '../../outbox/source/backfills.ts'
import { overCells, reachableCell } from '../kit/cells.ts'
import type { Caller, Control } from '../kit/control.ts'
import { firstOf, type Page } from '../kit/page.ts'
import { conflict, type Failed, invalid, notFound, type Result, wrongField } from '../kit/result.ts'

/** The part of `Control` for backfills, also without a server: main keeps them, for webhooks of every cell. */
export type BackfillControl = Pick<Control, 'cells' | 'slotName' | 'entityTypes' | 'backfillAs'>

export type BackfillOptions = {
  readonly entityType: string
  /** Absent or null: every webhook with the trigger. */
  readonly webhookId?: number | null | undefined
  /** Absent: the mapping's default. */
  readonly actionType?: BackfillAction | undefined
  readonly rowsPerSecond?: number | undefined
}

/**
 * Starts a backfill, which sends every row of an entity's table, by the capturing process. Refused without a receiver, and
 * while one for the same rows and receivers is open.
 */
export async function startBackfill(
  control: BackfillControl,
  caller: Caller,
  options: BackfillOptions,
): Promise<Result<Backfill>> {
  const { entityType, webhookId = null } = options
  const actionType = options.actionType ?? control.backfillAs(entityType)
  if (!control.entityTypes.includes(entityType))
    return invalid(wrongField('/entity_type', unknownType(entityType, control.entityTypes)))
  const refusal = await refusalOfReceivers(control, { entityType, webhookId, actionType })
  if (refusal) return refusal
  const { slotName } = control
  const rowsPerSecond = options.rowsPerSecond ?? defaultRowsPerSecond
  const made = await transaction(control.cells.main.outbox.pool, async client => {
    const input = { slotName, entityType, webhookId, actionType, rowsPerSecond }
    const backfill = await backfills.insertBackfill(client, input)
    if (backfill) {
      const { id } = backfill
      const to = { entityType, actionType, rowsPerSecond, ...(webhookId !== null && { webhookId }) }
      await recordAudit(client, caller, 'backfill.started', { id, webhookId: webhookId ?? undefined, to })
    }
    return backfill
  })
  if (made) return { ok: true, value: made }
  const open = await backfills.openBackfills(control.cells.main.outbox, slotName)
  const same = open.find(each => each.entityType === entityType && each.webhookId === webhookId)
  return conflict(because('backfill.open', { id: same?.id ?? null, entityType, webhookId }))
}

/** The mapping has no such entity type; the refusal suggests the nearest. */
export function unknownType(entityType: string, known: readonly string[]): Reason {
  const meant = nearest(entityType, known)
  return because('entity.unknown', { entityType: entityType.slice(0, 200), known, meant })
}

/** Why a backfill has no receiver, or null. */
async function refusalOfReceivers(
  control: BackfillControl,
  { entityType, webhookId, actionType }: Pick<Backfill, 'entityType' | 'webhookId' | 'actionType'>,
): Promise<Failed | null> {
  const trigger = triggerOf(entityType, actionType)
  if (webhookId === null) {
    const { results } = await overCells(control, outbox =>
      backfills.backfillReceivers(outbox, { webhookId, trigger, countTo: 0 }),
    )
    if (results.some(({ value }) => value.length > 0)) return null
    return conflict(because('backfill.no_receiver', { trigger }))
  }
  const cell = await reachableCell(control, webhookId)
  if (!cell.ok) return cell
  const webhook = await findWebhook(cell.value.outbox, webhookId)
  if (!webhook) return invalid(wrongField('/webhook_id', because('webhook.missing', { webhookId })))
  if (webhook.triggers.includes(trigger)) return null
  const other = actionType === 'new' ? 'update' : 'new'
  const hasOther = webhook.triggers.includes(triggerOf(entityType, other))
  return conflict(because('backfill.not_subscribed', { webhookId, trigger, other: hasOther ? other : null }))
}

/** Who started each backfill, by id, if known. */
export async function backfillStarters(
  { cells }: Pick<Control, 'cells'>,
  of: readonly Backfill[],
): Promise<Map<number, string>> {
  return await backfills.backfillStarters(cells.main.outbox, of)
}

/** Backfills, newest first, at most `limit`, before the id `before`; of one webhook: those for it or for all. */
export async function listBackfills(
  control: BackfillControl,
  page: { limit: number; before: number | null; webhookId?: number },
): Promise<Page<Backfill, number>> {
  const found = await backfills.listBackfills(control.cells.main.outbox, control.slotName, {
    ...page,
    limit: page.limit + 1,
  })
  return firstOf(found, page.limit)
}

export async function getBackfill(control: BackfillControl, id: number): Promise<Result<Backfill>> {
  const backfill = await backfills.findBackfill(control.cells.main.outbox, id)
  return backfill?.slotName === control.slotName ? { ok: true, value: backfill } : notFound('backfill', id)
}

/** Changes the pace of an open backfill from its next page on. */
export async function changeBackfill(
  control: BackfillControl,
  caller: Caller,
  id: number,
  { rowsPerSecond }: { rowsPerSecond: number },
): Promise<Result<Backfill>> {
  const before = await getBackfill(control, id)
  if (!before.ok) return before
  const changed = await transaction(control.cells.main.outbox.pool, async client => {
    const after = await backfills.paceBackfill(client, id, rowsPerSecond)
    if (after)
      await recordAudit(client, caller, 'backfill.changed', {
        id,
        webhookId: after.webhookId ?? undefined,
        from: { rowsPerSecond: before.value.rowsPerSecond },
        to: { rowsPerSecond },
      })
    return after
  })
  return changed ? { ok: true, value: changed } : await hasEnded(control, id)
}

/** Cancels an open backfill. Its pending deliveries stay. */
export async function cancelBackfill(
  control: BackfillControl,
  caller: Caller,
  id: number,
): Promise<Result<Backfill>> {
  const before = await getBackfill(control, id)
  if (!before.ok) return before
  const cancelled = await transaction(control.cells.main.outbox.pool, async client => {
    const reason = `cancelled by ${caller.name}`
    const after = await backfills.endBackfill(client, id, { state: 'cancelled', reason })
    if (after)
      await recordAudit(client, caller, 'backfill.cancelled', {
        id,
        webhookId: after.webhookId ?? undefined,
        from: { state: before.value.state },
        to: { state: after.state },
      })
    return after
  })
  return cancelled ? { ok: true, value: cancelled } : await hasEnded(control, id)
}

async function hasEnded(control: BackfillControl, id: number): Promise<Failed> {
  const found = await getBackfill(control, id)
  return found.ok ? conflict(because('backfill.ended', { id, state: found.value.state })) : found
}
