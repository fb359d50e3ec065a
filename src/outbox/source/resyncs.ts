import type pg from 'pg'
import type { Resync } from '../../domain/capture/resync.ts'
import type { StoredEvent } from '../../domain/event/event.ts'
import { bodyAsNew } from '../../domain/event/event.ts'
import type { Outbox } from '../database/database.ts'
import { fields } from '../database/fields.ts'
import type { PageDone, PageReason } from './paged-work.ts'

type Db = pg.Pool | pg.PoolClient

function toResync({
  table_name,
  part_oid,
  part_name,
  field,
  hop,
  hop_value,
  created_at: _,
  ended_at: __,
  ...rest
}: pg.QueryResultRow): Resync {
  const { entity_type: entityType } = rest
  return {
    ...fields<Resync>(rest),
    fanOut: field === null ? null : { entityType, field, at: Number(hop), value: hop_value },
    part: part_oid === null ? null : { tableName: table_name, oid: Number(part_oid), name: part_name },
    rowsDone: Number(rest.rows_done),
    deletesDone: Number(rest.deletes_done),
    rowsEstimate: rest.rows_estimate === null ? null : Number(rest.rows_estimate),
  }
}

/** Starts the resyncs that end every open gap of a slot, in the transaction that moves the slot's position. */
export async function beginResyncs(
  client: pg.PoolClient,
  wanted: { slotName: string; entityTypes: readonly string[] },
): Promise<void> {
  const { rows } = await client.query(
    `update walhook.gaps g set to_lsn = p.commit_lsn
     from walhook.positions p
     where p.slot_name = $1 and g.slot_name = $1 and g.resynced_at is null
     returning g.id`,
    [wanted.slotName],
  )
  await orderResyncs(client, { ...wanted, gapIds: rows.map(({ id }) => id) })
}

/** Starts the resync of each entity type, which ends these gaps. An open one starts again, for its old gaps too. */
export async function orderResyncs(
  db: Db,
  wanted: { slotName: string; entityTypes: readonly string[]; gapIds: readonly number[] },
): Promise<void> {
  await db.query(
    `insert into walhook.resyncs as r (slot_name, entity_type, gap_ids, known_up_to)
     select p.slot_name, entity_type, $2::int[], p.last_event_id
     from walhook.positions p, unnest($3::text[]) as entity_type
     where p.slot_name = $1
     on conflict (slot_name, entity_type, coalesce(table_name, ''), coalesce(part_oid, 0))
       where state in ('waiting', 'running') and field is null do update
     set gap_ids = array(select distinct unnest(r.gap_ids || excluded.gap_ids)), state = 'waiting', phase = 'rows',
         reason = null, code = null, known_up_to = excluded.known_up_to, after_key = null, until_key = null, rows_done = 0,
         deletes_done = 0, rows_estimate = null, created_at = now()`,
    [wanted.slotName, wanted.gapIds, wanted.entityTypes],
  )
}

export async function openResyncs(outbox: Outbox, slotName: string): Promise<Resync[]> {
  const { rows } = await outbox.pool.query({
    name: 'open_resyncs',
    text: `select * from walhook.resyncs where slot_name = $1 and state in ('waiting', 'running') order by id`,
    values: [slotName],
  })
  return rows.map(toResync)
}

/** A finished page of a resync: of its rows, or of the entities it looked for. */
export type ResyncStep = PageDone &
  Pick<Resync, 'entityType' | 'knownUpTo' | 'phase' | 'orders' | 'fanOut'> & {
    /** Of a partition: its rows are entities, or owners of a related list. Null: no partition. */
    readonly part: 'entities' | 'owners' | null
  }

/**
 * Moves a resync past a page, in the transaction of the page's `deletes` and other events. False: it is elsewhere, and the
 * page must be rolled back. The last page of a gap's last resync ends the gap.
 */
export async function advanceResync(db: Db, step: ResyncStep, deletes: number): Promise<boolean> {
  const isDone = step.isLast && (step.phase === 'deletes' || step.part !== null || step.fanOut !== null)
  const begins = step.isLast && !isDone
  const { rows } = await db.query(
    `update walhook.resyncs
     set after_key = case when $9 then null else coalesce($4, after_key) end,
         phase = case when $9 then 'deletes' else phase end,
         until_key = coalesce(until_key, $5), rows_done = rows_done + $6, deletes_done = deletes_done + $7,
         rows_estimate = coalesce(rows_estimate, $8), reason = null, code = null,
         state = case when $10 then 'done' else 'running' end, ended_at = case when $10 then now() end
     where id = $1 and state in ('waiting', 'running') and phase = $2 and after_key is not distinct from $3
       and known_up_to = $11 and orders = $12
     returning gap_ids`,
    [
      step.id,
      step.phase,
      step.fromKey,
      step.toKey,
      step.untilKey,
      step.rows,
      deletes,
      step.rowsEstimate,
      begins,
      isDone,
      step.knownUpTo,
      step.orders,
    ],
  )
  if (rows.length === 0) return false
  if (isDone) await endGaps(db, rows[0].gap_ids)
  return true
}

