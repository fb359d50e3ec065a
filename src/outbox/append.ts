import type pg from 'pg'
import type { ParkedChange, StoredEvent } from '../domain/event.ts'
import { formatLsn, type Lsn } from '../domain/lsn.ts'
import type { TimeId } from '../domain/time-id.ts'
import { type Birth, type BirthOffer, bornUpTo, toBirth } from './birth.ts'
import { type EventColumns, eventColumnsOf } from './event-columns.ts'
import { sealedColumns } from './secrets.ts'

/** The channel on which a commit to the outbox is told to every process that delivers. */
export const wakeChannel = 'walhook_outbox'

/**
 * Thrown when the position is not where this process left it: another process captures now, and what this one
 * wanted to store is stored by that one.
 */
export class PositionMoved extends Error {
  constructor(slotName: string, expected: Lsn) {
    super(`the position of slot ${slotName} is no longer ${formatLsn(expected)}: another process captures it`)
  }
}

/**
 * Stores events, makes a delivery for each webhook that wants them and moves the position, all or nothing, in
 * one statement.
 *
 * - moved:  the compare-and-set that fences off a replaced process. Everything below hangs on it.
 * - wanted: the webhooks that are active at this moment, or the one of them that the events are for. Locked against deletion: a deletion that waits for us
 *           sees these deliveries, and one that we wait for leaves nothing to lock.
 * - queued: each event for each webhook that has its trigger; but not an update that is known to have changed none
 *           of the fields to which the webhook limits updates of this entity type.
 * - lanes:  an existing lane's row is locked (an UPDATE that changes no row), so that a settlement which is
 *           about to end the lane either sees these deliveries or has already ended it. A lane that is new may be leased at
 *           once: it holds nothing older, and its first event is the oldest of `firsts`.
 * - born:   the lanes that were leased, each with the event to be sent. Others need no wake-up for these.
 *
 * A webhook is sent the same as to anybody who claims: with another mode than `every`, in batches, or with what an event
 * knows beyond its body, that is left to a claim.
 */
const appendStatement = `
with moved as (
  update walhook.positions
  set commit_lsn = $3, confirmed_lsn = greatest(confirmed_lsn, $13), last_event_id = greatest(last_event_id, $4),
      read_lsn = greatest(read_lsn, $24::pg_lsn),      updated_at = now()
  where slot_name = $1 and commit_lsn = $2
  returning slot_name
), incoming as (
  select id, commit_lsn, index_in_transaction, entity_type, entity_id, action_type, committed_at, body, previous,
         changed::text[] as changed, omitted::text[] as omitted
  from unnest($5::bigint[], $6::pg_lsn[], $7::int[], $8::text[], $9::text[], $10::text[], $11::timestamptz[],
              $12::text[], $20::text[], $21::text[], $22::text[])
    as e (id, commit_lsn, index_in_transaction, entity_type, entity_id, action_type, committed_at, body, previous,
          changed, omitted)
  where exists (select from moved)
), stored as (
  insert into walhook.events
    (id, commit_lsn, index_in_transaction, entity_type, entity_id, action_type, committed_at, body, previous,
     changed, omitted)
  select * from incoming
), parked as (
  insert into walhook.parked_changes (commit_lsn, index_in_transaction, entity_type, entity_id, action_type, reason)
  select p.*
  from unnest($14::pg_lsn[], $15::int[], $16::text[], $17::text[], $18::text[], $19::text[])
    as p (commit_lsn, index_in_transaction, entity_type, entity_id, action_type, reason)
  where exists (select from moved)
), wanted as (
  select w.id, w.url, ${sealedColumns}, w.triggers, w.previous as with_previous, w.update_fields,
         array(select split_part(field, '.', 1) from unnest(w.update_fields) field) as filtered_types,
         case when w.mode = 'every' and w.batch_max_events is null and not w.previous
                and (w.held_until is null or w.held_until <= now())
              then (select event_id from unnest($25::int[], $26::bigint[]) b (id, event_id) where b.id = w.id)
         end as born_up_to
  from walhook.webhooks w
  where w.is_active and w.disabled_at is null and ($23::int is null or w.id = $23)
    and w.triggers && (select array_agg(distinct entity_type || '.' || action_type) from incoming)
  for key share of w
), queued as (
  insert into walhook.deliveries (webhook_id, entity_type, entity_id, event_id, with_previous)
  select t.webhook_id, e.entity_type, e.entity_id, e.id, t.with_previous
  from incoming e
  join (
    select id as webhook_id, unnest(triggers) as trigger, with_previous, update_fields, filtered_types from wanted
  ) t on t.trigger = e.entity_type || '.' || e.action_type
  where t.update_fields is null
    or e.changed is null
    or e.entity_type <> all (t.filtered_types)
    or t.update_fields && array(select e.entity_type || '.' || field from unnest(e.changed) field)
  returning webhook_id, entity_type, entity_id, event_id
), firsts as (
  select webhook_id, entity_type, entity_id, min(event_id) as event_id
  from queued group by webhook_id, entity_type, entity_id
), lanes as (
  insert into walhook.lanes (webhook_id, entity_type, entity_id, next_event_id, lease_id, leased_until)
  select f.webhook_id, f.entity_type, f.entity_id, f.event_id,
         case when f.event_id <= w.born_up_to then $27::uuid end,
         case when f.event_id <= w.born_up_to then now() + $28::float8 * interval '1 ms' else '-infinity' end
  from firsts f join wanted w on w.id = f.webhook_id
  order by f.webhook_id, f.entity_type, f.entity_id
  on conflict (webhook_id, entity_type, entity_id) do update set due_at = lanes.due_at where false
  returning webhook_id, entity_type, entity_id, lease_id
), born as (
  select webhook_id, array_agg(f.event_id order by f.event_id) as event_ids
  from lanes l join firsts f using (webhook_id, entity_type, entity_id)
  where l.lease_id is not null
  group by webhook_id
)
select told.*, b.webhook_id, b.event_ids, w.url, w.secret, w.previous_secret, w.headers, w.client_identity
from (
  select
    (select count(*) from moved)::int as moved,
    (select count(*) from queued)::int as queued,
    case when (select count(*) from queued) > (select coalesce(sum(cardinality(event_ids)), 0) from born)
         then pg_notify('${wakeChannel}', '') end as woken
) told
left join (born b join wanted w on w.id = b.webhook_id) on true`

