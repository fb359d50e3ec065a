import { sql } from 'kysely'
import type pg from 'pg'
import type { Attempt } from '../domain/attempt.ts'
import type { EventFacts } from '../domain/event.ts'
import { mostShownBytes } from '../domain/shown.ts'
import { afterAll, firstIdAt, type TimeId } from '../domain/time-id.ts'
import { eventBodyOf, readBatchBodies } from './attempt-bodies.ts'
import { attemptsAbout, type LogFilter } from './attempts-about.ts'
import { column } from './binary-array.ts'
import type { Outbox } from './database.ts'
import { isForgotten } from './forget.ts'

/** An attempt as it stands in the log. */
export type LoggedAttempt = Attempt & {
  readonly id: TimeId
  readonly nextAttemptAt: Date | null
  /** What its event knows beyond its body; null where the event is not kept, and of a test. */
  readonly facts: EventFacts | null
  /** Whether the log keeps what was sent and answered: else the bodies and the answer's headers are empty. */
  readonly hasBodies: boolean
  /** What was sent has so many bytes, more than are read to be shown: its body is empty. Absent otherwise. */
  readonly tooLargeBytes?: number
}

/** What stands for an id in the log of what was under way when its entity was forgotten. */
export const forgottenId = '[forgotten]'

const insertAttemptsStatement = `
insert into walhook.attempts (
  webhook_id, trigger, event_id, request_body, message_id, entity_type, entity_id, action_type, number, url,
  request_headers, started_at, duration_ms, phases, remote_address, status, response_headers, response_body,
  response_truncated, outcome, error_class, error_message, next_attempt_at, with_previous,
  event_ids, has_bodies)
select
  webhook_id, trigger, event_id, case when has_bodies then request_body when trigger = 'test' then '' end, message_id,
  entity_type, case when is_forgotten and entity_id is not null then '${forgottenId}' else entity_id end, action_type, number, url,
  request_headers::jsonb, started_at, duration_ms, phases::jsonb, remote_address, status,
  case when has_bodies then response_headers::jsonb end, case when has_bodies then response_body end, response_truncated, outcome, error_class, error_message, clock_timestamp() + next_in_ms * interval '1 ms',
  with_previous, event_ids::bigint[], has_bodies
from (
select a.*, f.is_forgotten,
  not f.is_forgotten and coalesce(
    w.log_bodies = 'all' or (w.log_bodies = 'failed' and a.outcome <> 'delivered'), true) as has_bodies
from unnest(
  $1::int[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::smallint[],
  $10::text[], $11::text[], $12::timestamptz[], $13::float8[], $14::text[], $15::text[], $16::smallint[],
  $17::text[], $18::text[], $19::boolean[], $20::text[], $21::text[], $22::text[], $23::float8[], $24::boolean[],
  $25::text[]
) as a (
  webhook_id, trigger, event_id, request_body, message_id, entity_type, entity_id, action_type, number,
  url, request_headers, started_at, duration_ms, phases, remote_address, status,
  response_headers, response_body, response_truncated, outcome, error_class, error_message, next_in_ms,
  with_previous, event_ids)
cross join lateral (select ${isForgotten} as is_forgotten) f
left join walhook.webhooks w on w.id = a.webhook_id
) a
returning webhook_id, id, next_attempt_at`

/**
 * Writes attempts to the log, each with the time of the next one (`nextAttemptInMs` from now, or null where none
 * is planned). The body is kept of a test, and where `isBodyKept` says so: any other attempt sent its events' bodies,
 * with or without what they know beyond them.
 * Returns id and time of the next attempt, in no particular order.
 */
export async function insertAttempts(
  db: pg.Pool | pg.PoolClient,
  entries: readonly {
    attempt: Attempt
    nextAttemptInMs: number | null
    withPrevious: boolean
    isBodyKept: boolean
  }[],
): Promise<{ id: TimeId; nextAttemptAt: Date | null }[]> {
  const attempts = entries.map(entry => entry.attempt)
  const { rows } = await db.query({
    name: 'insert_attempts',
    text: insertAttemptsStatement,
    values: [
      column('int', attempts, a => a.webhookId),
      column('text', attempts, a => a.trigger),
      column('bigint', attempts, a => a.eventId),
      column('text', entries, ({ attempt, isBodyKept }) => (isBodyKept ? attempt.request.body : null)),
      column('text', attempts, a => a.messageId),
      column('text', attempts, a => a.entityType),
      column('text', attempts, a => a.entityId),
      column('text', attempts, a => a.actionType),
      column('smallint', attempts, a => a.number),
      column('text', attempts, a => a.request.url),
      column('text', attempts, a => JSON.stringify(a.request.headers)),
      column('timestamptz', attempts, a => a.startedAt),
      column('float8', attempts, a => a.durationMs),
      column('text', attempts, a => JSON.stringify(a.phases)),
      column('text', attempts, a => a.remoteAddress),
      column('smallint', attempts, a => a.response?.status ?? null),
      column('text', attempts, a => (a.response ? JSON.stringify(a.response.headers) : null)),
      column('text', attempts, a => a.response?.body ?? null),
      column('boolean', attempts, a => a.response?.truncated ?? false),
      column('text', attempts, a => a.outcome),
      column('text', attempts, a => a.errorClass),
      column('text', attempts, a => a.errorMessage),
      column('float8', entries, entry => entry.nextAttemptInMs),
      column('boolean', entries, entry => entry.withPrevious),
      column('text', attempts, a => a.eventIds && `{${a.eventIds.join(',')}}`),
    ],
  })
  return rows.map(row => ({ id: row.id, nextAttemptAt: row.next_attempt_at }))
}

