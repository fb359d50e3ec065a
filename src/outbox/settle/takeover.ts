import type pg from 'pg'
import type { TimeId } from '../../domain/value/time-id.ts'
import { onceEach } from '../aside/aside.ts'
import { type Outbox, transaction } from '../database/database.ts'
import { endStuckSessions, tryLockHolderAlone } from '../database/fence.ts'
import { fields } from '../database/fields.ts'
import { ofRowEntity, type RowEntity } from '../database/row-keys.ts'
import { rows, statement } from '../database/statement.ts'
import { freeTaken, notifyShares } from '../holders/holders.ts'
import { isEnded, isSetAside, isSkipped } from '../log/waits.ts'
import { formOf, stateAt, wants } from '../log/wanted.ts'

/**
 * - taken: how many events may be in flight, and the freed shares
 * - blocked: sessions have the holder's lock; those that were stuck are ended, and the next try may succeed
 * - needless: it lives, or another process takes over
 */
type Takeover =
  | { readonly kind: 'taken'; readonly setAside: number; readonly shares: readonly number[] }
  | ({ readonly kind: 'blocked' } & Awaited<ReturnType<typeof endStuckSessions>>)
  | { readonly kind: 'needless' }

/**
 * Takes over from a holder whose heartbeat stopped at `beat`. In one commit: events that it may have sent become rows, due
 * when no request can be in flight; its positions move past them; its shares are freed; and it is removed, so that its later
 * settlements change nothing.
 */
export async function takeOver(
  outbox: Outbox,
  { deadId, beat }: { deadId: number; beat: bigint },
): Promise<Takeover> {
  const taken = await transaction<Takeover | null>(outbox.pool, async client => {
    if (!(await tryLockHolderAlone(client, deadId))) return null
    // Few statements over many rows.
    await client.query(
      'set local enable_hashjoin = on; set local enable_sort = on; set local plan_cache_mode = auto',
    )
    const { rows: found } = await findDead(client, { deadId, beat })
    if (!found[0]) return { kind: 'needless' }
    const dead = fields<Dead>(found[0])
    const { rows: set } = await setAsideUnknown(client, { deadId, ...dead })
    const entities = onceEach(set.map(fields<RowEntity>))
    if (entities.length > 0) await postpone(client, { notBefore: dead.notBefore, entities })
    await freeTaken(client, { holderId: deadId, notBefore: dead.notBefore })
    await passOn(client, dead)
    await client.query('delete from walhook.holders where id = $1', [deadId])
    await notifyShares(client)
    return { kind: 'taken', setAside: set.length, shares: dead.shares }
  })
  return taken ?? { kind: 'blocked', ...(await endStuckSessions(outbox.pool, deadId)) }
}

type Dead = {
  readonly shares: readonly number[]
  /** The lowest position of the main streams. */
  readonly least: TimeId
  /** The end of what it may have sent, up to the head of the log. */
  readonly maySendUpTo: TimeId
  readonly head: TimeId
  /** After this, no request of this or an earlier holder is in flight. */
  readonly notBefore: Date
}

/**
 * The head has committed before the next statements, which therefore see everything. Positions stay: only their holder moves
 * them, and its lock is ours.
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

/** Attempts are logged after their event, by clocks with a smaller difference. */
const dayOfIds = 86_400_000n << 20n

/**
 * - interest: who ever wanted events of a trigger, or updates that a filter may send as another action
 * - pairs: events after a stream's position that may have been sent: of a share for webhooks that keep up, and of each
 *   lagging webhook
 * - open: those without a single delivery, row or end
 * - arrived: those of them delivered in a batch, by one index query
 *
 * Everything is looked up by key, whatever the statistics: `offset 0` keeps `exists` from becoming a join.
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
), due as materialized (
  select u.*, w.previous,
         case when u.is_first and not exists (
           select 1 from walhook.deliveries d
           where d.webhook_id = u.webhook_id and d.entity_type = u.entity_type and d.entity_id = u.entity_id
             and d.event_id < u.id
           offset 0
         ) then ${p.notBefore} else 'infinity' end as due_at
  from unknown u
  cross join lateral (select previous from walhook.webhooks where id = u.webhook_id limit 1) w
)
insert into walhook.deliveries (webhook_id, share, entity_type, entity_id, event_id, with_previous, as_new, as_delete, due_at)
select webhook_id, share, entity_type, entity_id, id, previous, as_new, as_delete, due_at from due
on conflict (webhook_id, entity_type, entity_id, event_id) do nothing
returning webhook_id, entity_type, entity_id`,
)

/** Rows of the same entities that were requested by hand wait too. */
const postpone = statement(
  'postpone_by_hand',
  { notBefore: 'timestamptz', entities: rows<RowEntity>(ofRowEntity) },
  p => `
with waiting as materialized (
  select d.ctid
  from ${p.entities('s')}
  cross join lateral (
    select ctid from walhook.deliveries
    where webhook_id = s.webhook_id and entity_type = s.entity_type and entity_id = s.entity_id
      and is_manual and due_at < ${p.notBefore} and taken_by is null and batch_id is null
    offset 0
  ) d
)
update walhook.deliveries d set due_at = ${p.notBefore} from waiting where d.ctid = waiting.ctid`,
)

/**
 * The positions move past what may have been sent. Later events are beyond it, even with lower ids: a holder begins no
 * request that long after its last beat.
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
