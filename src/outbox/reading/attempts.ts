import type { Attempt, Phase } from '../../domain/delivery/attempt.ts'
import type { EventFacts } from '../../domain/event/event.ts'
import { maxShownBytes } from '../../domain/shown/shown.ts'
import { afterAll, firstIdAt, type TimeId } from '../../domain/value/time-id.ts'
import type { Outbox } from '../database/database.ts'
import { parameters } from '../database/statement.ts'
import { eventBodyOf, readBatchBodies } from './attempt-bodies.ts'
import { headColumns, joinHead, unite } from './attempt-head.ts'
import { attemptsAbout, type LogFilter } from './attempts-about.ts'

/** An attempt in the log. */
export type LoggedAttempt = Attempt & {
  readonly id: TimeId
  readonly nextAttemptAt: Date | null
  /** Its event's facts; null: the event is no longer stored, or a test. */
  readonly facts: EventFacts | null
  /** Whether the log has its bodies: otherwise bodies and response headers are empty. */
  readonly hasBodies: boolean
  /** The size of a request body too large to be read: it is empty. Absent otherwise. */
  readonly tooLargeBytes?: number
}

export type LogPage = {
  readonly webhookId: number
  readonly limit: number
  readonly before: TimeId | null
  readonly filter?: LogFilter
}

/** An attempt gets its id when it is logged: usually seconds after its beginning, later if the database was down. */
const longestLoggingMs = 3_600_000

/**
 * A webhook's attempts, newest first, at most `limit` and `maxBytes` (but at least one), before the attempt `before`, including
 * those kept beyond retention; `isCut`: there are more. Of an entity: the last 10,000 about its last 1,000 events. Sizes are
 * read before bodies.
 */
export async function listAttempts(
  outbox: Outbox,
  page: LogPage,
  maxBytes: number,
): Promise<{ items: LoggedAttempt[]; isCut: boolean }> {
  const chosen = await chooseOfLog(outbox, page)
  const sizes = chosen ? await readSizes(outbox, chosen) : []
  // Too large bodies are not read.
  const shown = sizes.map(size => (size.bytes > maxShownBytes ? { ...size, bytes: 0 } : size))
  const within = sizes.slice(0, firstWithin(shown, maxBytes).length)
  const items = await readAttempts(
    outbox,
    {
      which: 'where a.webhook_id = $1 and a.id = any($2) order by a.id desc',
      values: [page.webhookId, within.map(({ id }) => id)],
    },
    within,
  )
  return { items, isCut: within.length < sizes.length }
}

/** The chosen attempts `a` of the whole log, in order. */
type Chosen = { readonly which: string; readonly values: readonly unknown[] }

/** The log and the attempts kept beyond retention, as one table. */
export const wholeLog = `
(select * from walhook.attempts union all select * from walhook.kept_attempts) a`

/** The attempts of `listAttempts`; null: there can be none. */
export async function chooseOfLog(outbox: Outbox, page: LogPage): Promise<Chosen | null> {
  const { webhookId, limit, filter = {} } = page
  const before = page.before ?? afterAll
  const about = await attemptsAbout(outbox, { webhookId, before, filter })
  if (about?.length === 0) return null
  const { values, given } = parameters()
  const { outcomes, triggers, from, to } = filter
  const conditions = [
    `a.webhook_id = ${given(webhookId)} and a.id < ${given(before)}`,
    about && `a.id = any(${given(about)})`,
    outcomes && `a.outcome = any(${given(outcomes)})`,
    triggers && `a.trigger = any(${given(triggers)})`,
    from && `a.started_at >= ${given(from)} and a.id >= ${given(firstIdAt(from.getTime()))}`,
    to && `a.started_at < ${given(to)} and a.id < ${given(firstIdAt(to.getTime() + longestLoggingMs))}`,
  ].filter(condition => condition)
  const which = `where ${conditions.join(' and ')} order by a.id desc limit ${given(limit)}`
  return { which, values }
}

export async function findAttempt(
  outbox: Outbox,
  webhookId: number,
  id: TimeId,
): Promise<LoggedAttempt | null> {
  const chosen = { which: 'where a.webhook_id = $1 and a.id = $2', values: [webhookId, id] }
  const [found] = await readAttempts(outbox, chosen, await readSizes(outbox, chosen))
  return found ?? null
}

/** While a day is being dropped, its kept attempts briefly exist twice. */
export const eachOnce = <Row extends { id: TimeId }>(rows: readonly Row[]): Row[] =>
  rows.filter((row, i) => row.id !== rows[i - 1]?.id)

/** The approximate size of a request body that is rebuilt from events. */
const eventBytes = (of: string) => `octet_length(${of}.body) + coalesce(octet_length(${of}.previous), 0)`

