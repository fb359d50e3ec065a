import type { Entity } from '../../domain/event/entity.ts'
import type { SealKey } from '../../domain/webhook/seal.ts'
import { unseal } from '../../domain/webhook/seal.ts'
import { type Forgotten, forgetEntity as forget } from '../../outbox/by-hand/forget.ts'
import { type Outbox, transaction } from '../../outbox/database/database.ts'
import { findLastEvent, isStoredType } from '../../outbox/reading/events.ts'
import { recordAudit } from '../../outbox/records/audit.ts'
import { listAnswers, replaceAnswer } from '../../outbox/records/idempotency.ts'
import type { Caller } from '../kit/control.ts'
import { answerPurpose } from '../kit/once.ts'
import { invalid, type Result, wrongField } from '../kit/result.ts'
import { unknownType } from '../status/backfills.ts'

export type { Forgotten }

/** The time limit of one call: HTTP clients and proxies do not wait much longer. */
const longestMs = 10_000

/**
 * Erases an entity: cancels its pending deliveries, and deletes its stored events, requests and responses. The audit records
 * it without the id. `isComplete` false: call again. Later changes of the entity are sent as usual. Refuses a type that is
 * neither mapped nor stored.
 */
export async function forgetEntity(
  control: {
    readonly outbox: Outbox
    readonly sealKey: SealKey | null
    readonly entityTypes: readonly string[]
  },
  caller: Caller,
  entity: Entity,
): Promise<Result<Forgotten & { readonly answers: number; readonly isComplete: boolean }>> {
  const { outbox, entityTypes } = control
  const { entityType } = entity
  // "0 events" would look like a success.
  if (!entityTypes.includes(entityType) && !(await isStoredType(outbox, entityType)))
    return invalid(wrongField('/entity_type', unknownType(entityType, entityTypes)))
  const startedMs = performance.now()
  const upTo = (await findLastEvent(outbox))?.id ?? 0n
  const done = await forget(outbox, entity, upTo, () => performance.now() - startedMs > longestMs)
  const answers = await withdrawAnswers(control, entity)
  await transaction(outbox.pool, async client => {
    const { isComplete, ...counts } = done
    await recordAudit(client, caller, 'entity.forgotten', {
      to: { entityType: entity.entityType, ...counts, answers, isComplete },
    })
  })
  return { ok: true, value: { ...done, answers } }
}

/** Withdraws stored answers that contain the entity or are unreadable: a repetition gets a conflict. */
async function withdrawAnswers(
  { outbox, sealKey }: { readonly outbox: Outbox; readonly sealKey: SealKey | null },
  entity: Entity,
): Promise<number> {
  let withdrawn = 0
  for (const { key, answer } of await listAnswers(outbox)) {
    const opened = sealKey && unseal(sealKey, answerPurpose(key), answer)
    if (opened?.ok && !holds(parsed(opened.text), entity)) continue
    await replaceAnswer(outbox.pool, key, null)
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
