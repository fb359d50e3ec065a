import type pg from 'pg'
import { firstIdAt } from '../../domain/value/time-id.ts'
import { isSkipped } from '../log/waits.ts'
import { stateAt, wants } from '../log/wanted.ts'
import { dayMs, partitionName } from './partitions.ts'

type Client = Pick<pg.ClientBase, 'query'>

/** The maximum number of named webhooks. */
const maxNamed = 10

/** The existing webhooks with rows or batches about events of a day ($1 to $2). */
const setAsideStatement = `
select distinct d.webhook_id from walhook.deliveries d join walhook.webhooks w on w.id = d.webhook_id
where d.event_id >= $1 and d.event_id < $2 limit ${maxNamed}`

/**
 * The webhooks whose position is before an event of a day that they want: $1 to $2, in the table `day`.
 *
 * - positions: each webhook's position per share: its own, or the main stream's
 * - behind: those before the end of the day, of webhooks that were active at its first event or later. Others want nothing of it, and
 *   would be compared with each of its events
 */
const behindStatement = (day: string) => `
with first as materialized (
  select webhooks_version as version from walhook.${day} order by id limit 1
), positions as (
  select w.id as webhook_id, m.share, coalesce(o.settled_up_to, m.settled_up_to) as position
  from walhook.webhooks w
  cross join walhook.shares m
  left join walhook.streams o on o.webhook_id = w.id and o.share = m.share
), behind as (
  select webhook_id, min(position) as position from positions p
  where position < $2 and exists (
    select 1 from walhook.webhook_states s
    where s.webhook_id = p.webhook_id and s.is_active and s.disabled_reason is null and s.version >= coalesce(
      (select max(version) from walhook.webhook_states
       where webhook_id = p.webhook_id and version <= (select version from first)), 0)
  )
  group by webhook_id
)
select b.webhook_id
from behind b
where exists (
  select 1 from walhook.${day} e
  cross join lateral (${stateAt('b.webhook_id', 'e.webhooks_version')}) s
  where e.id > greatest(b.position, $1::bigint - 1) and e.id < $2 and ${wants('e', 's')}
    and e.id > (select position from positions p where p.webhook_id = b.webhook_id and p.share = e.share)
    and not ${isSkipped('b.webhook_id', 'e')}
)
order by 1 limit ${maxNamed}`

/** The webhooks that still need events of a day, at most about ten. The day may be detached or gone. */
export async function webhooksNeedingDay(client: Client, startMs: number): Promise<number[]> {
  const range = [firstIdAt(startMs), firstIdAt(startMs + dayMs)]
  const day = partitionName('events', startMs)
  const { rows: aside } = await client.query(setAsideStatement, range)
  const { rows: there } = await client.query(`select to_regclass('walhook.${day}') is not null as yes`)
  const { rows: behind } = there[0].yes ? await client.query(behindStatement(day), range) : { rows: [] }
  const ids = [...aside, ...behind].map(row => row.webhook_id as number)
  return [...new Set(ids)].sort((a, b) => a - b)
}

/** The cells that lack events of a day, as far as they have noted; at most ten. The day may be detached or gone. */
export async function cellsWithoutDay(client: Client, startMs: number): Promise<string[]> {
  const day = partitionName('events', startMs)
  const { rows: there } = await client.query(`select to_regclass('walhook.${day}') is not null as yes`)
  if (!there[0].yes) return []
  const { rows } = await client.query(
    `select name from walhook.cells c
     where exists (select 1 from walhook.${day} where id > c.copied_up_to and id < $1) order by number limit ${maxNamed}`,
    [firstIdAt(startMs + dayMs)],
  )
  return rows.map(({ name }) => name)
}

/** Whether a logged request contains one of a day's events. */
export async function isShownByLog(
  client: Client,
  startMs: number,
  oldestInBatch: bigint | null,
): Promise<boolean> {
  if (oldestInBatch !== null && oldestInBatch < firstIdAt(startMs + dayMs)) return true
  const { rows } = await client.query(
    'select exists (select 1 from walhook.attempts where event_id >= $1 and event_id < $2) as yes',
    [firstIdAt(startMs), firstIdAt(startMs + dayMs)],
  )
  return rows[0].yes
}

/** The oldest event of a batch in the log: the index does not support ranges. */
export async function oldestEventInBatch(client: Client): Promise<bigint | null> {
  const { rows } = await client.query(
    `select min(e.event_id) as oldest from walhook.attempts, unnest(event_ids) as e (event_id) where event_ids is not null`,
  )
  return rows[0].oldest
}
