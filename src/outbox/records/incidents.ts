import type pg from 'pg'
import { type IncidentFacts, type IncidentKind, incidentPaces } from '../../domain/alert/incident.ts'
import type { Outbox } from '../database/database.ts'
import { fields } from '../database/fields.ts'
import { newIds } from '../database/new-ids.ts'
import { rows, statement } from '../database/statement.ts'

/** A problem of a webhook or of capture, alerted once. */
export type Incident = {
  readonly id: number
  readonly kind: IncidentKind
  /** A webhook's id, or a slot's name. */
  readonly subject: string
  readonly webhookId: number | null
  readonly openedAt: Date
  readonly lastAt: Date
  /** The number of occurrences. */
  readonly count: number
  readonly facts: IncidentFacts
  /** Null: it is open. */
  readonly endedAt: Date | null
}

export type IncidentReport = {
  readonly kind: IncidentKind
  /** The webhook, or the slot. */
  readonly of: number | string
  readonly count?: number
  readonly facts?: IncidentFacts
}

const reportColumns = {
  subject: ['text', ({ of }: IncidentReport) => String(of)],
  webhook_id: ['int', ({ of }: IncidentReport) => (typeof of === 'number' ? of : null)],
  count: ['int', ({ count = 1 }: IncidentReport) => count],
  facts: ['text', ({ facts = {} }: IncidentReport) => JSON.stringify(facts)],
  quiet_ms: ['float8', ({ kind }: IncidentReport) => incidentPaces[kind].quietMs],
  rest_ms: ['float8', ({ kind }: IncidentReport) => incidentPaces[kind].restMs],
  max_ms: ['float8', ({ kind }: IncidentReport) => incidentPaces[kind].maxMs],
} as const
const happened = rows<IncidentReport>({ kind: 'text' }, reportColumns)

/** Ends incidents of single occurrences without a recent one, or after a day. */
const endRested = statement(
  'end_rested_incidents',
  { happened },
  p => `
with h as materialized (
  select kind, subject, now() - rest_ms * interval '1 ms' as rested_since, now() - max_ms * interval '1 ms' as oldest
  from ${p.happened('h')}
)
update walhook.incidents i set ended_at = last_at
from h
where i.kind = h.kind and i.subject = h.subject and i.ended_at is null and (i.last_at < h.rested_since or i.opened_at < h.oldest)`,
)

/** The maximum of named gaps. */
const maxLost = 20
/** Kinds that count each occurrence. */
const counted = Object.entries(incidentPaces).flatMap(([kind, { restMs }]) => (restMs === null ? [] : [kind]))

/** A unique index permits one open incident per subject and kind. None for a deleted webhook. */
const openOrAdd = statement(
  'open_incidents',
  {
    happened: rows<IncidentReport & { readonly id: bigint }>({ id: 'bigint', kind: 'text' }, reportColumns),
  },
  p => `
with h as materialized (
  select h.*
  from ${p.happened('h')}
  where (h.webhook_id is null or exists (select 1 from walhook.webhooks where id = h.webhook_id)) and not exists (
    select 1 from walhook.incidents
    where subject = h.subject and kind = h.kind and ended_at > now() - h.quiet_ms * interval '1 ms'
  )
)
insert into walhook.incidents as i (id, kind, subject, webhook_id, count, facts) overriding system value
select id, kind, subject, webhook_id, count, facts::jsonb from h
on conflict (kind, subject) where ended_at is null do update
set count = i.count + case when i.kind in (${counted.map(kind => `'${kind}'`)}) then excluded.count else 0 end, last_at = excluded.last_at,
    facts = case when jsonb_array_length(coalesce(i.facts -> 'lost', '[]')) between 1 and ${maxLost} - 1
                 then jsonb_set(i.facts, '{lost}', (i.facts -> 'lost') || coalesce(excluded.facts -> 'lost', '[]'))
                 else i.facts end`,
)

/**
 * Records occurrences, one for each subject and kind, if possible in the transaction that causes them: opens an incident or adds to the
 * open one. Ignored during the quiet time after the last.
 */
export async function noteIncidents(
  db: pg.Pool | pg.ClientBase,
  reports: readonly IncidentReport[],
): Promise<void> {
  if (reports.length === 0) return
  // In a fixed order, so that two settlements never deadlock.
  const ordered = reports.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))
  const single = ordered.filter(({ kind }) => counted.includes(kind))
  if (single.length > 0) await endRested(db, { happened: single })
  const ids = await newIds(db, 'incidents', ordered.length)
  await openOrAdd(db, { happened: ordered.map((each, i) => ({ ...each, id: ids[i]! })) })
}

const keyOf = ({ of, kind }: IncidentReport) => `${String(of).padStart(10, '0')} ${kind}`

const endOpen = statement(
  'end_incidents',
  { kinds: 'text[]', subjects: 'text[]', alertsEnd: 'boolean' },
  p => `
update walhook.incidents set ended_at = now(), tells_end = ${p.alertsEnd}
where subject = any(${p.subjects}) and kind = any(${p.kinds}) and ended_at is null`,
)

/** Ends open incidents of these kinds; `alertsEnd`: the end is an alert too. */
export async function endIncidents(
  db: pg.Pool | pg.ClientBase,
  subjects: readonly (number | string)[],
  kinds: readonly IncidentKind[],
  { alertsEnd = false } = {},
): Promise<void> {
  if (subjects.length > 0) await endOpen(db, { kinds, subjects: subjects.map(String), alertsEnd })
}

export async function hasOpenIncident(
  { pool }: Pick<Outbox, 'pool'>,
  subject: string,
  kinds: readonly IncidentKind[],
): Promise<boolean> {
  const { rows } = await pool.query({
    name: 'has_open_incident',
    text: `select exists (select 1 from walhook.incidents where subject = $1 and kind = any($2) and ended_at is null) as yes`,
    values: [subject, kinds],
  })
  return rows[0].yes
}

/** Ends incidents of gaps that a resync has closed. */
export async function endLostWithoutGaps({ pool }: Pick<Outbox, 'pool'>): Promise<void> {
  await pool.query(`
    update walhook.incidents i set ended_at = now()
    where kind = 'capture.lost' and ended_at is null and told_at is not null
      and not exists (select 1 from walhook.gaps where slot_name = i.subject and resynced_at is null)`)
}

export const incidentColumns =
  'i.id, i.kind, i.subject, i.webhook_id, i.opened_at, i.last_at, i.count::float8, i.facts, i.ended_at'

export const toIncident = (row: pg.QueryResultRow): Incident => ({
  ...fields<Incident>(row),
  count: Number(row.count),
})

/** Incidents, newest first, at most `limit`, before the id `before`; `isOpen`: open ones only. */
export async function listIncidents(
  { pool }: Pick<Outbox, 'pool'>,
  page: { limit: number; before: number | null; isOpen: boolean },
): Promise<Incident[]> {
  const { rows } = await pool.query(
    `select ${incidentColumns} from walhook.incidents i
     where ($2::int is null or id < $2) and (not $3 or ended_at is null) order by id desc limit $1`,
    [page.limit, page.before, page.isOpen],
  )
  return rows.map(toIncident)
}

const prunedAfterDays = 90

/** Deletes incidents that ended long ago. */
export async function pruneIncidents({ pool }: Pick<Outbox, 'pool'>): Promise<void> {
  await pool.query(
    `delete from walhook.incidents where ended_at < now() - $1 * interval '1 day' and told_at is not null`,
    [prunedAfterDays],
  )
}
