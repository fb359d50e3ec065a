import type { ActionType, EventFacts, OfTenant } from '../../domain/event/event.ts'
import { mostShownBytes } from '../../domain/shown/shown.ts'
import { afterAll, type TimeId } from '../../domain/value/time-id.ts'
import type { Outbox } from '../database/database.ts'
import { fields } from '../database/fields.ts'
import { parameters } from '../database/statement.ts'

/** An event in one line of a list: without its data, which may be a megabyte. */
export type EventLine = Pick<EventFacts, 'changed' | 'omitted'> &
  OfTenant & {
    readonly id: TimeId
    readonly entityType: string
    readonly entityId: string
    readonly actionType: ActionType
    /** When its transaction committed in the source. */
    readonly committedAt: Date
  }

/** An event as the outbox shows it. */
export type ShownEvent = EventFacts &
  EventLine & {
    readonly body: string
    /** It has so many bytes, more than are read to be shown: its body is empty. Absent otherwise. */
    readonly tooLargeBytes?: number
  }

const lineColumns =
  'id, entity_type, entity_id, action_type, committed_at, changed, omitted, tenant, tenant_before'

/** An event, or null where there is none, or none any more. */
export async function findEvent(outbox: Outbox, id: TimeId): Promise<ShownEvent | null> {
  const { rows } = await outbox.pool.query(
    `select ${lineColumns}, bytes, case when bytes <= $2 then body end as body, case when bytes <= $2 then previous end as previous
     from (
       select *, (octet_length(body) + coalesce(octet_length(previous), 0))::float8 as bytes
       from walhook.events where id = $1
     ) e`,
    [id, mostShownBytes],
  )
  const [row] = rows
  if (!row) return null
  const { bytes, body, previous, ...rest } = row
  const line = fields<EventLine>(rest)
  return bytes > mostShownBytes
    ? { ...line, body: '', previous: null, tooLargeBytes: bytes }
    : { ...line, body, previous }
}

/** The same in one line. */
export async function findEventLine(outbox: Outbox, id: TimeId): Promise<EventLine | null> {
  const { rows } = await outbox.pool.query(`select ${lineColumns} from walhook.events where id = $1`, [id])
  return rows[0] ? fields(rows[0]) : null
}

/** The newest events, of one entity and of one tenant where given: at most `limit`, older than the event `before` where given. */
export async function listEvents(
  outbox: Outbox,
  page: {
    entity: { entityType: string; entityId: string } | null
    tenant: string | null
    limit: number
    before: TimeId | null
  },
): Promise<EventLine[]> {
  const { entity, tenant, limit } = page
  const before = page.before ?? afterAll
  if (tenant !== null) return await listEventsOf(outbox, { entity, tenant, limit, before })
  const { rows } = entity
    ? await outbox.pool.query(
        `select ${lineColumns} from walhook.events
         where entity_type = $1 and entity_id = $2 and id < $3 order by id desc limit $4`,
        [entity.entityType, entity.entityId, before, limit],
      )
    : await outbox.pool.query(
        `select ${lineColumns} from walhook.events where id < $1 order by id desc limit $2`,
        [before, limit],
      )
  return rows.map(fields<EventLine>)
}

/** Those that its tenant may know of: events of its entities, and updates that took them away. Each part is an index's end. */
async function listEventsOf(
  outbox: Outbox,
  page: {
    entity: { entityType: string; entityId: string } | null
    tenant: string
    limit: number
    before: TimeId
  },
): Promise<EventLine[]> {
  const { values, given } = parameters()
  const [tenant, before, limit] = [given(page.tenant), given(page.before), given(page.limit)]
  const ofEntity = page.entity
    ? `and entity_type = ${given(page.entity.entityType)} and entity_id = ${given(page.entity.entityId)}`
    : ''
  const part = (column: string) =>
    `(select ${lineColumns} from walhook.events where ${column} = ${tenant} and id < ${before} ${ofEntity} order by id desc limit ${limit})`
  const { rows } = await outbox.pool.query(
    `${part('tenant')} union all ${part('tenant_before')} order by id desc limit ${limit}`,
    values,
  )
  return rows.map(fields<EventLine>)
}

/** The newest event, or null where there is none yet. */
export async function findLastEvent(outbox: Outbox): Promise<EventLine | null> {
  return (await listEvents(outbox, { entity: null, tenant: null, limit: 1, before: null }))[0] ?? null
}

/** Whether an event of this type is stored, of an entity that the mapping may have had once. */
export async function isStoredType({ pool }: Pick<Outbox, 'pool'>, entityType: string): Promise<boolean> {
  const { rows } = await pool.query(
    'select exists (select from walhook.events where entity_type = $1) as is_stored',
    [entityType],
  )
  return rows[0].is_stored
}
