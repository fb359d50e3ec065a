import type pg from 'pg'
import type { TimeId } from '../../domain/value/time-id.ts'
import { type Outbox, transaction } from '../database/database.ts'
import { endStuckSessions, tryLockHolderAlone } from '../database/fence.ts'
import { fields } from '../database/fields.ts'
import { statement } from '../database/statement.ts'
import { freeTaken, tellFree } from '../holders/holders.ts'
import { isEnded, isSetAside, isSkipped } from '../log/waits.ts'
import { formOf, stateAt, wants } from '../log/wanted.ts'

/** What was left of a holder: how many events may be under way, and the shares that are free now. */
export type TakenOver = { readonly setAside: number; readonly shares: readonly number[] }

/**
 * Takes over from a holder whose beat has stood still at `beat`. In one commit: what it may have sent is set aside, due when nothing
 * of it is under way any more; its places go on to behind that; its shares are free; and it is gone, so that nothing that it still
 * settles changes anything. Null: it lives after all, or another process takes over at this moment.
 */
export async function takeOver(
  outbox: Outbox,
  { deadId, beat }: { deadId: number; beat: bigint },
): Promise<TakenOver | null> {
  const taken = await transaction(outbox.pool, async client => {
    if (!(await tryLockHolderAlone(client, deadId))) return 'busy'
    // A few statements over much, and not many over little.
    await client.query(
      'set local enable_hashjoin = on; set local enable_sort = on; set local plan_cache_mode = auto',
    )
    const { rows } = await findDead(client, { deadId, beat })
    if (!rows[0]) return null
    const dead = fields<Dead>(rows[0])
    const { rows: set } = await setAsideUnknown(client, { deadId, ...dead })
    await freeTaken(client, { holderId: deadId, notBefore: dead.notBefore })
    await passOn(client, dead)
    await client.query('delete from walhook.holders where id = $1', [deadId])
    await tellFree(client)
    return { setAside: set[0].count, shares: dead.shares }
  })
  if (taken !== 'busy') return taken
  await endStuckSessions(outbox.pool, deadId)
  return null
}

type Dead = {
  readonly shares: readonly number[]
  /** Of the main streams of these, everything is known up to the place of each, and up to this one. */
  readonly least: TimeId
  /** Up to where it may have sent; no place goes beyond what there is. */
  readonly maySendUpTo: TimeId
  readonly head: TimeId
  /** Nothing of this holder is under way then, nor of one before it. */
  readonly notBefore: Date
}

/**
 * What the head says was committed before the statements that follow, so they see all of it. Nobody moves the places meanwhile: only their
 * holder does, and its lock is ours.
 */
const findDead = statement(
  'find_dead',
  { deadId: 'int', beat: 'bigint' },
  p => `
select h.may_send_up_to, head.id as head, coalesce(own.shares, '{}') as shares, coalesce(own.least, head.id) as least,
       greatest(h.alive_until, own.wait_until) + interval '1 ms' as not_before
from walhook.holders h
cross join (select coalesce(max(last_event_id), 0) as id from walhook.positions) head
cross join (
  select array_agg(share order by share) as shares, min(settled_up_to) as least, max(wait_until) as wait_until
  from walhook.shares where holder_id = ${p.deadId}
) own
where h.id = ${p.deadId} and h.beat = ${p.beat}
for update of h skip locked`,
)

/** Attempts are logged after their event, by clocks that differ by less. */
const dayOfIds = 86_400_000n << 20n

/**
 * - interest: who has ever wanted events of a trigger, or updates that a filter may tell as something else
 * - pairs:    events after the place of a stream that may have been sent: of a share, for the webhooks that keep up, and of each
 *             webhook that is behind for itself
 * - open:     those that have not been delivered by themselves, and have no row and no end
 * - arrived:  those of them that were delivered in a batch: the index is asked about all at once
 * - waiting:  rows of the same entities, asked for by hand: they wait until nothing is under way, too
 *
 * Everything is looked up by its key, however wrong the statistics are: no `exists` is turned into a join (`offset 0`).
 */
