import type { ErrorClass, Outcome } from '../../domain/delivery/outcome.ts'
import type { ShownState, Sorting } from '../../domain/shown/webhook-states.ts'
import { firstIdAt } from '../../domain/value/time-id.ts'
import type { Webhook } from '../../domain/webhook/webhook.ts'
import { type Outbox, transaction } from '../database/database.ts'
import { columns, toWebhook } from '../records/webhooks.ts'
import { type Count, countWaitingOf } from './queue-depth.ts'
import { shownState } from './webhook-states.ts'

/** A URL's host and port, which everyone may see. */
const hostOfUrl = `substring(url from '^[a-z]+://(?:[^/?#@]*@)?([^/?#]*)')`

/**
 * Webhooks with `search` in name or URL (empty: all), `limit` from `offset` on; only the URL's host counts unless
 * `inWholeUrl`. Of a tenant or all (null), in a state or any (null). Order by state: disabled and failing first.
 */
export async function searchWebhooks(
  outbox: Outbox,
  {
    search,
    inWholeUrl,
    tenant,
    state,
    sort,
    limit,
    offset,
  }: {
    search: string
    inWholeUrl: boolean
    tenant: string | null
    state: ShownState | null
    sort: Sorting
    limit: number
    offset: number
  },
): Promise<Webhook[]> {
  const pattern = `%${search.replaceAll(/[\\%_]/g, '\\$&')}%`
  const { rows } = await outbox.pool.query(
    `select ${columns} from walhook.webhooks
     where (name ilike $1 or ${inWholeUrl ? 'url' : hostOfUrl} ilike $1)
       and ($4::text is null or tenant = $4) and ($5::text is null or ${shownState} = $5)
     order by ${sort === 'state' ? `array_position('{disabled,failing}'::text[], ${shownState}),` : ''} lower(name), id
     limit $2 offset $3`,
    [pattern, limit, offset, tenant, state],
  )
  return rows.map(toWebhook)
}

/** A webhook's recent requests, without tests and requests that a shutdown cut off. */
export type Figures = {
  readonly last: {
    readonly outcome: Outcome
    readonly errorClass: ErrorClass | null
    readonly status: number | null
    readonly at: Date
  } | null
  /** The last 24 hours, the oldest first: the latest 25 requests of each hour. */
  readonly hours: readonly { readonly requests: number; readonly failed: number }[]
  /** Pending deliveries, in flight included, counted up to 1,000. */
  readonly waiting: Count
}

const hourMs = 3_600_000
const sampled = 25
const maxWaiting = 1_000

/**
 * One row per webhook. Reads at most 25 rows in each of 24 short ranges of the primary key of attempts, so its cost is
 * constant. Sorting is disabled: Postgres would read and sort the whole hour, because it underestimates ranges with unknown
 * bounds.
 */
const figuresStatement = `
select w.id, last.outcome, last.error_class, last.status, last.started_at, hours.requests, hours.failed
from unnest($1::int[]) as w (id)
left join lateral (
  select outcome, error_class, status, started_at from walhook.attempts
  where webhook_id = w.id and trigger <> 'test' and outcome <> 'cancelled'
  order by id desc limit 1
) last on true
cross join lateral (
  select array_agg(hour.requests order by h) as requests, array_agg(hour.failed order by h) as failed
  from generate_series(0, 23) as h
  cross join lateral (
    select count(*)::int as requests, (count(*) filter (where outcome <> 'delivered'))::int as failed
    from (
      select outcome from walhook.attempts
      where webhook_id = w.id and id >= $2::bigint + h * $3::bigint and id < $2::bigint + (h + 1) * $3::bigint
        and trigger <> 'test' and outcome <> 'cancelled'
      order by id desc limit ${sampled}
    ) latest
  ) hour
) hours`

export async function webhookFigures(
  outbox: Outbox,
  ids: readonly number[],
  nowMs: number,
): Promise<Map<number, Figures>> {
  const waiting = await countWaitingOf(outbox, ids, maxWaiting)
  const { rows } = await transaction(outbox.pool, async client => {
    await client.query('set local enable_sort = off')
    // Unnamed: a cached plan would allow sorting.
    return await client.query(figuresStatement, [ids, firstIdAt(nowMs - 24 * hourMs), firstIdAt(hourMs)])
  })
  return new Map(
    rows.map(row => [
      row.id,
      {
        last: row.outcome && {
          outcome: row.outcome,
          errorClass: row.error_class,
          status: row.status,
          at: row.started_at,
        },
        hours: row.requests.map((requests: number, i: number) => ({ requests, failed: row.failed[i] })),
        waiting: waiting.get(row.id)!,
      },
    ]),
  )
}
