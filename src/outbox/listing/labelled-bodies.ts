import type { ActionType } from '../../domain/event/event.ts'
import { maxLabelledBytes } from '../../domain/event/label.ts'
import type { TimeId } from '../../domain/value/time-id.ts'
import type { Outbox } from '../database/database.ts'

/** The bodies of events by id, without those too long for a label. */
export async function readLabelledBodies(
  { pool }: Outbox,
  ids: readonly TimeId[],
): Promise<Map<TimeId, { readonly actionType: ActionType; readonly body: string }>> {
  if (ids.length === 0) return new Map()
  const { rows } = await pool.query(
    `select id, action_type, body from walhook.events where id = any($1) and octet_length(body) <= ${maxLabelledBytes}`,
    [ids],
  )
  return new Map(rows.map(row => [row.id, { actionType: row.action_type, body: row.body }]))
}