const setAsideUnknown = statement(
  'set_aside_unknown',
  {
    deadId: 'int',
    shares: 'smallint[]',
    least: 'bigint',
    maySendUpTo: 'bigint',
    head: 'bigint',
    notBefore: 'timestamptz',
  },
  p => `
with main as materialized (
  select share, settled_up_to from walhook.shares where holder_id = ${p.deadId}
), interest as materialized (
  select trigger, array_agg(distinct webhook_id) as webhook_ids
  from walhook.webhook_states
  cross join lateral (
    select unnest(triggers) as trigger
    union all
    select split_part(jsonb_object_keys(filter), '.', 1) || '.update'
  ) t
  where version is not null
  group by trigger
), pairs as materialized (
  select w.id as webhook_id, e.share, e.entity_type, e.entity_id, e.id, ${formOf('e', 's')}
  from (
    select e.* from walhook.events e join main m on m.share = e.share and e.id > m.settled_up_to
    where e.id > ${p.least} and e.id <= least(${p.maySendUpTo}, ${p.head})
  ) e
  join interest i on i.trigger = e.entity_type || '.' || e.action_type
  cross join lateral unnest(i.webhook_ids) as w (id)
  cross join lateral (${stateAt('w.id', 'e.webhooks_version')}) s
  where ${wants('e', 's')}
    and not exists (select 1 from walhook.streams o where o.webhook_id = w.id and o.share = e.share offset 0)
  union all
  select o.webhook_id, e.share, e.entity_type, e.entity_id, e.id, ${formOf('e', 's')}
  from walhook.streams o
  cross join lateral (
    select * from walhook.events
    where id > o.settled_up_to and id <= least(o.may_send_up_to, ${p.head}) and share = o.share
    offset 0
  ) e
  cross join lateral (${stateAt('o.webhook_id', 'e.webhooks_version')}) s
  where o.share = any(${p.shares}) and o.settled_up_to < least(o.may_send_up_to, ${p.head}) and ${wants('e', 's')}
), open as materialized (
  select *, e.id - ${dayOfIds} as since
  from pairs e
  where not exists (
      select 1 from walhook.attempts a
      where a.event_id = e.id and a.webhook_id = e.webhook_id and a.outcome = 'delivered' and a.id >= e.id - ${dayOfIds}
      offset 0
    )
    and not ${isSetAside('e.webhook_id', 'e')}
    and not ${isEnded('e.webhook_id', 'e')}
    and not ${isSkipped('e.webhook_id', 'e')}
), arrived as materialized (
  select distinct a.webhook_id, sent.id
  from walhook.attempts a cross join lateral unnest(a.event_ids) as sent (id)
  where a.event_ids && (select array_agg(distinct id) from open) and a.outcome = 'delivered'
    and a.id >= (select min(since) from open)
), unknown as materialized (
  select e.*, row_number() over (partition by e.webhook_id, e.entity_type, e.entity_id order by e.id) = 1 as is_first
  from open e left join arrived using (webhook_id, id)
  where arrived.id is null
), waiting as materialized (
  select distinct d.ctid
  from unknown u
  cross join lateral (
    select ctid from walhook.deliveries
    where webhook_id = u.webhook_id and entity_type = u.entity_type and entity_id = u.entity_id
      and is_manual and due_at < ${p.notBefore} and taken_by is null and batch_id is null
    offset 0
  ) d
), postponed as (
  update walhook.deliveries d set due_at = ${p.notBefore} from waiting where d.ctid = waiting.ctid
), set_aside as (
  insert into walhook.deliveries (webhook_id, share, entity_type, entity_id, event_id, with_previous, as_new, as_delete, due_at)
  select u.webhook_id, u.share, u.entity_type, u.entity_id, u.id, w.previous, u.as_new, u.as_delete,
         case when u.is_first and not exists (
           select 1 from walhook.deliveries d
           where d.webhook_id = u.webhook_id and d.entity_type = u.entity_type and d.entity_id = u.entity_id
             and d.event_id < u.id
           offset 0
         ) then ${p.notBefore} else 'infinity' end
  from unknown u
  cross join lateral (select previous from walhook.webhooks where id = u.webhook_id limit 1) w
  on conflict (webhook_id, entity_type, entity_id, event_id) do nothing
  returning 1
)
select count(*)::int as count from set_aside`,
)

/**
 * The places go on to behind what may have been sent. What is appended from now on is beyond it, also where its id is not: a holder
 * begins no request so long after its last beat that anybody takes over.
 */
async function passOn(client: pg.ClientBase, { shares, maySendUpTo, head, notBefore }: Dead): Promise<void> {
  await client.query(
    `update walhook.shares
     set settled_up_to = greatest(settled_up_to, least($2::bigint, $3::bigint)), holder_id = null,
         wait_until = greatest(wait_until, $4)
     where share = any($1::smallint[])`,
    [shares, maySendUpTo, head, notBefore],
  )
  await client.query(
    `update walhook.streams set settled_up_to = least(may_send_up_to, $2)
     where share = any($1::smallint[]) and settled_up_to < least(may_send_up_to, $2)`,
    [shares, head],
  )
}
