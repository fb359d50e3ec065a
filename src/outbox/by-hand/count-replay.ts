import type { Entity } from '../../domain/event/entity.ts'
import { type TimeId, timeOf } from '../../domain/value/time-id.ts'
import { type Outbox, planTransactionByIndex, transaction } from '../database/database.ts'
import { parameters } from '../database/statement.ts'
import { isMeantFor } from '../log/wanted.ts'
import type { Count } from '../reading/queue-depth.ts'
import { conditionsOf, isWantedNow, type ReplaySource, type Versions } from './replay.ts'

type Range = Extract<ReplaySource, { of: 'range' }>

/** The number of events examined at each end of a range. */
const defaultMaxScanned = 10_000

/** `afterEntity`: only entities after this one, as for a continued replay. */
type CountedAs = {
  readonly tenant: string | null
  readonly maxScanned?: number
  readonly afterEntity?: Entity | null
}

/**
 * The number of events in a replay of a range: exact for a short one; for a long one both ends are counted and the middle is
 * estimated by Postgres' statistics, in constant time. `tenant` is the webhook's.
 */
export async function countReplay(
  outbox: Pick<Outbox, 'pool'>,
  webhookId: number,
  range: Range,
  { tenant, maxScanned = defaultMaxScanned, afterEntity = null }: CountedAs,
): Promise<Count> {
  const oldest = await countPart(outbox, webhookId, range, { tenant, maxScanned, afterEntity, order: 'asc' })
  if (oldest.lookedAt < maxScanned) return { count: oldest.meant, isExact: true }
  const newest = await countPart(outbox, webhookId, range, {
    ...{ tenant, maxScanned, afterEntity, order: 'desc' },
    after: oldest.last,
  })
  const [meant, lookedAt] = [oldest.meant + newest.meant, oldest.lookedAt + newest.lookedAt]
  if (newest.lookedAt < maxScanned) return { count: meant, isExact: true }
  const all = await estimate(outbox, range, tenant)
  return { count: Math.max(meant, Math.round((all * meant) / lookedAt)), isExact: false }
}

/** One tenant's events. */
const ofTenant = (given: (value: unknown) => string, tenant: string | null) =>
  tenant === null ? '' : ` and (e.tenant = ${given(tenant)} or e.tenant_before = ${given(tenant)})`

async function countPart(
  { pool }: Pick<Outbox, 'pool'>,
  webhookId: number,
  range: Range,
  part: Required<CountedAs> & { order: 'asc' | 'desc'; after?: TimeId | null },
): Promise<{ lookedAt: number; meant: number; last: TimeId | null }> {
  const { values, given } = parameters()
  const webhook = given(webhookId)
  const matches = [
    ...conditionsOf(given, range),
    ...(part.afterEntity
      ? [
          `(e.entity_type, e.entity_id) > (${given(part.afterEntity.entityType)}, ${given(part.afterEntity.entityId)})`,
        ]
      : []),
    range.missed
      ? isWantedNow(webhook)
      : `exists (select 1 from walhook.webhooks w where w.id = ${webhook} and ${isMeantFor('e', 'w')})`,
  ]
  const ids = `id >= ${given(range.from)} and id < ${given(range.to)} and id > ${given(part.after ?? -1n)}`
  const end = `order by id ${part.order} limit ${given(part.maxScanned)}`
  const those = (of: string) => `(select * from walhook.events where ${of} and ${ids} ${end})`
  const tenant = part.tenant === null ? null : given(part.tenant)
  const lookedAt =
    tenant === null
      ? [those('true')]
      : [
          those(`tenant = ${tenant}`),
          those(`tenant_before = ${tenant} and tenant is distinct from ${tenant}`),
        ]
  const { rows } = await transaction(pool, async client => {
    // From the end of an index, whatever the statistics say.
    await planTransactionByIndex(client)
    return await client.query(
      `select count(*)::int as looked_at, max(e.id) as last, (count(*) filter (where ${matches.join(' and ')}))::int as meant
       from (select * from (${lookedAt.join(' union all ')}) either ${end}) e`,
      values,
    )
  })
  return { lookedAt: rows[0].looked_at, meant: rows[0].meant, last: rows[0].last }
}

/** The planner's estimate of the events in a range. */
async function estimate({ pool }: Pick<Outbox, 'pool'>, { from, to }: Range, tenant: string | null) {
  const { values, given } = parameters()
  const { rows } = await pool.query(
    `explain (format json) select 1 from walhook.events e
     where e.id >= ${given(from)} and e.id < ${given(to)}${ofTenant(given, tenant)}`,
    values,
  )
  return Number(rows[0]['QUERY PLAN'][0].Plan['Plan Rows'])
}

/** The last inactive time of a webhook, with its versions; `until` null: it is still inactive. */
type TimeOff = { readonly since: Date; readonly until: Date | null; readonly versions: Versions }

/** When a webhook was last inactive or disabled; null: never, as far as known. */
export async function lastTimeOff(
  { pool }: Pick<Outbox, 'pool'>,
  webhookId: number,
): Promise<TimeOff | null> {
  const { rows } = await pool.query({
    name: 'last_time_off',
    text: `
with states as (
  select since, version, is_active and disabled_reason is null as is_on
  from walhook.webhook_states where webhook_id = $1 and version is not null
), last_off as (
  select max(version) as version from states where not is_on
), off as (
  select min(version) as version from states
  where not is_on and version > coalesce(
    (select max(version) from states where is_on and version < (select version from last_off)), -1)
)
select f.since, f.version as from_version, t.since as until, t.version as to_version
from states f
left join lateral (
  select * from states where is_on and version > (select version from last_off) order by version limit 1
) t on true
where f.version = (select version from off)`,
    values: [webhookId],
  })
  if (!rows[0]) return null
  const { since, until, from_version: from, to_version: to } = rows[0]
  return { since, until, versions: { from, to } }
}

/** The start of the oldest stored day of events; null: none. */
export async function eventsKeptSince({ pool }: Pick<Outbox, 'pool'>): Promise<Date | null> {
  const { rows } = await pool.query(`
select min(substring(pg_get_expr(c.relpartbound, c.oid) from 'FROM \\(''?(-?\\d+)')::bigint) as first
from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = 'walhook.events'::regclass`)
  return rows[0].first === null ? null : new Date(timeOf(rows[0].first))
}
