import { pressedStatuses } from '../../domain/delivery/pace.ts'
import { shareCount } from '../../domain/delivery/share.ts'
import { firstIdAt } from '../../domain/value/time-id.ts'
import type { Outbox } from '../database/database.ts'
import { moment, now, statement } from '../database/statement.ts'

const pageSize = 1_000

const given = {
  webhookId: 'int',
  count: 'smallint',
  after: 'timestamptz',
  withinMs: 'float8',
  since: 'bigint',
  pressed: 'smallint[]',
} as const

type Given = { readonly [Name in keyof typeof given]: string }

/** Of a table with `due_at`, what waits in the given time, a page of it; not where a dead holder's requests may be under way. */
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

/** Whether the receiver asked to wait with what attempts `a` like these sent; where it spoke for the whole webhook, its hold keeps it. */
const isAskedToWait = (p: Given, about: string) => `
exists (
  select 1 from walhook.attempts a
  where a.webhook_id = ${p.webhookId} and a.id >= ${p.since} and ${about} and a.next_attempt_at > now()
    and a.response_headers ? 'retry-after' and a.status <> all (${p.pressed})
)`

/** Moves what is `early` of a `page`. Locked rows are passed over: nobody is waited for. */
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

/** The first retries of the schedule, by their number, and the longest wait for one of them. */
export type EarlyRetries = { readonly count: number; readonly longestMs: number }

/**
 * Makes due at once what waits for an early retry of a webhook whose receiver is back, by pages, each in a commit of its
 * own. Returns how many rows and batches that were; `onPage` hears of each page that moved any.
 */
export async function bringForward(
  outbox: Outbox,
  webhookId: number,
  early: EarlyRetries,
  onPage: () => void = () => {},
): Promise<number> {
  if (early.count === 0) return 0
  // A wait is spread by a tenth; what began to wait was tried before.
  const withinMs = early.longestMs * 1.2
  const since = firstIdAt(Math.max(0, Math.floor(Date.now() - 2 * withinMs)))
  const values = { webhookId, count: early.count, withinMs, since, pressed: pressedStatuses }
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
