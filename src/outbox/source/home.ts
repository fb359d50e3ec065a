import type pg from 'pg'
import { copyProblem, type Home, isHome } from '../../domain/capture/home.ts'
import type { Problem } from '../../domain/value/problem.ts'
import { fields } from '../database/fields.ts'
import { ConnectionRefused } from '../database/session-settings.ts'
import { positionsOf, recordEnded } from '../log/waits.ts'
import { readCounts } from '../reading/queue-depth.ts'

type Db = Pick<pg.Pool | pg.ClientBase, 'query'>

/** The database of this connection. */
async function readPresent(db: Db): Promise<Home> {
  const { rows } = await db.query(
    `select oid::text as oid, datname, has_function_privilege('pg_control_system()', 'execute') as may_read
     from pg_database where datname = current_database()`,
  )
  const { oid, datname, may_read } = rows[0]
  const mayRead = may_read === true || may_read === 't'
  const found = mayRead
    ? await db.query('select system_identifier::text as id from pg_control_system()')
    : null
  return { systemIdentifier: found?.rows[0].id ?? null, databaseOid: Number(oid), databaseName: datname }
}

/** Where the outbox was created or last adopted; null: an older walhook did not record it. */
async function readHome(db: Db): Promise<Home | null> {
  const { rows } = await db.query(
    'select system_identifier, database_oid::text, database_name from walhook.home',
  )
  return rows[0] ? { ...fields<Home>(rows[0]), databaseOid: Number(rows[0].database_oid) } : null
}

/** The id of this outbox, unique as long as it stays here; null: no process has worked with it yet. */
export async function readOutboxId(db: Db): Promise<string | null> {
  const { rows } = await db.query(
    `select database_oid || ' ' || (extract(epoch from since) * 1000000)::bigint as id from walhook.home`,
  )
  return rows[0]?.id ?? null
}

/** Why this outbox can't be used here: it is a copy. Null: it is the original, or has no tables yet. */
export async function problemOfHome(db: Db): Promise<Problem | null> {
  const { rows } = await db.query(`select to_regclass('walhook.home') is not null as exists`)
  if (rows[0].exists !== true && rows[0].exists !== 't') return null
  const [home, here] = [await readHome(db), await readPresent(db)]
  return home === null || isHome(home, here) ? null : copyProblem(home, here)
}

/** Checks each new connection, so that a running walhook never sends from a copy. */
export async function refuseCopy(client: pg.ClientBase): Promise<void> {
  const problem = await problemOfHome(client)
  if (problem) throw new ConnectionRefused(problem.code, problem)
}

/**
 * Records that the outbox lives here, if nothing is recorded, and its database's new name. If nothing is recorded and the
 * source is the same database (`isSource`), the captured cluster shows a copy, which is returned.
 */
export async function settleHome(db: Db, { isSource }: { isSource: boolean }): Promise<Problem | null> {
  const [home, here] = [await readHome(db), await readPresent(db)]
  if (home === null && isSource) {
    const { rows } = await db.query('select system_identifier from walhook.positions limit 1')
    const captured = rows[0] && { ...here, systemIdentifier: rows[0].system_identifier }
    if (captured && !isHome(captured, here)) return copyProblem(captured, here)
  }
  await noteHome(db, here)
  return null
}

async function noteHome(db: Db, { systemIdentifier, databaseOid, databaseName }: Home): Promise<void> {
  await db.query(
    `insert into walhook.home (system_identifier, database_oid, database_name) values ($1, $2, $3)
     on conflict (is_only) do update
     set database_name = excluded.database_name,
         system_identifier = coalesce(home.system_identifier, excluded.system_identifier)
     where home.database_oid = excluded.database_oid
       and (home.database_name <> excluded.database_name
         or home.system_identifier is null and excluded.system_identifier is not null)`,
    [systemIdentifier, databaseOid, databaseName],
  )
}

/** Adopts the outbox here, which gives it another id; with `ifElsewhere`, only if it is a copy. Returns its old and new place. */
export async function moveHome(
  client: pg.PoolClient,
  { ifElsewhere }: { ifElsewhere: boolean },
): Promise<{ from: Home | null; to: Home }> {
  const [from, to] = [await readHome(client), await readPresent(client)]
  if (!ifElsewhere || (from && !isHome(from, to))) await client.query('delete from walhook.home')
  await noteHome(client, to)
  return { from, to }
}

/** Of every webhook, the pending events in the log up to $1. */
const skipAllStatement = `
insert into walhook.skips (webhook_id, after_id, up_to)
select w.id, p.least, $1 from walhook.webhooks w cross join lateral (${positionsOf('w.id')}) p
where p.least < $1`

/**
 * Makes a copy harmless: cancels every pending delivery, deactivates every webhook, and deletes the slots' positions, so that
 * capture starts again. Events and log stay. `deliveries` counts the first 10,000 of each webhook in the log.
 */
export async function discardWork(client: pg.PoolClient): Promise<{ deliveries: number; webhooks: number }> {
  await client.query(
    `lock table walhook.holders, walhook.webhooks, walhook.shares, walhook.streams, walhook.deliveries, walhook.batches
     in exclusive mode`,
  )
  const { rows: all } = await client.query('select id from walhook.webhooks')
  const counts = await readCounts(
    client,
    all.map(({ id }) => id),
    { max: 10_000, maxScanned: 10_000 },
  )
  const { rows } = await client.query(`
    with gone as (
      delete from walhook.deliveries returning webhook_id, event_id, entity_type, entity_id, attempts
    ), recorded as (${recordEnded('cancelled', 'gone')})
    select (select count(*)::int from gone) as rows,
           greatest((select max(last_event_id) from walhook.positions), (select max(settled_up_to) from walhook.shares)) as head`)
  const { rows: setAside, head } = rows[0]
  await client.query(skipAllStatement, [head])
  for (const table of ['batches', 'streams', 'holders']) await client.query(`delete from walhook.${table}`)
  await client.query('update walhook.shares set settled_up_to = $1', [head])
  const { rowCount } = await client.query(
    'update walhook.webhooks set is_active = false, version = version + 1, updated_at = now() where is_active',
  )
  for (const table of ['positions', 'gaps', 'resyncs']) await client.query(`delete from walhook.${table}`)
  await client.query(
    `update walhook.backfills set state = 'cancelled', reason = 'the outbox was copied', ended_at = now()
     where state in ('waiting', 'running')`,
  )
  const deliveries = counts.reduce((sum, { inLog }) => sum + inLog, setAside)
  return { deliveries, webhooks: rowCount ?? 0 }
}
