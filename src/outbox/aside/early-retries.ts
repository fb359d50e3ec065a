import { overloadStatuses } from '../../domain/delivery/pace.ts'
import { shareCount } from '../../domain/delivery/share.ts'
import type { Outbox } from '../database/database.ts'
import { moment, now, statement } from '../database/statement.ts'

const pageSize = 1_000

const given = {
  webhookId: 'int',
  count: 'smallint',
  after: 'timestamptz',
  withinMs: 'float8',
  overloaded: 'smallint[]',
} as const

type Given = { readonly [Name in keyof typeof given]: string }

/** A page of a table's rows due within the given time, without those that a dead holder may have in flight. */
const pageOf = (p: Given, table: 'deliveries' | 'batches') => `
select x.*
from generate_series(0, ${shareCount - 1}) as s (share)
join walhook.shares m on m.share = s.share and coalesce(m.wait_until, '-infinity') <= now()
cross join lateral (
  select ctid, * from walhook.${table}
  where webhook_id = ${p.webhookId} and share = s.share::smallint and taken_by is null and due_at < 'infinity'
    and due_at > greatest(now(), ${p.after}) and due_at <= now() + ${p.withinMs} * interval '1 ms'
  order by due_at limit ${pageSize}
) x
order by x.due_at limit ${pageSize}`

/** Below the id of any attempt that scheduled one of these rows, by the clock of the ids. */
const since = (p: Given) =>
  `(greatest(extract(epoch from now()) * 1000 - 2 * ${p.withinMs}, 0)::bigint << 20)`

/** Whether the receiver's response to these attempts `a` asked for the wait; a Retry-After for the whole webhook is its hold. */
const isAskedToWait = (p: Given, about: string) => `
exists (
  select 1 from walhook.attempts a
  where a.webhook_id = ${p.webhookId} and a.id >= ${since(p)} and ${about} and a.next_attempt_at > now()
    and a.response_headers ? 'retry-after' and a.status <> all (${p.overloaded})
)`

/** Moves the `early` part of a `page`. Skips locked rows. */
const move = (table: 'deliveries' | 'batches') => `
${moment}, locked as materialized (
  select l.ctid from early cross join lateral (
    select ctid from walhook.${table} where ctid = early.ctid for update skip locked
  ) l
), moved as (
  update walhook.${table} x set due_at = ${now} from locked where x.ctid = locked.ctid returning 1
)
select (select count(*) from moved)::int as moved, (select count(*) from page)::int as seen,
       (select max(due_at) from page) as last_due_at`

const bringRowsForward = statement(
  'bring_rows_forward',
  given,
  p => `
with page as materialized (${pageOf(p, 'deliveries')}), early as materialized (
  select ctid from page
  where attempts between 1 and ${p.count} and not ${isAskedToWait(p, 'a.event_id = page.event_id')}
), ${move('deliveries')}`,
)

const bringBatchesForward = statement(
  'bring_batches_forward',
  given,
  p => `
with page as materialized (${pageOf(p, 'batches')}), early as materialized (
  select page.ctid
  from page
  cross join lateral (
    select event_id, attempts from walhook.deliveries
    where webhook_id = ${p.webhookId} and batch_id = page.id
    order by event_id limit 1
  ) d
  where d.attempts between 1 and ${p.count} and not ${isAskedToWait(p, 'a.event_ids @> array[d.event_id]')}
), ${move('batches')}`,
)

/** The schedule's early retries, and their longest wait. */
export type EarlyRetries = { readonly count: number; readonly longestMs: number }

/**
 * Makes the early retries of a recovered webhook due at once, one commit per page. Returns the number of rows and batches;
 * `onPage` gets each page.
 */
export async function bringForward(
  outbox: Outbox,
  webhookId: number,
  early: EarlyRetries,
  onPage: () => void = () => {},
): Promise<number> {
  if (early.count === 0) return 0
  // Waits vary by a tenth; the retry was scheduled after an attempt.
  const withinMs = early.longestMs * 1.2
  const values = { webhookId, count: early.count, withinMs, overloaded: overloadStatuses }
  let moved = 0
  for (const bring of [bringRowsForward, bringBatchesForward]) {
    for (let after: Date | null = new Date(0); after !== null; ) {
      const page: { moved: number; seen: number; last_due_at: Date } = (
        await bring(outbox.pool, { ...values, after })
      ).rows[0]
      moved += page.moved
      if (page.moved > 0) onPage()
      after = page.seen < pageSize ? null : page.last_due_at
    }
  }
  return moved
}
