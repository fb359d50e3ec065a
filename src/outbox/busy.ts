import type pg from 'pg'
import type { Batching, Mode } from '../domain/webhook.ts'
import type { Sealed } from '../domain/webhook-secrets.ts'
import type { Outbox } from './database.ts'
import type { DueFloors } from './due-floors.ts'
import { byDue } from './lanes.ts'
import { sealedColumns, toSealed } from './secrets.ts'
import { toBatching } from './webhooks.ts'

/** A webhook with work, as delivery needs it. */
export type BusyWebhook = {
  readonly id: number
  readonly url: string
  readonly sealed: Sealed
  readonly mode: Mode
  readonly batch: Batching | null
  /** In how many ms its earliest lane is due, or it may be sent to again; 0 or less: now. */
  readonly dueInMs: number
}

/** What `busyWebhooks` reads of a webhook `w`. */
const busyColumns = `
w.id, w.url, ${sealedColumns}, w.mode, w.batch_max_events, w.batch_max_wait_ms,
(extract(epoch from greatest(earliest.due_at, w.held_until) - clock_timestamp()) * 1000)::float8 as due_in_ms`

/**
 * When a webhook `w` has something to claim: when the first lane that nobody holds is due; but while that is later, a lane in
 * front of it may come before, when its lease ends. As many of those are passed over as are in flight.
 */
const earliestOf = (lanes: string) => `
cross join lateral (
  select case when open.due_at <= now() then open.due_at else least(open.due_at, held.until) end as due_at
  from (select) one
  left join lateral (
    select due_at from ${lanes} and leased_until <= now() order by webhook_id, due_at limit 1
  ) open on true
  cross join lateral (
    select min(leased_until) as until from ${lanes} and due_at < coalesce(open.due_at, 'infinity')
      and (open.due_at is null or open.due_at > now())
  ) held
) earliest`

/**
 * The active webhooks that have lanes: a walk along the index `lanes_by_due` that touches one entry per webhook, however
 * many lanes each has.
 */
const busyWebhooksStatement = `
with recursive busy as (
  (select webhook_id, due_at from walhook.lanes where ${byDue} order by webhook_id, due_at limit 1)
  union all
  select next.webhook_id, next.due_at
  from busy cross join lateral (
    select l.webhook_id, l.due_at from walhook.lanes l
    where l.webhook_id > busy.webhook_id and ${byDue}
    order by l.webhook_id, l.due_at limit 1
  ) next
)
select ${busyColumns}, busy.due_at as first_due_at, clock_timestamp() as now
from busy join walhook.webhooks w on w.id = busy.webhook_id
${earliestOf(`walhook.lanes where webhook_id = w.id and ${byDue}`)}
where w.is_active and w.disabled_at is null and earliest.due_at is not null`

/** The same of some webhooks only. */
const busyAmongStatement = `
select ${busyColumns}
from walhook.webhooks w
${earliestOf(`walhook.lanes where webhook_id = w.id and ${byDue}`)}
where w.id = any($1) and w.is_active and w.disabled_at is null and earliest.due_at is not null`

/** Of all webhooks or those of $1, by lanes that are due above a floor: $3 for those of $2, $4 for the others. */
const busyAboveStatement = `
select ${busyColumns}
from walhook.webhooks w
left join unnest($2::int[], $3::timestamptz[]) as f (id, floor) on f.id = w.id
${earliestOf(`walhook.lanes where webhook_id = w.id and due_at >= coalesce(f.floor, $4) and ${byDue}`)}
where ($1::int[] is null or w.id = any($1)) and w.is_active and w.disabled_at is null and earliest.due_at is not null`

/**
 * The active webhooks that have lanes; where `among` is given, those of them. With `floors`, lanes are looked for above
 * them, and now and then everywhere.
 */
export async function busyWebhooks(
  outbox: Outbox,
  among: 'all' | readonly number[] = 'all',
  floors: DueFloors | null = null,
): Promise<BusyWebhook[]> {
  const above = among === 'all' && floors?.isDoubtful() ? null : (floors?.all() ?? null)
  const startedMs = performance.now()
  const { rows } = await outbox.pool.query(busyQuery(among, above))
  if (floors && among === 'all' && above === null) {
    const tookMs = performance.now() - startedMs
    const at = rows[0]?.now ?? (await outbox.pool.query('select now() as now')).rows[0].now
    floors.sawAll({ tookMs, at, earliest: rows.map(row => ({ id: row.id, dueAt: row.first_due_at })) })
  }
  return rows.map(row => ({
    id: row.id,
    url: row.url,
    sealed: toSealed(row),
    mode: row.mode,
    batch: toBatching(row),
    dueInMs: row.due_in_ms,
  }))
}

function busyQuery(among: 'all' | readonly number[], above: ReturnType<DueFloors['all']>): pg.QueryConfig {
  const some = among === 'all' ? null : among
  if (above) {
    const values = [some, [...above.own.keys()], [...above.own.values()], above.other]
    return { name: 'busy_above', text: busyAboveStatement, values }
  }
  return some
    ? { name: 'busy_among', text: busyAmongStatement, values: [some] }
    : { name: 'busy_webhooks', text: busyWebhooksStatement }
}
