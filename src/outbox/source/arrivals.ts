import type pg from 'pg'
import type { Part } from '../../domain/capture/resync.ts'
import type { StoredEvent } from '../../domain/event/event.ts'
import { formatLsn, type Lsn } from '../../domain/value/lsn.ts'
import { asKnown } from './resyncs.ts'
import { sentAlready } from './sent-already.ts'

/**
 * Requests the resync of a partition attached to a captured table after `fromLsn`, one per entity type that depends on the
 * table. Receivers know the WAL up to there.
 */
export async function orderArrival(
  client: pg.PoolClient,
  arrival: { slotName: string; entityTypes: readonly string[]; part: Part; fromLsn: Lsn },
): Promise<void> {
  const { slotName, entityTypes, part, fromLsn } = arrival
  await client.query(
    `insert into walhook.resyncs (slot_name, entity_type, gap_ids, table_name, part_oid, part_name, known_up_to)
     select $1, entity_type, '{}', $3, $4, $5,
            coalesce((select id from walhook.events where commit_lsn <= $6 order by id desc limit 1), 0)
     from unnest($2::text[]) as entity_type
     on conflict (slot_name, entity_type, coalesce(table_name, ''), coalesce(part_oid, 0))
       where state in ('waiting', 'running') and field is null do nothing`,
    [slotName, entityTypes, part.tableName, part.oid, part.name, formatLsn(fromLsn)],
  )
}

/**
 * The events of such a page, once everything before it is stored: `new` for an entity unknown to receivers (as in `asKnown`),
 * none if its last event is equal, else `update`. So a partition that was created empty and filled by the stream adds
 * nothing.
 */
export async function asArrived(
  client: pg.PoolClient,
  { entityType, knownUpTo }: { entityType: string; knownUpTo: bigint },
  events: readonly StoredEvent[],
): Promise<StoredEvent[]> {
  const known = await asKnown(client, { entityType, knownUpTo }, events)
  const sent = await sentAlready(client, entityType, events, { name: 'told_of_arrived' })
  return known.filter(({ actionType, entityId }) => actionType === 'new' || !sent.has(entityId))
}