export type LogPage = {
  readonly webhookId: number
  readonly limit: number
  readonly before: TimeId | null
  readonly filter?: LogFilter
}

/** An attempt gets its id when it is logged: mostly within seconds of its beginning, later while the database is away. */
const longestLoggingMs = 3_600_000

/**
 * A webhook's attempts, newest first, at most `limit`, older than the attempt `before` where one is given; also those
 * that are kept beyond the log's time. Of an entity, those about its last 1,000 events, and of these the last 10,000.
 */
export async function listAttempts(outbox: Outbox, page: LogPage): Promise<LoggedAttempt[]> {
  return (await listAttemptsWithin(outbox, page, Number.POSITIVE_INFINITY)).items
}

/**
 * As `listAttempts`, of at most `maxBytes` in all, unless the first by itself has more; `isCut` where more would be too much.
 * Bodies are read only once it is known how large they are.
 */
export async function listAttemptsWithin(
  outbox: Outbox,
  page: LogPage,
  maxBytes: number,
): Promise<{ items: LoggedAttempt[]; isCut: boolean }> {
  const choose = await chooseOfLog(outbox, page)
  const sizes = choose ? await readSizes(outbox, choose) : []
  // Of what is too large nothing is read.
  const shown = sizes.map(size => (size.bytes > mostShownBytes ? { ...size, bytes: 0 } : size))
  const within = sizes.slice(0, firstWithin(shown, maxBytes).length)
  const ids = within.map(({ id }) => id)
  const items =
    ids.length === 0
      ? []
      : await readAttempts(
          outbox,
          query =>
            query.where('a.webhook_id', '=', page.webhookId).where('a.id', 'in', ids).orderBy('a.id', 'desc'),
          within,
        )
  return { items, isCut: within.length < sizes.length }
}

/** What leaves of all attempts those that `listAttempts` wants; null where there can be none. */
export async function chooseOfLog(outbox: Outbox, page: LogPage): Promise<Choose | null> {
  const { webhookId, limit, filter = {} } = page
  const before = page.before ?? afterAll
  const about = await attemptsAbout(outbox, { webhookId, before, filter })
  if (about?.length === 0) return null
  return query => {
    let chosen = query.where('a.webhook_id', '=', webhookId).where('a.id', '<', before)
    if (about) chosen = chosen.where('a.id', '=', sql<TimeId>`any(${about})`)
    if (filter.outcomes) chosen = chosen.where('a.outcome', 'in', filter.outcomes)
    if (filter.triggers) chosen = chosen.where('a.trigger', 'in', filter.triggers)
    if (filter.from)
      chosen = chosen
        .where('a.started_at', '>=', filter.from)
        .where('a.id', '>=', firstIdAt(filter.from.getTime()))
    if (filter.to)
      chosen = chosen
        .where('a.started_at', '<', filter.to)
        .where('a.id', '<', firstIdAt(filter.to.getTime() + longestLoggingMs))
    return chosen.orderBy('a.id', 'desc').limit(limit)
  }
}

/** One attempt of a webhook, or null where there is none, or none any more. */
export async function findAttempt(
  outbox: Outbox,
  webhookId: number,
  id: TimeId,
): Promise<LoggedAttempt | null> {
  const choose = (query: LogQuery) => query.where('a.webhook_id', '=', webhookId).where('a.id', '=', id)
  const [found] = await readAttempts(outbox, choose, await readSizes(outbox, choose))
  return found ?? null
}

/** The log and what is kept beyond its time, as one table; of the attempts `tooLarge` without what was sent. */
export function loggedAttempts({ kysely }: Outbox, tooLarge: readonly TimeId[] = []) {
  const unlessTooLarge = (column: string) =>
    sql<string | null>`case when a.id = any(${tooLarge}::bigint[]) then null else ${sql.ref(column)} end`
  return kysely
    .selectFrom(
      kysely
        .selectFrom('walhook.attempts')
        .selectAll()
        .unionAll(kysely.selectFrom('walhook.kept_attempts').selectAll())
        .as('a'),
    )
    .leftJoin('walhook.events as e', 'e.id', 'a.event_id')
    .select(shownColumns)
    .select([
      unlessTooLarge('a.request_body').as('request_body'),
      unlessTooLarge('e.body').as('event_body'),
      'e.action_type as event_action_type',
      unlessTooLarge('e.previous').as('previous'),
      'e.changed',
      'e.omitted',
    ])
}

