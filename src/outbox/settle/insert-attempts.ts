import type pg from 'pg'
import type { Attempt } from '../../domain/delivery/attempt.ts'
import type { TimeId } from '../../domain/value/time-id.ts'
import { rows, statement } from '../database/statement.ts'
import { divide, headRows, headsOf, noteHeads } from '../reading/attempt-head.ts'
import { isForgotten } from '../reading/forgotten.ts'

/** Replaces the id of an entity that was erased during the request. */
const forgottenId = '[forgotten]'

type Entry = {
  readonly attempt: Attempt
  readonly nextAttemptInMs: number | null
  readonly withPrevious: boolean
  readonly isBodyKept: boolean
}

const insertAs = (name: string, returned: string) =>
  statement(
    name,
    {
      heads: headRows,
      attempts: rows<Entry & ReturnType<typeof divide>>(
        { messageId: 'text', ownHeaders: 'text', responseHeaders: 'text', withPrevious: 'boolean' },
        {
          webhook_id: ['int', ({ attempt }) => attempt.webhookId],
          trigger: ['text', ({ attempt }) => attempt.trigger],
          event_id: ['bigint', ({ attempt }) => attempt.eventId],
          request_body: ['text', ({ attempt, isBodyKept }) => (isBodyKept ? attempt.request.body : null)],
          entity_type: ['text', ({ attempt }) => attempt.entityType],
          entity_id: ['text', ({ attempt }) => attempt.entityId],
          action_type: ['text', ({ attempt }) => attempt.actionType],
          number: ['smallint', ({ attempt }) => attempt.number],
          head_id: ['bigint', ({ head }) => head.id],
          started_at: ['timestamptz', ({ attempt }) => attempt.startedAt],
          duration_ms: ['float8', ({ attempt }) => attempt.durationMs],
          dns_ms: ['float8', ({ attempt: { phases } }) => phases.dns ?? null],
          connect_ms: ['float8', ({ attempt: { phases } }) => phases.connect ?? null],
          tls_ms: ['float8', ({ attempt: { phases } }) => phases.tls ?? null],
          first_byte_ms: ['float8', ({ attempt: { phases } }) => phases.first_byte ?? null],
          body_ms: ['float8', ({ attempt: { phases } }) => phases.body ?? null],
          remote_address: ['text', ({ attempt }) => attempt.remoteAddress],
          status: ['smallint', ({ attempt: { response } }) => response?.status ?? null],
          response_body: ['text', ({ attempt: { response } }) => response?.body ?? null],
          response_truncated: ['boolean', ({ attempt: { response } }) => response?.truncated ?? false],
          outcome: ['text', ({ attempt }) => attempt.outcome],
          error_class: ['text', ({ attempt }) => attempt.errorClass],
          error_message: ['text', ({ attempt }) => attempt.errorMessage],
          next_in_ms: ['float8', entry => entry.nextAttemptInMs],
          event_ids: ['text', ({ attempt: { eventIds } }) => eventIds && `{${eventIds.join(',')}}`],
        },
      ),
    },
    p => `
with heads as (${noteHeads(p.heads)})
insert into walhook.attempts (
  webhook_id, trigger, event_id, request_body, message_id, entity_type, entity_id, action_type, number, head_id, own_headers,
  started_at, duration_ms, dns_ms, connect_ms, tls_ms, first_byte_ms, body_ms, remote_address, status, response_headers, response_body,
  response_truncated, outcome, error_class, error_message, next_attempt_at, with_previous,
  event_ids, has_bodies)
select
  webhook_id, trigger, event_id, case when has_bodies then request_body when trigger = 'test' then '' end, message_id,
  entity_type, case when is_forgotten and entity_id is not null then '${forgottenId}' else entity_id end, action_type, number, head_id, own_headers,
  started_at, duration_ms, dns_ms, connect_ms, tls_ms, first_byte_ms, body_ms, remote_address, status,
  case when has_bodies then response_headers::jsonb end, case when has_bodies then response_body end, response_truncated, outcome, error_class, error_message, clock_timestamp() + next_in_ms * interval '1 ms',
  with_previous, event_ids::bigint[], has_bodies
from (
select a.*, f.is_forgotten,
  not f.is_forgotten and coalesce(
    w.log_bodies = 'all' or (w.log_bodies = 'failed' and a.outcome <> 'delivered'), true) as has_bodies
from ${p.attempts('a')}
cross join lateral (select ${isForgotten} as is_forgotten) f
left join walhook.webhooks w on w.id = a.webhook_id
) a
${returned}`,
  )

const insertStatement = insertAs('insert_attempts', '')
const insertReturning = insertAs('insert_attempts_returning', 'returning id')

/**
 * Logs attempts, each with the time of the next one (`nextAttemptInMs` from now; null: none). The body is stored for tests,
 * and if `isBodyKept`: other attempts sent their events' bodies.
 */
export async function insertAttempts(db: pg.Pool | pg.PoolClient, attempts: readonly Entry[]): Promise<void> {
  await insertStatement(db, given(attempts))
}

/** The same for one attempt. Returns its id. */
export async function insertAttempt(db: pg.Pool | pg.PoolClient, attempt: Entry): Promise<TimeId> {
  const { rows } = await insertReturning(db, given([attempt]))
  return rows[0].id
}

function given(attempts: readonly Entry[]) {
  const divided = attempts.map(entry => ({ ...entry, ...divide(entry.attempt) }))
  return { heads: headsOf(divided), attempts: divided }
}
