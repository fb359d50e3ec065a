import { pressedStatuses } from '../domain/pace.ts'
import type { Outbox } from './database.ts'
import { byDue } from './lanes.ts'

const pageSize = 1_000

/**
 * Makes a page of a webhook's lanes due now that wait for one of their first $2 retries: those due after $3 and within
 * $4 ms. Not the lanes of a batch but its first, and not what the receiver asked to wait for; where it spoke for the whole
 * webhook, the hold of the webhook keeps it. Locked lanes are passed over: nobody is waited for.
 */
const bringForwardStatement = `
with page as materialized (
  select ctid, webhook_id, entity_type, entity_id, due_at from walhook.lanes
  where webhook_id = $1 and due_at > greatest(now(), $3) and due_at <= now() + $4 * interval '1 ms' and ${byDue}
    and leased_until <= now()
  order by due_at limit ${pageSize}
  for update skip locked
), early as materialized (
  select p.ctid
  from page p
  cross join lateral (
    select event_id, attempts, batch_id from walhook.deliveries
    where webhook_id = p.webhook_id and entity_type = p.entity_type and entity_id = p.entity_id
    order by event_id limit 1
  ) d
  where d.attempts between 1 and $2
    and not exists (
      select from walhook.deliveries o
      where o.webhook_id = p.webhook_id and o.batch_id = d.batch_id and o.event_id < d.event_id
    )
    and not exists (
      select from walhook.attempts a
      where a.webhook_id = $1 and a.id >= $5 and a.event_id = d.event_id and a.next_attempt_at > now()
        and a.response_headers ? 'retry-after' and a.status <> all ($6)
    )
    and (d.batch_id is null or not exists (
      select from walhook.attempts a
      where a.webhook_id = $1 and a.id >= $5 and a.event_ids @> array[d.event_id] and a.next_attempt_at > now()
        and a.response_headers ? 'retry-after' and a.status <> all ($6)
    ))
), moved as (
  update walhook.lanes l set due_at = now() from early e where l.ctid = e.ctid returning 1
)
select (select count(*) from moved)::int as moved, (select count(*) from page)::int as seen,
       (select max(due_at) from page) as last_due_at`

type Page = { readonly moved: number; readonly seen: number; readonly last_due_at: Date | null }

/** The first retries of the schedule, by their number, and the longest wait for one of them. */
export type EarlyRetries = { readonly count: number; readonly longestMs: number }

/**
 * Makes due at once what waits for an early retry of a webhook whose receiver is back, by pages, each in a commit of its
 * own. Returns how many lanes that were; `onPage` hears of each page that moved any.
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
  const since = BigInt(Math.floor(Date.now() - 2 * withinMs)) << 20n
  let moved = 0
  for (let after: Date | string = '-infinity'; ; ) {
    const { rows } = await outbox.pool.query<Page>({
      name: 'bring_forward',
      text: bringForwardStatement,
      values: [webhookId, early.count, after, withinMs, since, pressedStatuses],
    })
    const page: Page = rows[0]!
    moved += page.moved
    if (page.moved > 0) onPage()
    if (page.seen < pageSize) return moved
    after = page.last_due_at!
  }
}
