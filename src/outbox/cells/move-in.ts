import type pg from 'pg'
import { timeOf } from '../../domain/value/time-id.ts'
import { notifyByHand } from '../by-hand/by-hand.ts'
import type { Outbox } from '../database/database.ts'
import { dayMs, ensurePartitions } from '../days/partitions.ts'
import { deleteRowsOf } from '../records/webhooks.ts'
import { moveFence } from './copy-log.ts'
import { type MovedRows, movedTables, readEvents, rowsOf } from './move-out.ts'

type Db = Pick<pg.ClientBase | pg.Pool, 'query'>

const eventColumns = `
id, share, commit_lsn, index_in_transaction, entity_type, entity_id, action_type, committed_at, body, previous, changed, omitted,
tenant, tenant_before, only_webhook_id`

/** Stores complete rows; existing ones stay. */
async function store(db: Db, table: string, json: string): Promise<void> {
  await db.query(
    `insert into walhook.${table} overriding system value
     select r.* from json_populate_recordset(null::walhook.${table}, $1::json) r on conflict do nothing`,
    [json],
  )
}

/**
 * Stores a webhook in its new cell, with rows only. It gets the events after this commit: an append to the cell waits for the
 * locked position, and is refused if it read the webhooks before. So later events have a version that includes the webhook.
 */
export async function moveIn(
  client: pg.PoolClient,
  from: Db,
  webhookId: number,
  rows: MovedRows,
): Promise<void> {
  await moveEvents(client, from, [rows.deliveries, rows.ended_deliveries])
  for (const table of movedTables) {
    if (table === 'webhooks') await storeWebhook(client, rows.webhooks)
    else if (table === 'skips') await storeSkips(client, rows.skips)
    else if (table === 'ended_deliveries') await storeEnded(client, webhookId, rows)
    else if (table === 'replays') await storeReplays(client, rows.replays)
    else await store(client, table, rows[table])
  }
  await client.query(
    'update walhook.positions set webhooks_version = (select version from walhook.webhooks_version)',
  )
  await moveFence(client)
  await notifyByHand(client, webhookId)
}

async function storeWebhook(client: pg.PoolClient, json: string): Promise<void> {
  await client.query(
    `insert into walhook.webhooks overriding system value
     select r.* from jsonb_populate_record(null::walhook.webhooks, ($1::jsonb -> 0) || '{"moving_to": null}') r`,
    [json],
  )
}

/** Deliveries that ended again since they were copied, and those requested by hand, which have a row instead. */
async function storeEnded(
  client: pg.PoolClient,
  webhookId: number,
  { ended_deliveries: ended, deliveries }: MovedRows,
): Promise<void> {
  for (const json of [ended, deliveries])
    await client.query(
      `delete from walhook.ended_deliveries
       where webhook_id = $1 and event_id in (select event_id from json_to_recordset($2::json) r (event_id bigint))`,
      [webhookId, json],
    )
  await store(client, 'ended_deliveries', ended)
}

/** Without versions: those of the old cell would name other events here, or another time off. */
async function storeReplays(client: pg.PoolClient, json: string): Promise<void> {
  await client.query(
    `insert into walhook.replays overriding system value
     select r.* from jsonb_array_elements($1::jsonb) each (row)
     cross join lateral jsonb_populate_record(null::walhook.replays, row || '{"from_version": null, "to_version": null}') r
     on conflict do nothing`,
    [json],
  )
}

/** Their ids are internal to the cell. */
async function storeSkips(client: pg.PoolClient, json: string): Promise<void> {
  const columns = 'webhook_id, entity_type, entity_id, after_id, up_to, at'
  await client.query(
    `insert into walhook.skips (${columns})
     select ${columns} from json_populate_recordset(null::walhook.skips, $1::json) r`,
    [json],
  )
}

/**
 * Of the events that rows refer to, those that the cell lacks, in pages: a batch has a thousand of them. No stream wants them: they are
 * older than every webhook of it.
 */
async function moveEvents(to: Db, from: Db, rows: readonly string[]): Promise<void> {
  for (const json of rows) {
    const { rows: lacking } = await to.query(
      `select coalesce(array_agg(distinct r.event_id order by r.event_id), '{}') as ids
       from json_to_recordset($1::json) r (event_id bigint)
       where not exists (select 1 from walhook.events e where e.id = r.event_id)`,
      [json],
    )
    for (let left: bigint[] = lacking[0].ids; left.length > 0; ) {
      const { events, upTo } = await readEvents(from, left)
      await storeEvents(to, events)
      left = left.filter(id => id > upTo)
    }
  }
}

