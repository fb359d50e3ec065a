import type { Entity } from '../../domain/event/entity.ts'
import type { TimeId } from '../../domain/value/time-id.ts'
import type { SealKey } from '../../domain/webhook/seal.ts'
import { unseal } from '../../domain/webhook/seal.ts'
import { type Forgotten, forgetEntity as forget } from '../../outbox/by-hand/forget.ts'
import type { Cells } from '../../outbox/cells/cells.ts'
import { type Outbox, transaction } from '../../outbox/database/database.ts'
import { headOf } from '../../outbox/log/position.ts'
import { findLastEvent, isStoredType } from '../../outbox/reading/events.ts'
import { recordAudit } from '../../outbox/records/audit.ts'
import { listResponses, replaceResponse } from '../../outbox/records/idempotency.ts'
import { sleep } from '../../runtime/sleep.ts'
import { type OverCells, overCells } from '../kit/cells.ts'
import type { Caller } from '../kit/control.ts'
import { responsePurpose } from '../kit/once.ts'
import { invalid, type Result, wrongField } from '../kit/result.ts'
import { unknownType } from '../status/backfills.ts'

export type { Forgotten }

/** The time limit of one call: HTTP clients and proxies do not wait much longer. */
const longestMs = 10_000
/** Cells end earlier: one that is still at work after the limit would count as away. */
const longestInCellMs = 8_000
const pollEveryMs = 100

/** What was deleted, everywhere; `events`: of the log, not of its copies. `away`: cells that did not answer. */
type ForgottenEverywhere = Forgotten & {
  readonly answers: number
  readonly isComplete: boolean
  readonly away: readonly string[]
}

type ForgetControl = {
  readonly cells: Cells
  readonly sealKey: SealKey | null
  readonly entityTypes: readonly string[]
}

/**
 * Erases an entity: cancels its pending deliveries, and deletes its stored events, requests and responses, in every cell. The
 * audit records it without the id. `isComplete` false: call again. Later changes of the entity are sent as usual. Refuses a
 * type that is neither mapped nor stored.
 */
export async function forgetEntity(
  control: ForgetControl,
  caller: Caller,
  entity: Entity,
): Promise<Result<ForgottenEverywhere>> {
  const { cells, entityTypes } = control
  const { outbox } = cells.main
  const { entityType } = entity
  // "0 events" would look like a success.
  if (!entityTypes.includes(entityType) && !(await isStoredType(outbox, entityType)))
    return invalid(wrongField('/entity_type', unknownType(entityType, entityTypes)))
  const startedMs = performance.now()
  const isOver = (afterMs: number) => performance.now() - startedMs > afterMs
  const upTo = (await findLastEvent(outbox))?.id ?? 0n
  const ofMain = await forget(outbox, entity, upTo, () => isOver(longestMs))
  const ofCells = await forgetInCells(control, entity, upTo, () => isOver(longestInCellMs))
  const answers = await withdrawResponses(outbox, control.sealKey, entity)
  const done = sumOf({ ...ofMain, answers }, ofCells)
  await transaction(outbox.pool, async client => {
    const { isComplete, away, ...counts } = done
    await recordAudit(client, caller, 'entity.forgotten', { to: { entityType, ...counts, isComplete } })
  })
  return { ok: true, value: done }
}

type Done = Forgotten & { readonly answers: number; readonly isComplete: boolean }

/** In the cells besides main. Events that are on their way to a cell are waited for: they were read before they were deleted. */
async function forgetInCells(
  { cells, sealKey }: ForgetControl,
  entity: Entity,
  upTo: TimeId,
  isTimeOver: () => boolean,
): Promise<OverCells<Done | null>> {
  return await overCells({ cells }, async (outbox, cell) => {
    if (cell === cells.main) return null
    while (!isTimeOver() && (await headOf(outbox)) < upTo) await sleep(pollEveryMs)
    const hasAll = (await headOf(outbox)) >= upTo
    const done = await forget(outbox, entity, upTo, isTimeOver)
    const answers = await withdrawResponses(outbox, sealKey, entity)
    return { ...done, answers, isComplete: done.isComplete && hasAll }
  })
}

function sumOf(main: Done, { results: others, away }: OverCells<Done | null>): ForgottenEverywhere {
  const all = [main, ...others.flatMap(({ value }) => value ?? [])]
  const sum = (of: 'attempts' | 'batches' | 'deliveries' | 'answers') =>
    all.reduce((total, one) => total + one[of], 0)
  return {
    ...main,
    ...{ attempts: sum('attempts'), batches: sum('batches') },
    ...{ deliveries: sum('deliveries'), answers: sum('answers') },
    isComplete: away.length === 0 && all.every(({ isComplete }) => isComplete),
    away,
  }
}

/** Withdraws stored answers that contain the entity or are unreadable: a repetition gets a conflict. */
async function withdrawResponses(outbox: Outbox, sealKey: SealKey | null, entity: Entity): Promise<number> {
  let withdrawn = 0
  for (const { key, answer } of await listResponses(outbox)) {
    const opened = sealKey && unseal(sealKey, responsePurpose(key), answer)
    if (opened?.ok && !holds(parsed(opened.text), entity)) continue
    await replaceResponse(outbox.pool, key, null)
    withdrawn++
  }
  return withdrawn
}

/** Whether a value contains the entity anywhere, also in nested JSON texts. */
function holds(value: unknown, entity: Entity): boolean {
  if (typeof value === 'string') return /^\s*[[{]/.test(value) && holds(parsed(value), entity)
  if (typeof value !== 'object' || value === null) return false
  const { entity_type, entity_id } = value as { entity_type?: unknown; entity_id?: unknown }
  if (entity_type === entity.entityType && String(entity_id) === entity.entityId) return true
  return Object.values(value).some(inner => holds(inner, entity))
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
