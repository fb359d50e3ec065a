import { firstIdAt, type TimeId, timeOf } from '../../domain/value/time-id.ts'
import type { Outbox } from '../database/database.ts'
import { fields } from '../database/fields.ts'
import { chooseOfLog, eachOnce, type LoggedAttempt, type LogPage, wholeLog } from './attempts.ts'

/** An attempt as a line of a list, without bodies. */
export type AttemptLine = Pick<
  LoggedAttempt,
  | 'id'
  | 'webhookId'
  | 'trigger'
  | 'eventId'
  | 'eventIds'
  | 'entityType'
  | 'entityId'
  | 'actionType'
  | 'number'
  | 'outcome'
  | 'errorClass'
  | 'startedAt'
  | 'durationMs'
  | 'nextAttemptAt'
  | 'hasBodies'
> & {
  /** Null without a response. */
  readonly status: number | null
}

const columns = `
webhook_id, id, trigger, event_id, event_ids, entity_type, entity_id, action_type, number, outcome, error_class,
started_at, duration_ms, next_attempt_at, status, has_bodies`

/** `listAttempts` as lines. */
export async function listAttemptLines(outbox: Outbox, page: LogPage): Promise<AttemptLine[]> {
  const chosen = await chooseOfLog(outbox, page)
  if (!chosen) return []
  const { rows } = await outbox.pool.query(`select ${columns} from ${wholeLog} ${chosen.which}`, [
    ...chosen.values,
  ])
  return eachOnce(rows).map(fields<AttemptLine>)
}

const maxOfOneWebhook = 100

/** Every attempt of an event, single or batched, from the id `since` on, including those kept beyond retention. */
export const triesOf = (event: string, since: string, and: string) => `
select * from walhook.attempts where event_id = ${event} and id >= ${since} and ${and}
union all
select * from walhook.attempts where event_ids @> array[${event}::bigint] and id >= ${since} and ${and}
union all
select * from walhook.kept_attempts where (event_id = ${event} or event_ids @> array[${event}::bigint]) and ${and}`

/**
 * Every attempt of an event ($1), single or batched, including those kept beyond retention: the newest of each webhook, or of
 * one ($3). $2 lets Postgres skip earlier days.
 */
const eventAttemptsStatement = `
select ${columns} from (
  select ${columns}, row_number() over (partition by webhook_id order by id desc) as nth
  from (${triesOf('$1', '$2', 'webhook_id = coalesce($3, webhook_id)')}) a
) a
where nth <= ${maxOfOneWebhook}
order by webhook_id, id`

/** The database assigns attempt ids, and its clock may be behind. */
const clocksDifferMs = 3_600_000

/** An event's attempts by webhook, oldest first, the newest hundred of each. `webhookId`: only this webhook's, if given. */
export async function readEventAttempts(
  outbox: Outbox,
  eventId: TimeId,
  webhookId: number | null,
): Promise<Map<number, AttemptLine[]>> {
  const { rows } = await outbox.pool.query(eventAttemptsStatement, [
    eventId,
    firstIdAt(Math.max(0, timeOf(eventId) - clocksDifferMs)),
    webhookId,
  ])
  return Map.groupBy(eachOnce(rows).map(fields<AttemptLine>), line => line.webhookId)
}

/** Attempts (id, one of their events, number) whose delivery is still waiting in the state they left. A batch has no number. */
const stillWaitingStatement = `
select a.id
from unnest($2::bigint[], $3::bigint[], $4::smallint[]) as a (id, event_id, number)
join walhook.events e on e.id = a.event_id
join walhook.deliveries d
  on d.webhook_id = $1 and d.entity_type = e.entity_type and d.entity_id = e.entity_id and d.event_id = e.id
where d.attempts = coalesce(a.number, d.attempts)`

/** The ids of attempts whose announced retry is still to come, without those resent, cancelled or superseded since. */
export async function stillWaiting(
  outbox: Outbox,
  webhookId: number,
  attempts: readonly Pick<LoggedAttempt, 'id' | 'eventId' | 'eventIds' | 'number'>[],
): Promise<Set<TimeId>> {
  if (attempts.length === 0) return new Set()
  const { rows } = await outbox.pool.query(stillWaitingStatement, [
    webhookId,
    attempts.map(({ id }) => id),
    attempts.map(({ eventId, eventIds }) => eventId ?? eventIds?.[0] ?? null),
    attempts.map(({ eventId, number }) => (eventId === null ? null : number)),
  ])
  return new Set(rows.map(row => row.id))
}
