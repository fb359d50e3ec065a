import type pg from 'pg'
import type { Entity } from '../../domain/event/entity.ts'
import type { TimeId } from '../../domain/value/time-id.ts'
import { wakeNext } from '../aside/aside.ts'
import { endEmptyBatches } from '../aside/dissolve-batches.ts'
import { type Outbox, transaction } from '../database/database.ts'
import { lockAllHolders } from '../database/fence.ts'
import { wakeChannel } from '../log/append.ts'
import { positionIn, waitsInLog } from '../log/waits.ts'
import { stateAt } from '../log/wanted.ts'
import { entityMark } from '../reading/forgotten.ts'

/** What was deleted of an entity. */
export type Forgotten = {
  readonly events: number
  /** Requests about it alone, with their responses. */
  readonly attempts: number
  /** Batches with other entities: their responses, and its part of the requests. */
  readonly batches: number
  /** Its pending deliveries. */
  readonly deliveries: number
  readonly parked: number
}

const markStatement = `
insert into walhook.forgotten (what) values (${entityMark('$1::text', '$2::text')})
on conflict (what) do update set at = excluded.at`
const markEventsStatement = `
insert into walhook.forgotten (what) select distinct 'e:' || id from unnest($1::bigint[]) as e (id)
on conflict (what) do update set at = excluded.at`

/** Deletes the entity's rows at the next webhooks, including those in flight: their results change nothing. */
const dropRowsStatement = `
with w as materialized (select id from walhook.webhooks where id > $1 order by id limit $5), found as materialized (
  select d.row
  from w cross join lateral (
    select ctid as row from walhook.deliveries
    where webhook_id = w.id and entity_type = $2 and entity_id = $3 and event_id <= $4
    offset 0
  ) d
), gone as (
  delete from walhook.deliveries d using found
  where d.ctid = found.row
  returning d.webhook_id, d.event_id, d.batch_id
)
select (select max(id) from w) as last, (select count(*)::int from gone) as rows,
       array(select distinct webhook_id from gone) as webhook_ids,
       array(select distinct batch_id from gone where batch_id is not null) as batch_ids,
       array(select event_id from gone where batch_id is not null) as batched_ids`

/** The entity's pending events in the log, for the same webhooks. */
const countInLogStatement = `
select count(*)::int as in_log
from (select id from walhook.webhooks where id > $1 order by id limit $5) w
cross join lateral (${positionIn('w.id', 'walhook.share_of($2, $3)')}) p
cross join lateral (
  select * from walhook.events where entity_id = $3 and entity_type = $2 and id > p.settled_up_to and id <= $4
  offset 0
) e
cross join lateral (${stateAt('w.id', 'e.webhooks_version')}) s
where ${waitsInLog('w.id', { e: 'e', s: 's', settled: 'p.settled_up_to', maySend: 'p.may_send_up_to' })}`

const eventsStatement = `
select id from walhook.events where entity_type = $1 and entity_id = $2 and id <= $3 order by id limit $4`

const testsStatement = `
select webhook_id, id from walhook.attempts
where trigger <> 'schedule' and entity_type = $1 and entity_id = $2 limit $3`

const webhooksAtOnce = 500
const rowsAtOnce = 500

/**
 * Erases an entity from all stored data up to the event `upTo`, in short transactions: cancels pending deliveries, deletes
 * events, requests and responses. A repeated call continues. `isTimeOver` ends it early, with `isComplete` false.
 */
export async function forgetEntity(
  outbox: Outbox,
  entity: Entity,
  upTo: TimeId,
  isTimeOver: () => boolean,
): Promise<Forgotten & { readonly isComplete: boolean }> {
  const sum = { events: 0, attempts: 0, batches: 0, deliveries: 0, parked: 0 }
  // Commits first: later settlements find it.
  await outbox.pool.query(`delete from walhook.forgotten where at < now() - interval '1 day'`)
  await outbox.pool.query(markStatement, [entity.entityType, entity.entityId])
  const add = (page: Partial<Forgotten>) => {
    for (const [name, count] of Object.entries(page)) sum[name as keyof Forgotten] += count
  }
  // Twice: the second round finds what was settled or requested by hand during the first.
  for (let round = 0; round < 2; round++) {
    for (let after: number | null = 0; after !== null; ) {
      if (isTimeOver()) return { ...sum, isComplete: false }
      const page: { deliveries: number; last: number | null } = await cancelPage(outbox, entity, upTo, after)
      add({ deliveries: page.deliveries })
      after = page.last
    }
    for (const forgetPage of [eventsPage, testsPage])
      for (let isMore = true; isMore; ) {
        if (isTimeOver()) return { ...sum, isComplete: false }
        const page = await transaction(outbox.pool, client => forgetPage(client, entity, upTo))
        add(page.counts)
        isMore = page.isMore
      }
  }
  add(await forgetTraces(outbox, entity))
  return { ...sum, isComplete: true }
}