/** All but the body that was sent. */
const shownColumns = [
  ...([
    'a.webhook_id',
    'a.id',
    'a.trigger',
    'a.event_id',
    'a.event_ids',
    'a.message_id',
    'a.entity_type',
  ] as const),
  ...(['a.entity_id', 'a.action_type', 'a.number', 'a.url', 'a.request_headers', 'a.started_at'] as const),
  ...(['a.duration_ms', 'a.phases', 'a.remote_address', 'a.status', 'a.response_headers'] as const),
  ...(['a.response_body', 'a.response_truncated', 'a.outcome', 'a.error_class', 'a.error_message'] as const),
  ...(['a.next_attempt_at', 'a.with_previous', 'a.has_bodies'] as const),
]

type LogQuery = ReturnType<typeof loggedAttempts>
type Choose = (query: LogQuery) => LogQuery

/** While a day is being dropped, what is kept of it is there twice for a moment. */
export const eachOnce = <Row extends { id: TimeId }>(rows: readonly Row[]): Row[] =>
  rows.filter((row, i) => row.id !== rows[i - 1]?.id)

/** The bytes of what was sent without a body of its own, of events ($1): as they were sent, nearly. */
const eventBytes = (of: string) => `octet_length(${of}.body) + coalesce(octet_length(${of}.previous), 0)`

/** How many bytes the attempts that `choose` leaves have; nothing of their bodies is read for that. */
export async function readSizes(outbox: Outbox, choose: Choose): Promise<{ id: TimeId; bytes: number }[]> {
  const bytes = sql<number>`(
    coalesce(octet_length(a.response_body), 0) + coalesce(
      octet_length(a.request_body),
      (select sum(${sql.raw(eventBytes('b'))}) from walhook.events b where b.id = any(a.event_ids)),
      ${sql.raw(eventBytes('e'))},
      0
    ))::float8`
  const query = choose(loggedAttempts(outbox)).clearSelect()
  return eachOnce(await query.select(['a.id', bytes.as('bytes')]).execute())
}

/** As many from the beginning as have at most `maxBytes` together; the first in any case. */
export function firstWithin<T extends { readonly bytes: number }>(
  items: readonly T[],
  maxBytes: number,
): T[] {
  let bytes = 0
  const cut = items.findIndex((item, i) => {
    bytes += item.bytes
    return bytes > maxBytes && i > 0
  })
  return items.slice(0, cut < 0 ? items.length : cut)
}

/** The attempts that `choose` leaves of all, as the log shows them. `sizes` are theirs, of those that may be too large. */
export async function readAttempts(
  outbox: Outbox,
  choose: Choose,
  sizes: readonly { id: TimeId; bytes: number }[] = [],
): Promise<LoggedAttempt[]> {
  const tooLarge = new Map(
    sizes.filter(({ bytes }) => bytes > mostShownBytes).map(({ id, bytes }) => [id, bytes]),
  )
  const rows = eachOnce(await choose(loggedAttempts(outbox, [...tooLarge.keys()])).execute())
  const bodies = await readBatchBodies(
    outbox,
    rows.filter(({ id }) => !tooLarge.has(id)),
  )
  return rows.map(row => ({
    id: row.id,
    webhookId: row.webhook_id,
    trigger: row.trigger,
    eventId: row.event_id,
    eventIds: row.event_ids,
    messageId: row.message_id,
    entityType: row.entity_type,
    entityId: row.entity_id,
    actionType: row.action_type,
    number: row.number,
    request: {
      url: row.url,
      headers: row.request_headers,
      body: row.has_bodies ? (row.request_body ?? bodies.get(row.id) ?? eventBodyOf(row)) : '',
    },
    startedAt: row.started_at,
    durationMs: row.duration_ms,
    phases: row.phases ?? {},
    remoteAddress: row.remote_address,
    response:
      row.status === null
        ? null
        : {
            status: row.status,
            headers: row.response_headers ?? {},
            body: row.response_body ?? '',
            truncated: row.response_truncated,
          },
    outcome: row.outcome,
    errorClass: row.error_class as Attempt['errorClass'],
    errorMessage: row.error_message,
    nextAttemptAt: row.next_attempt_at,
    hasBodies: row.has_bodies,
    ...(row.has_bodies && tooLarge.has(row.id) && { tooLargeBytes: tooLarge.get(row.id)! }),
    facts:
      row.event_body === null ? null : { previous: row.previous, changed: row.changed, omitted: row.omitted },
  }))
}
