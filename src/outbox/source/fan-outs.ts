import type pg from 'pg'
import type { FanOut } from '../../domain/capture/fan-out.ts'
import type { StoredEvent } from '../../domain/event/event.ts'
import type { Outbox } from '../database/database.ts'
import { sentAlready } from './sent-already.ts'

/**
 * Requests the resync of entities that show a changed row. An open one starts again, since earlier pages may have the old
 * row: a page in progress is not stored. Deletes those that ended a week ago.
 */
export async function orderFanOuts(
  { pool }: Outbox,
  slotName: string,
  fanOuts: readonly FanOut[],
): Promise<void> {
  await pool.query(
    `with old as (
       delete from walhook.resyncs where field is not null and ended_at < now() - interval '7 days'
     )
     insert into walhook.resyncs as r (slot_name, entity_type, gap_ids, field, hop, hop_value, known_up_to)
     select distinct p.slot_name, f.entity_type, '{}'::int[], f.field, f.hop, f.hop_value, p.last_event_id
     from walhook.positions p,
          unnest($2::text[], $3::text[], $4::int[], $5::text[]) as f (entity_type, field, hop, hop_value)
     where p.slot_name = $1
     on conflict (slot_name, entity_type, field, hop, coalesce('=' || hop_value, ''))
       where state in ('waiting', 'running') and field is not null
     do update set state = 'waiting', reason = null, code = null, known_up_to = excluded.known_up_to, after_key = null,
                   until_key = null, rows_done = 0, rows_estimate = null, orders = r.orders + 1, created_at = now()`,
    [
      slotName,
      fanOuts.map(({ entityType }) => entityType),
      fanOuts.map(({ field }) => field),
      fanOuts.map(({ at }) => at),
      fanOuts.map(({ value }) => value),
    ],
  )
}

/** The events of such a page: none for an entity whose last event to all webhooks is equal, and names the field as changed. */
export async function asFannedOut(
  client: pg.PoolClient,
  { entityType, field }: { readonly entityType: string; readonly field: string },
  events: readonly StoredEvent[],
): Promise<readonly StoredEvent[]> {
  const which = {
    name: 'told_of_fanned_out',
    among: 'e.only_webhook_id is null',
    and: `(last.action_type = 'new' or last.changed is null or $5 = any (last.changed))`,
  }
  const sent = await sentAlready(client, entityType, events, which, [field])
  return events.filter(({ entityId }) => !sent.has(entityId))
}
