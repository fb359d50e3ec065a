import type { Attempt } from '../../domain/delivery/attempt.ts'
import type { Outcome } from '../../domain/delivery/outcome.ts'
import { firstIdAt, type TimeId, timeOf } from '../../domain/value/time-id.ts'
import type { Outbox } from '../database/database.ts'

/** The filter of a webhook's attempts. Absent fields do not filter. */
export type LogFilter = {
  readonly outcomes?: readonly Outcome[] | undefined
  readonly triggers?: readonly Attempt['trigger'][] | undefined
  readonly eventId?: TimeId | undefined
  readonly entity?: { readonly entityType: string; readonly entityId: string } | undefined
  /** Begun from this moment on, and before this one. */
  readonly from?: Date | undefined
  readonly to?: Date | undefined
}

const maxEvents = 1_000
const maxAttempts = 10_000
/** Ids of events and attempts come from two clocks. */
const clocksDifferMs = 3_600_000

/**
 * Attempts about events ($2), single or batched, and tests of an entity ($5, $6; null: none). Each part uses its own index;
 * one combined condition might read the whole log.
 */
const attemptsAboutStatement = `
select id from (
  select id from walhook.attempts where event_id = any($2) and webhook_id = $1 and id >= $4
  union all
  select id from walhook.attempts where event_ids && $2 and webhook_id = $1 and id >= $4
  union all
  select id from walhook.attempts where webhook_id = $1 and trigger = 'test' and entity_type = $5 and entity_id = $6
  union all
  select id from walhook.kept_attempts
  where webhook_id = $1 and (event_id = any($2) or event_ids && $2 or (entity_type = $5 and entity_id = $6))
) about
where id < $3
group by id order by id desc limit ${maxAttempts}`

/** The ids of a webhook's attempts about a filter's event or entity; null: the filter has neither. */
export async function attemptsAbout(
  outbox: Outbox,
  { webhookId, before, filter }: { webhookId: number; before: TimeId; filter: LogFilter },
): Promise<TimeId[] | null> {
  const { eventId, entity } = filter
  if (eventId === undefined && !entity) return null
  const ofEntity = entity ? await eventsOf(outbox, entity) : null
  const events = eventId === undefined ? ofEntity! : !ofEntity || ofEntity.includes(eventId) ? [eventId] : []
  // They come newest first.
  const oldest = events.at(-1) ?? before
  const { rows } = await outbox.pool.query(attemptsAboutStatement, [
    webhookId,
    events,
    before,
    firstIdAt(Math.max(0, timeOf(oldest) - clocksDifferMs)),
    eventId === undefined ? entity!.entityType : null,
    eventId === undefined ? entity!.entityId : null,
  ])
  return rows.map(row => row.id)
}

async function eventsOf(
  outbox: Outbox,
  { entityType, entityId }: NonNullable<LogFilter['entity']>,
): Promise<TimeId[]> {
  const { rows } = await outbox.pool.query(
    `select id from walhook.events where entity_type = $1 and entity_id = $2 order by id desc limit ${maxEvents}`,
    [entityType, entityId],
  )
  return rows.map(row => row.id)
}
