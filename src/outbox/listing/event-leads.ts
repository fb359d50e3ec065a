import type pg from 'pg'
import type { EventState } from '../../domain/event/event-state.ts'
import { afterAll, type TimeId } from '../../domain/value/time-id.ts'
import { parameters } from '../database/statement.ts'

/**
 * Where events in a state are to be looked for: all that are newer than `above`, and then these ids, newest first. Where `isCut`, there
 * are more of them below the last.
 */
export type Lead = { readonly above: TimeId; readonly ids: readonly TimeId[]; readonly isCut: boolean }

export type Within = { readonly tenant: string | null; readonly before: TimeId; readonly from: TimeId }

/** Rows of deliveries that are read at most. */
const mostRows = 20_000
/** Webhooks with dead letters, whose newest are asked for one by one. */
const mostWithDead = 200
/** How many of each. */
const mostDead = 500

const everywhere: Lead = { above: 0n, ids: [], isCut: false }

/** What narrows the search for events in a state, of a tenant's webhooks or (null) of all. Where nothing does, it is everywhere. */
export async function leadTo(client: pg.ClientBase, state: EventState, within: Within): Promise<Lead> {
  if (state === 'dead') return await leadToDead(client, within)
  if (state !== 'retrying' && state !== 'pending') return everywhere
  const ids = await readWaiting(client, within, state === 'retrying')
  if (ids === null) return everywhere
  return { above: state === 'retrying' ? afterAll : await leastPlace(client, within), ids, isCut: false }
}

/** The events of all rows that wait, those that were tried or those that were not; null where there are too many rows. */
async function readWaiting(
  client: pg.ClientBase,
  { tenant, before, from }: Within,
  isTried: boolean,
): Promise<TimeId[] | null> {
  const { values, given } = parameters()
  const ofTenant =
    tenant === null
      ? ''
      : `where webhook_id = any(array(select id from walhook.webhooks where tenant = ${given(tenant)}))`
  // In the order of the primary key, from which they are read then.
  const order = 'order by webhook_id, entity_type, entity_id, event_id'
  const { rows } = await client.query(
    `select count(*)::int as read,
       array_agg(distinct event_id order by event_id desc)
         filter (where event_id < ${given(before)} and event_id >= ${given(from)} and (attempts > 0) = ${given(isTried)}) as ids
     from (select event_id, attempts from walhook.deliveries ${ofTenant} ${order} limit ${mostRows + 1}) d`,
    values,
  )
  return rows[0].read > mostRows ? null : (rows[0].ids ?? [])
}

/** Nothing at or below it waits in the log. */
async function leastPlace(client: pg.ClientBase, { tenant }: Within): Promise<TimeId> {
  const { rows } = await client.query(
    `select least(
       (select min(settled_up_to) from walhook.shares),
       (select min(s.settled_up_to) from walhook.streams s join walhook.webhooks w on w.id = s.webhook_id
        where $1::text is null or w.tenant = $1)) as place`,
    [tenant],
  )
  return rows[0].place ?? 0n
}

/** Webhook after webhook that has a dead letter, by the index. */
const withDead = `
with recursive has_dead as (
  (select webhook_id as id from walhook.ended_deliveries where state = 'dead' order by webhook_id limit 1)
  union all
  select (select webhook_id from walhook.ended_deliveries where state = 'dead' and webhook_id > w.id order by webhook_id limit 1)
  from has_dead w where w.id is not null
)
select id from has_dead where id is not null limit ${mostWithDead + 1}`

async function leadToDead(client: pg.ClientBase, { tenant, before, from }: Within): Promise<Lead> {
  const { rows: webhooks } =
    tenant === null
      ? await client.query(withDead)
      : await client.query(`select id from walhook.webhooks where tenant = $1 limit ${mostWithDead + 1}`, [
          tenant,
        ])
  if (webhooks.length > mostWithDead) return everywhere
  const { rows } = await client.query(
    `select distinct x.event_id as id
     from unnest($1::int[]) w (id) cross join lateral (
       select event_id from walhook.ended_deliveries
       where state = 'dead' and webhook_id = w.id and event_id < $2 and event_id >= $3
       order by event_id desc limit ${mostDead}
     ) x
     order by x.event_id desc limit ${mostDead}`,
    [webhooks.map(({ id }) => id), before, from],
  )
  return { above: afterAll, ids: rows.map(({ id }) => id), isCut: rows.length === mostDead }
}
