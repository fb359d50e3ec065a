import type pg from 'pg'
import type { EventState } from '../../domain/event/event-state.ts'
import { afterAll, type TimeId } from '../../domain/value/time-id.ts'
import { parameters } from '../database/statement.ts'

/** Where to search for events in a state: above `above`, and these ids, newest first. `isCut`: there are more below the last. */
export type Lead = { readonly above: TimeId; readonly ids: readonly TimeId[]; readonly isCut: boolean }

export type Within = { readonly tenant: string | null; readonly before: TimeId; readonly from: TimeId }

const maxRows = 20_000
/** Webhooks with dead deliveries, whose newest are read one by one. */
const maxWithDead = 200
/** The maximum of each. */
const maxDead = 500

const everywhere: Lead = { above: 0n, ids: [], isCut: false }

/** Where to search for events in a state, of a tenant's webhooks or all (null). Without a lead, everywhere. */
export async function leadTo(client: pg.ClientBase, state: EventState, within: Within): Promise<Lead> {
  if (state === 'dead') return await leadToDead(client, within)
  if (state !== 'retrying' && state !== 'pending') return everywhere
  const ids = await readWaiting(client, within, state === 'retrying')
  if (ids === null) return everywhere
  return { above: state === 'retrying' ? afterAll : await leastPosition(client, within), ids, isCut: false }
}

/** The events of pending rows, attempted or not; null: too many rows. */
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
  // The primary key's order, so that it is read.
  const order = 'order by webhook_id, entity_type, entity_id, event_id'
  const { rows } = await client.query(
    `select count(*)::int as read,
       array_agg(distinct event_id order by event_id desc)
         filter (where event_id < ${given(before)} and event_id >= ${given(from)} and (attempts > 0) = ${given(isTried)}) as ids
     from (select event_id, attempts from walhook.deliveries ${ofTenant} ${order} limit ${maxRows + 1}) d`,
    values,
  )
  return rows[0].read > maxRows ? null : (rows[0].ids ?? [])
}

/** No event up to here is pending in the log. */
async function leastPosition(client: pg.ClientBase, { tenant }: Within): Promise<TimeId> {
  const { rows } = await client.query(
    `select least(
       (select min(settled_up_to) from walhook.shares),
       (select min(s.settled_up_to) from walhook.streams s join walhook.webhooks w on w.id = s.webhook_id
        where $1::text is null or w.tenant = $1)) as position`,
    [tenant],
  )
  return rows[0].position ?? 0n
}

/** The webhooks with a dead delivery, one after the other, by index. */
const withDead = `
with recursive has_dead as (
  (select webhook_id as id from walhook.ended_deliveries where state = 'dead' order by webhook_id limit 1)
  union all
  select (select webhook_id from walhook.ended_deliveries where state = 'dead' and webhook_id > w.id order by webhook_id limit 1)
  from has_dead w where w.id is not null
)
select id from has_dead where id is not null limit ${maxWithDead + 1}`

async function leadToDead(client: pg.ClientBase, { tenant, before, from }: Within): Promise<Lead> {
  const { rows: webhooks } =
    tenant === null
      ? await client.query(withDead)
      : await client.query(`select id from walhook.webhooks where tenant = $1 limit ${maxWithDead + 1}`, [
          tenant,
        ])
  if (webhooks.length > maxWithDead) return everywhere
  const { rows } = await client.query(
    `select distinct x.event_id as id
     from unnest($1::int[]) w (id) cross join lateral (
       select event_id from walhook.ended_deliveries
       where state = 'dead' and webhook_id = w.id and event_id < $2 and event_id >= $3
       order by event_id desc limit ${maxDead}
     ) x
     order by x.event_id desc limit ${maxDead}`,
    [webhooks.map(({ id }) => id), before, from],
  )
  return { above: afterAll, ids: rows.map(({ id }) => id), isCut: rows.length === maxDead }
}