/** Of the next webhooks after `after`, by id. Every holder waits meanwhile. */
async function cancelPage(
  outbox: Outbox,
  { entityType, entityId }: Entity,
  upTo: TimeId,
  after: number,
): Promise<{ deliveries: number; last: number | null }> {
  return await transaction(outbox.pool, async client => {
    await lockAllHolders(client)
    const which = [after, entityType, entityId, upTo, webhooksAtOnce]
    const inLog = await client.query(countInLogStatement, which)
    const dropped = await client.query(dropRowsStatement, which)
    const { last, rows, webhook_ids, batch_ids, batched_ids } = dropped.rows[0]
    if (batched_ids.length > 0) await client.query(markEventsStatement, [batched_ids])
    await endEmptyBatches(client, webhook_ids, batch_ids)
    await wakeNext(
      client,
      webhook_ids.map((webhookId: number) => ({ webhookId, entityType, entityId })),
    )
    await notifyForget(client, { entityType, entityId })
    return { deliveries: rows + inLog.rows[0].in_log, last }
  })
}

const longestPayload = 7_000

/** Delivering processes drop unsent events of the entity. */
async function notifyForget(client: pg.ClientBase, { entityType, entityId }: Entity): Promise<void> {
  const payload = `forget:${JSON.stringify([entityType, entityId])}`
  if (Buffer.byteLength(payload) <= longestPayload)
    await client.query(`select pg_notify('${wakeChannel}', $1)`, [payload])
}

type Page = { readonly counts: Partial<Forgotten>; readonly isMore: boolean }

/** A batch keeps the others' events: its body is built again from them. */
async function eventsPage(
  client: pg.PoolClient,
  { entityType, entityId }: Entity,
  upTo: TimeId,
): Promise<Page> {
  const { rows } = await client.query(eventsStatement, [entityType, entityId, upTo, rowsAtOnce])
  const ids: TimeId[] = rows.map(row => row.id)
  if (ids.length === 0) return { counts: {}, isMore: false }
  let attempts = 0
  let batches = 0
  for (const table of ['attempts', 'kept_attempts']) {
    const gone = await client.query(`delete from walhook.${table} where event_id = any($1)`, [ids])
    attempts += gone.rowCount ?? 0
    const blanked = await client.query(
      `update walhook.${table}
       set request_body = null, response_headers = null, response_body = null, error_message = case when error_class is not null then '' end
       where event_ids is not null and event_ids && $1::bigint[]`,
      [ids],
    )
    batches += blanked.rowCount ?? 0
  }
  await client.query('delete from walhook.ended_deliveries where event_id = any($1)', [ids])
  const events = await client.query('delete from walhook.events where id = any($1)', [ids])
  return { counts: { events: events.rowCount ?? 0, attempts, batches }, isMore: ids.length === rowsAtOnce }
}

/** Tests with its data, which have no event. */
async function testsPage(client: pg.PoolClient, { entityType, entityId }: Entity): Promise<Page> {
  const { rows } = await client.query(testsStatement, [entityType, entityId, rowsAtOnce])
  const gone = await client.query(
    `delete from walhook.attempts a using unnest($1::int[], $2::bigint[]) as k (webhook_id, id)
     where a.webhook_id = k.webhook_id and a.id = k.id`,
    [rows.map(row => row.webhook_id), rows.map(row => row.id)],
  )
  return { counts: { attempts: gone.rowCount ?? 0 }, isMore: rows.length === rowsAtOnce }
}

/** From tables with few rows. */
async function forgetTraces({ pool }: Outbox, { entityType, entityId }: Entity): Promise<Partial<Forgotten>> {
  const key = [entityType, entityId]
  const kept = await pool.query(
    'delete from walhook.kept_attempts where entity_type = $1 and entity_id = $2',
    key,
  )
  const parked = await pool.query(
    'delete from walhook.parked_changes where entity_type = $1 and entity_id = left($2, 200)',
    key,
  )
  await pool.query('delete from walhook.skips where entity_type = $1 and entity_id = $2', key)
  for (const table of ['backfills', 'resyncs'])
    await pool.query(
      `update walhook.${table} set after_key = null, until_key = null
       where entity_type = $1 and ended_at is not null and $2 in (after_key, until_key)`,
      key,
    )
  return { attempts: kept.rowCount ?? 0, parked: parked.rowCount ?? 0 }
}