async function storeEvents(to: Db, json: string): Promise<void> {
  await to.query(
    `insert into walhook.events (${eventColumns}, webhooks_version)
     select ${eventColumns}, 0 from json_populate_recordset(null::walhook.events, $1::json) r on conflict do nothing`,
    [json],
  )
}

/** Creates the days of a webhook's rows, from the oldest to today. */
export async function makeDays(from: Outbox, to: Outbox, webhookId: number): Promise<void> {
  const { rows } = await from.pool.query(
    `select least((select min(id) from walhook.attempts where webhook_id = $1),
                  (select min(event_id) from walhook.ended_deliveries where webhook_id = $1),
                  (select min(event_id) from walhook.deliveries where webhook_id = $1)) as oldest,
            (extract(epoch from clock_timestamp()) * 1000)::float8 as now_ms`,
    [webhookId],
  )
  const { oldest, now_ms: nowMs } = rows[0]
  // Each call creates nine days.
  if (oldest !== null)
    for (let atMs = timeOf(oldest); atMs < nowMs + dayMs; atMs += 8 * dayMs) await ensurePartitions(to, atMs)
}

const attemptsAtOnce = 1_000
/** Attempts get their ids before they commit. */
const hourOfIds = 3_600_000n << 20n

/**
 * Copies a webhook's attempts from `after` on, page by page, with the events that the cell lacks. Returns the position for a
 * later call.
 */
export async function copyAttempts(
  { pool: from }: Outbox,
  { pool: to }: Outbox,
  webhookId: number,
  after = 0n,
): Promise<bigint> {
  for (const table of ['attempt_heads', 'kept_attempts'])
    await store(to, table, await rowsOf(from, table, 'webhook_id = $1', [webhookId]))
  for (let last = after; ; ) {
    const where = 'webhook_id = $1 and id > $2 order by id limit $3'
    const json = await rowsOf(from, 'attempts', where, [webhookId, last, attemptsAtOnce])
    const { rows } = await to.query(
      `select max(id) as last,
              (select coalesce(json_agg(json_build_object('event_id', e.id)), '[]')::text
               from (select event_id as id from json_to_recordset($1::json) r (event_id bigint) where event_id is not null
                     union
                     select unnest(event_ids) from json_to_recordset($1::json) r (event_ids bigint[])) e
               where e.id <= (select max(last_event_id) from walhook.positions)) as shown
       from json_to_recordset($1::json) r (id bigint)`,
      [json],
    )
    if (rows[0].last === null) return last > hourOfIds ? last - hourOfIds : 0n
    await moveEvents(to, from, [rows[0].shown])
    await store(to, 'attempts', json)
    last = rows[0].last
  }
}

const endedAtOnce = 5_000

/**
 * Copies ended deliveries page by page, with the events that the cell lacks. Returns the time from which the rest must be copied:
 * a transaction may commit later than its timestamp.
 */
export async function copyEnded(
  { pool: from }: Outbox,
  { pool: to }: Outbox,
  webhookId: number,
): Promise<Date> {
  const { rows: begun } = await from.query(`select now() - interval '1 hour' as at`)
  for (let last = 0n; ; ) {
    const where = 'webhook_id = $1 and event_id > $2 order by event_id limit $3'
    const json = await rowsOf(from, 'ended_deliveries', where, [webhookId, last, endedAtOnce])
    await moveEvents(to, from, [json])
    await store(to, 'ended_deliveries', json)
    const { rows } = await to.query(
      'select max(event_id) as last from json_to_recordset($1::json) r (event_id bigint)',
      [json],
    )
    if (rows[0].last === null) return begun[0].at
    last = rows[0].last
  }
}

/** Deletes the remains of a webhook that is in another cell. */
export async function deleteMoved(outbox: Outbox, webhookId: number): Promise<void> {
  const tables = ['deliveries', 'batches', 'ended_deliveries', 'attempts', 'kept_attempts', 'attempt_heads']
  for (const table of tables) await deleteRowsOf(outbox, table, webhookId)
}