async function readSizes(
  { pool }: Outbox,
  { which, values }: Chosen,
): Promise<{ id: TimeId; bytes: number }[]> {
  const { rows } = await pool.query(
    `select a.id, (
       coalesce(octet_length(a.response_body), 0) + coalesce(
         octet_length(a.request_body),
         (select sum(${eventBytes('b')}) from walhook.events b where b.id = any(a.event_ids)),
         ${eventBytes('e')},
         0
       ))::float8 as bytes
     from ${wholeLog} left join walhook.events e on e.id = a.event_id ${which}`,
    [...values],
  )
  return eachOnce(rows)
}

/** The first attempts within `maxBytes` in all, at least one. */
function firstWithin<T extends { readonly bytes: number }>(items: readonly T[], maxBytes: number): T[] {
  let bytes = 0
  const cut = items.findIndex((item, i) => {
    bytes += item.bytes
    return bytes > maxBytes && i > 0
  })
  return items.slice(0, cut < 0 ? items.length : cut)
}

const shownColumns = `
a.webhook_id, a.id, a.trigger, a.event_id, a.event_ids, a.message_id, a.entity_type, a.entity_id, a.action_type, a.number,
a.url, a.request_headers, a.own_headers, a.started_at, a.duration_ms, a.phases, a.dns_ms, a.connect_ms, a.tls_ms,
a.first_byte_ms, a.body_ms, a.remote_address, a.status, a.response_headers,
a.response_body, a.response_truncated, a.outcome, a.error_class, a.error_message, a.next_attempt_at, a.with_previous,
a.has_bodies, e.action_type as event_action_type, e.changed, e.omitted, ${headColumns}`

/** The chosen attempts as shown, without too large bodies by `sizes`. */
async function readAttempts(
  outbox: Outbox,
  { which, values }: Chosen,
  sizes: readonly { id: TimeId; bytes: number }[],
): Promise<LoggedAttempt[]> {
  if (sizes.length === 0) return []
  const tooLarge = new Map(
    sizes.filter(({ bytes }) => bytes > maxShownBytes).map(({ id, bytes }) => [id, bytes]),
  )
  const given = `$${values.length + 1}::bigint[]`
  const unlessTooLarge = (column: string) => `case when a.id = any(${given}) then null else ${column} end`
  const read = await outbox.pool.query(
    `select ${shownColumns}, ${unlessTooLarge('a.request_body')} as request_body,
            ${unlessTooLarge('e.body')} as event_body, ${unlessTooLarge('e.previous')} as previous
     from ${wholeLog} left join walhook.events e on e.id = a.event_id ${joinHead} ${which}`,
    [...values, [...tooLarge.keys()]],
  )
  const rows = eachOnce(read.rows as AttemptRow[])
  const bodies = await readBatchBodies(
    outbox,
    rows.filter(({ id }) => !tooLarge.has(id)),
  )
  return rows.map(row => ({
    ...toAttempt(row, row.request_body ?? bodies.get(row.id)),
    ...(row.has_bodies && tooLarge.has(row.id) && { tooLargeBytes: tooLarge.get(row.id)! }),
  }))
}

const phaseNames = ['dns', 'connect', 'tls', 'first_byte', 'body'] as const satisfies readonly Phase[]

/** `body` is absent if it is built from the row's event. */
function toAttempt(row: AttemptRow, body: string | undefined): LoggedAttempt {
  const { messageId, request, responseHeaders } = unite(row)
  const { status, previous, changed, omitted } = row
  const timed = phaseNames.filter(name => row[`${name}_ms`] !== null)
  return {
    id: row.id,
    webhookId: row.webhook_id,
    trigger: row.trigger,
    eventId: row.event_id,
    eventIds: row.event_ids,
    messageId,
    entityType: row.entity_type,
    entityId: row.entity_id,
    actionType: row.action_type,
    number: row.number,
    startedAt: row.started_at,
    durationMs: row.duration_ms,
    remoteAddress: row.remote_address,
    outcome: row.outcome,
    errorClass: row.error_class,
    errorMessage: row.error_message,
    nextAttemptAt: row.next_attempt_at,
    hasBodies: row.has_bodies,
    phases: row.phases ?? Object.fromEntries(timed.map(name => [name, row[`${name}_ms`]])),
    request: { ...request, body: row.has_bodies ? (body ?? eventBodyOf(row)) : '' },
    response:
      status === null
        ? null
        : {
            status,
            headers: responseHeaders,
            body: row.response_body ?? '',
            truncated: row.response_truncated,
          },
    facts: row.event_body === null ? null : { previous, changed, omitted },
  }
}

// biome-ignore lint/suspicious/noExplicitAny: as node-postgres gives it
type AttemptRow = { readonly id: TimeId } & any
