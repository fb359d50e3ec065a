import type { TimeId } from '../domain/time-id.ts'
import type { Outbox } from './database.ts'

export type LastEvent = {
  readonly id: TimeId
  readonly entityType: string
  readonly entityId: string
  readonly actionType: string
  /** When its transaction committed in the source. */
  readonly committedAt: Date
}

/** The newest event, or null where there is none yet. */
export async function readLastEvent(outbox: Outbox): Promise<LastEvent | null> {
  const { rows } = await outbox.pool.query(
    `select id, entity_type, entity_id, action_type, committed_at from walhook.events order by id desc limit 1`,
  )
  const row = rows[0]
  if (!row) return null
  return {
    id: row.id,
    entityType: row.entity_type,
    entityId: row.entity_id,
    actionType: row.action_type,
    committedAt: row.committed_at,
  }
}
