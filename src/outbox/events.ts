import type { ActionType, EventFacts } from '../domain/event.ts'
import { afterAll, type TimeId } from '../domain/time-id.ts'
import type { Outbox } from './database.ts'

/** An event as the outbox shows it. */
export type ShownEvent = EventFacts & {
  readonly id: TimeId
  readonly entityType: string
  readonly entityId: string
  readonly actionType: ActionType
  /** When its transaction committed in the source. */
  readonly committedAt: Date
  readonly body: string
}

const columns = 'id, entity_type, entity_id, action_type, committed_at, body, previous, changed, omitted'

function toEvent(row: Record<string, unknown>): ShownEvent {
  return {
    id: row.id as TimeId,
    entityType: row.entity_type as string,
    entityId: row.entity_id as string,
    actionType: row.action_type as ActionType,
    committedAt: row.committed_at as Date,
    body: row.body as string,
    previous: row.previous as string | null,
    changed: row.changed as string[] | null,
    omitted: row.omitted as string[] | null,
  }
}

/** An event, or null where there is none, or none any more. */
export async function findEvent(outbox: Outbox, id: TimeId): Promise<ShownEvent | null> {
  const { rows } = await outbox.pool.query(`select ${columns} from walhook.events where id = $1`, [id])
  return rows[0] ? toEvent(rows[0]) : null
}

/** The newest events, of one entity where one is given: at most `limit`, older than the event `before` where given. */
export async function listEvents(
  outbox: Outbox,
  page: { entity: { entityType: string; entityId: string } | null; limit: number; before: TimeId | null },
): Promise<ShownEvent[]> {
  const { entity, limit } = page
  const before = page.before ?? afterAll
  const { rows } = entity
    ? await outbox.pool.query(
        `select ${columns} from walhook.events
         where entity_type = $1 and entity_id = $2 and id < $3 order by id desc limit $4`,
        [entity.entityType, entity.entityId, before, limit],
      )
    : await outbox.pool.query(
        `select ${columns} from walhook.events where id < $1 order by id desc limit $2`,
        [before, limit],
      )
  return rows.map(toEvent)
}
