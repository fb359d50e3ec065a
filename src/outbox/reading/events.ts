import type { ActionType, EventFacts, OfTenant } from '../../domain/event/event.ts'
import { maxShownBytes } from '../../domain/shown/shown.ts'
import type { TimeId } from '../../domain/value/time-id.ts'
import type { Outbox } from '../database/database.ts'
import { fields } from '../database/fields.ts'

/** An event as a line of a list, without its data. */
export type EventLine = Pick<EventFacts, 'changed' | 'omitted'> &
  OfTenant & {
    readonly id: TimeId
    readonly entityType: string
    readonly entityId: string
    readonly actionType: ActionType
    /** The commit time in the source. */
    readonly committedAt: Date
  }

/** An event, as the outbox shows it. */
export type ShownEvent = EventFacts &
  EventLine & {
    readonly body: string
    /** The size of a body too large to be read: it is empty. Absent otherwise. */
    readonly tooLargeBytes?: number
  }

export const lineColumns =
  'id, entity_type, entity_id, action_type, committed_at, changed, omitted, tenant, tenant_before'

export async function findEvent(outbox: Outbox, id: TimeId): Promise<ShownEvent | null> {
  const { rows } = await outbox.pool.query(
    `select ${lineColumns}, bytes, case when bytes <= $2 then body end as body, case when bytes <= $2 then previous end as previous
     from (
       select *, (octet_length(body) + coalesce(octet_length(previous), 0))::float8 as bytes
       from walhook.events where id = $1
     ) e`,
    [id, maxShownBytes],
  )
  const [row] = rows
  if (!row) return null
  const { bytes, body, previous, ...rest } = row
  const line = fields<EventLine>(rest)
  return bytes > maxShownBytes
    ? { ...line, body: '', previous: null, tooLargeBytes: bytes }
    : { ...line, body, previous }
}

/** The same as a line. */
export async function findEventLine(outbox: Outbox, id: TimeId): Promise<EventLine | null> {
  const { rows } = await outbox.pool.query(`select ${lineColumns} from walhook.events where id = $1`, [id])
  return rows[0] ? fields(rows[0]) : null
}

export async function findLastEvent(outbox: Outbox): Promise<EventLine | null> {
  const { rows } = await outbox.pool.query(
    `select ${lineColumns} from walhook.events order by id desc limit 1`,
  )
  return rows[0] ? fields(rows[0]) : null
}

/** Whether an event of this entity type, maybe no longer mapped, is stored. */
export async function isStoredType({ pool }: Pick<Outbox, 'pool'>, entityType: string): Promise<boolean> {
  const { rows } = await pool.query(
    'select exists (select 1 from walhook.events where entity_type = $1) as is_stored',
    [entityType],
  )
  return rows[0].is_stored
}