/** What an append has made: deliveries in all, and those that are leased to who appended them. */
export type Appended = { readonly deliveries: number; readonly births: readonly Birth[] }

/**
 * Appends `events` (ids rising above the position's `lastEventId`, in commit order), sets aside what no event could
 * be made of, and moves the position of `slotName` from `expected` to `commitLsn`. Run on a pool it commits by itself; run on a client inside a
 * transaction, a large source transaction is appended in parts that become visible together.
 * Returns the number of deliveries made, and which of their lanes were leased to the holder of the offer `birth`. Throws
 * `PositionMoved`, having stored nothing.
 */
export async function append(
  db: pg.Pool | pg.PoolClient,
  input: {
    slotName: string
    expected: Lsn
    commitLsn: Lsn
    /** Up to where the slot may be confirmed once this has committed. */
    confirmableLsn: Lsn
    lastEventId: TimeId
    /** A list, or already written down as columns, which must not be changed meanwhile. */
    events: readonly StoredEvent[] | EventColumns
    parked: readonly ParkedChange[]
    /** The webhook that the events are for; absent or null for every one that wants them. */
    onlyWebhookId?: number | null
    /** Up to where the source's WAL went when what the events tell was read from its tables; null: nothing was. */
    readLsn?: Lsn | null
    /** What may be leased at once; not within a transaction, whose commit may come late. `first` are the first events. */
    birth?: { readonly offer: BirthOffer; readonly first: readonly StoredEvent[] } | null
  },
): Promise<Appended> {
  const { parked, birth = null } = input
  const upTo = birth && bornUpTo(birth.offer, birth.first)
  const events = ('add' in input.events ? input.events : eventColumnsOf(input.events)).values()
  const { rows } = await db.query({
    name: 'append',
    text: appendStatement,
    values: [
      input.slotName,
      formatLsn(input.expected),
      formatLsn(input.commitLsn),
      input.lastEventId,
      events.ids,
      events.commitLsns,
      events.indexes,
      events.entityTypes,
      events.entityIds,
      events.actionTypes,
      events.committedAts,
      events.bodies,
      formatLsn(input.confirmableLsn),
      parked.map(change => formatLsn(change.commitLsn)),
      parked.map(change => change.index),
      parked.map(change => change.entityType),
      parked.map(change => change.entityId),
      parked.map(change => change.actionType),
      parked.map(change => change.reason),
      events.previous,
      events.changed,
      events.omitted,
      input.onlyWebhookId ?? null,
      input.readLsn == null ? null : formatLsn(input.readLsn),
      upTo?.webhookIds ?? null,
      upTo?.eventIds ?? null,
      birth?.offer.lease ?? null,
      birth?.offer.leaseMs ?? null,
    ],
  })
  if (rows[0].moved === 0) throw new PositionMoved(input.slotName, input.expected)
  const births = birth
    ? rows.flatMap(row =>
        row.webhook_id === null ? [] : [toBirth(row, { lease: birth.offer.lease, events: birth.first })],
      )
    : []
  return { deliveries: rows[0].queued, births }
}