/** Ends a resync whose entity is no longer mapped. */
export async function cancelResync(db: Db, id: number, { reason, code }: PageReason): Promise<void> {
  const { rows } = await db.query(
    `update walhook.resyncs set state = 'cancelled', reason = $2, code = $3, ended_at = now()
     where id = $1 and state in ('waiting', 'running') returning gap_ids`,
    [id, reason, code],
  )
  if (rows[0]) await endGaps(db, rows[0].gap_ids)
}

/** Ends the gaps that are captured again and have no open resync. */
async function endGaps(db: Db, gapIds: readonly number[]): Promise<void> {
  await db.query(
    `update walhook.gaps g set resynced_at = now()
     where g.id = any($1) and g.resynced_at is null and g.to_lsn is not null
       and not exists (
         select 1 from walhook.resyncs r where r.state in ('waiting', 'running') and g.id = any(r.gap_ids))`,
    [gapIds],
  )
}

/**
 * The events of a page, by what receivers know once everything before it is stored: an existing row is an `update` of a known
 * entity, else `new`; a missing one is a `delete` of a known entity, else nothing.
 *
 * An entity is known if the last event up to `knownUpTo`, or the last `new` or `delete` after it, is no `delete`: an `update`
 * captured since is not the first event for a webhook without that trigger.
 */
export async function asKnown(
  client: pg.PoolClient,
  { entityType, knownUpTo }: Pick<ResyncStep, 'entityType' | 'knownUpTo'>,
  events: readonly StoredEvent[],
): Promise<StoredEvent[]> {
  const { rows } = await client.query({
    name: 'known_of',
    text: `
      select k.entity_id
      from unnest($2::text[]) as k (entity_id)
      cross join lateral (
        select e.action_type from walhook.events e
        where e.entity_id = k.entity_id and e.entity_type = $1 and (e.id <= $3 or e.action_type <> 'update')
        order by e.id desc limit 1
      ) last
      where last.action_type <> 'delete'`,
    values: [entityType, events.map(({ entityId }) => entityId), knownUpTo],
  })
  const known = new Set<string>(rows.map(row => row.entity_id))
  return events.flatMap(event => {
    if (known.has(event.entityId)) return event
    return event.actionType === 'delete' ? [] : { ...event, actionType: 'new', body: bodyAsNew(event.body) }
  })
}

/** The number of entities examined per page. */
const scannedEntities = 10_000

/**
 * The entities with events, backwards by id from before `afterKey`, without an event since `knownUpTo`, and whose last event
 * is no `delete`. A resync has sent every row, so these seem to be gone.
 *
 * Backwards, the index has them in this order, each entity's last event first; forwards, PostgreSQL 15 would sort all events
 * per page. The index excludes nulls, which PostgreSQL 17 and later only recognize by a comparison.
 */
export async function unsentEntities(
  client: pg.PoolClient,
  { entityType, knownUpTo, afterKey }: Pick<Resync, 'entityType' | 'knownUpTo' | 'afterKey'>,
  limit: number,
): Promise<{
  entities: { entityId: string; tenant: string | null }[]
  toKey: string | null
  isLast: boolean
}> {
  await client.query(
    'set local enable_seqscan = off; set local enable_hashagg = off; set local enable_sort = off',
  )
  const { rows } = await client.query(
    `select entity_id, tenant, id <= $3 and action_type <> 'delete' as is_unsent
     from (
       select distinct on (entity_id) entity_id, tenant, id, action_type from walhook.events
       where entity_type = $1 and entity_id >= '' and ($2::text is null or entity_id < $2)
       order by entity_id desc, id desc limit $4
     ) last
     order by entity_id desc`,
    [entityType, afterKey, knownUpTo, scannedEntities],
  )
  const entities: { entityId: string; tenant: string | null }[] = []
  for (const [i, { entity_id, tenant, is_unsent }] of rows.entries()) {
    if (is_unsent) entities.push({ entityId: entity_id, tenant })
    const isEnd = i === rows.length - 1
    if (entities.length === limit || isEnd)
      return { entities, toKey: entity_id, isLast: isEnd && rows.length < scannedEntities }
  }
  return { entities, toKey: null, isLast: true }
}
