import type pg from 'pg'
import { ofRow, ofRowEntity, oldestOfS, type RowEntity, type RowKey } from '../database/row-keys.ts'
import { moment, now, rows, statement } from '../database/statement.ts'
import { isSkipped } from '../log/waits.ts'

/**
 * A row of `deliveries` is an event that could not be sent at once:
 *
 * | state | due_at | taken_by | ended by |
 * |---|---|---|---|
 * | waiting | finite | null | `pickDue`, when it is due |
 * | behind | infinity | null | the end of an older row of its entity: the oldest remaining one becomes due |
 * | in a batch | infinity | null | its batch (batches.due_at, taken_by) |
 * | taken | finite | a holder | its settlement; or a takeover: due when no request can be in flight |
 *
 * The oldest row of an entity is `behind` only while a newer one is taken: it was requested by hand meanwhile. A writer of
 * `infinity` has locked the row that blocks it, or writes that too.
 *
 * Statements look rows up by key. `offset 0` keeps an `exists` from becoming a join, which would read the whole table if its
 * statistics are from when it was empty.
 */
export type AsideRow = RowKey & {
  readonly share: number
  readonly attempts: number
  readonly withPrevious: boolean
  readonly asNew: boolean
  readonly asDelete: boolean
  /** In how many ms it is due; null: behind an older row of its entity, or at once if there is none. */
  readonly dueInMs: number | null
  /** The holder that is sending it; null: none. */
  readonly takenBy: number | null
}

/** The map key of a row's entity at its webhook. */
const entityKey = (of: RowEntity) => JSON.stringify([of.webhookId, of.entityType, of.entityId])

/** In how many ms something is due; null: never. Before PostgreSQL 17, infinity can't be subtracted from. */
export const dueInMs = (dueAt: string, from: string) =>
  `(extract(epoch from nullif(${dueAt}, 'infinity') - ${from}) * 1000)::float8`

/**
 * - s: rows in the order of their events; `is_first` of its entity
 * - older: locked, so that it does not end before this commits: its end then sees these rows
 *
 * An existing row was requested by hand meanwhile, and stays. Skipped: rows of deleted webhooks or erased events, and
 * unattempted ones that were cancelled meanwhile.
 */
const setAsideStatement = statement(
  'set_aside',
  {
    aside: rows<AsideRow & { readonly isFirst: boolean }>({
      ...ofRow,
      share: 'smallint',
      attempts: 'smallint',
      withPrevious: 'boolean',
      asNew: 'boolean',
      asDelete: 'boolean',
      dueInMs: 'float8',
      takenBy: 'int',
      isFirst: 'boolean',
    }),
  },
  p => `
with ${moment}, s as materialized (
  select s.*,
         case when s.due_in_ms is not null then ${now} + s.due_in_ms * interval '1 ms'
              when s.taken_by is not null then ${now}
              when not s.is_first or older.event_id is not null then 'infinity'
              else ${now} end as due_at
  from ${p.aside('s')}
  left join lateral (
    select o.event_id from walhook.deliveries o
    where o.webhook_id = s.webhook_id and o.entity_type = s.entity_type and o.entity_id = s.entity_id
      and o.event_id <= s.event_id and s.is_first and s.due_in_ms is null and s.taken_by is null
    order by o.event_id limit 1
    for key share
  ) older on true
  where exists (select 1 from walhook.webhooks w where w.id = s.webhook_id offset 0)
    and exists (select 1 from walhook.events e where e.id = s.event_id offset 0)
    and (s.attempts > 0 or s.taken_by is not null or not ${isSkipped('s.webhook_id', 's', 's.event_id')})
), written as (
  insert into walhook.deliveries
    (webhook_id, share, entity_type, entity_id, event_id, attempts, with_previous, as_new, as_delete, due_at, taken_by)
  select webhook_id, share, entity_type, entity_id, event_id, attempts, with_previous, as_new, as_delete, due_at, taken_by from s
  on conflict (webhook_id, entity_type, entity_id, event_id) do nothing
  returning webhook_id, due_at
)
select webhook_id, ${dueInMs('due_at', now)} as due_in_ms from written`,
)

/** The time until a webhook's row is due, in ms. */
export type Due = { readonly webhookId: number; readonly dueInMs: number }

/**
 * Sets rows aside, those of an entity in event order, in a transaction with the holder's lock. Returns when they are due,
 * without blocked ones.
 */
export async function setAside(client: pg.ClientBase, rows: readonly AsideRow[]): Promise<Due[]> {
  if (rows.length === 0) return []
  const seen = new Set<string>()
  const aside = rows.map(row => {
    const key = entityKey(row)
    return { ...row, isFirst: !seen.has(key) && Boolean(seen.add(key)) }
  })
  const { rows: written } = await setAsideStatement(client, { aside })
  // If the first row of an entity was skipped, the next one is not blocked.
  const woken = written.length < rows.length ? await wakeNext(client, rows) : []
  return [...dues(written), ...woken]
}

/** The written rows with a time. */
export function dues(rows: readonly { webhook_id: number; due_in_ms: number | null }[]): Due[] {
  return rows.flatMap(row =>
    row.due_in_ms === null ? [] : [{ webhookId: row.webhook_id, dueInMs: row.due_in_ms }],
  )
}

const entities = rows<RowEntity>(ofRowEntity)

/** Waits for concurrent picks, which may put a row back as behind. */
const lockOldest = statement(
  'lock_oldest',
  { entities },
  p => `select 1 from ${p.entities('s')} cross join ${oldestOfS('1', 's.webhook_id', 'for no key update')} o`,
)

/** Taken and batched rows continue by themselves. */
const wakeOldest = statement(
  'wake_oldest',
  { entities },
  p => `
with ${moment}, oldest as materialized (
  select o.ctid from ${p.entities('s')} cross join ${oldestOfS('ctid, due_at, taken_by, batch_id')} o
  where o.due_at = 'infinity' and o.taken_by is null and o.batch_id is null
)
update walhook.deliveries d
set due_at = ${now}
from oldest
where d.ctid = oldest.ctid
returning d.webhook_id, ${dueInMs('d.due_at', now)} as due_in_ms`,
)

/** Entities, each once. */
export const onceEach = (all: readonly RowEntity[]): RowEntity[] => [
  ...new Map(all.map(entity => [entityKey(entity), entity])).values(),
]

/** Makes rows due that this transaction has unblocked. Returns when the rest of these entities is due. */
export async function wakeNext(client: pg.ClientBase, ended: readonly RowEntity[]): Promise<Due[]> {
  if (ended.length === 0) return []
  const entities = onceEach(ended)
  const [, woken] = await Promise.all([lockOldest(client, { entities }), wakeOldest(client, { entities })])
  return dues(woken.rows)
}
