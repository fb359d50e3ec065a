import type pg from 'pg'
import { type CheckLine, failure, ok } from '../../domain/capture/check-line.ts'
import type { Problem } from '../../domain/value/problem.ts'
import { type Outbox, transaction } from '../database/database.ts'
import { judgeOutbox } from '../database/inspect.ts'
import { describeMigration, migrate } from '../database/migrate.ts'
import { ensureDays } from '../days/upkeep.ts'
import { problemOfPlace, readOutboxId, settleHome } from '../source/home.ts'
import type { Registered } from './registry.ts'

/** Where a cell's tables are: on the server that the URL names, or where Citus places its schema. */
export type Placing = 'plain' | 'citus'

/** The name of a cell's position: it captures the log of main. */
export const logSlot = 'log'

/** The tables whose ids an admin sees: those of all cells are in one list. */
const shownIds = ['audit', 'incidents', 'alert_mails', 'replays']
const idsOfOne = 20_000_000

/**
 * Makes a cell's tables, or migrates them, and lets its log begin where the main one begins. Repeatable; concurrent calls are safe.
 * Returns what a person must fix; throws if the cell does not answer.
 */
export async function prepareCell(
  main: Outbox,
  cell: Outbox,
  { number, name }: Pick<Registered, 'number' | 'name'>,
  { placing, nowMs }: { placing: Placing; nowMs: number },
): Promise<{ ok: true; applied: readonly string[] } | { ok: false; problems: readonly Problem[] }> {
  const elsewhere = await problemOfPlace(cell.pool)
  const problems = elsewhere ? [elsewhere] : await judgeOutbox(cell)
  if (problems.length > 0) return { ok: false, problems }
  const migrated = describeMigration(await migrate(cell), cell.schema)
  if (!migrated.ok) return { ok: false, problems: [migrated.problem] }
  await settleHome(cell.pool, { isSource: false })
  const owner = (await readOutboxId(main.pool))!
  if (owner === (await readOutboxId(cell.pool))) return { ok: false, problems: [isMainItself(name, cell)] }
  await transaction(cell.pool, client => beginLog(client, { owner, number, main }))
  const foreign = await problemOfOwner(cell, name, owner)
  if (foreign) return { ok: false, problems: [foreign] }
  if (placing === 'citus') {
    const lacking = (await citusLines(cell)).filter(({ level }) => level === 'error')
    if (lacking.length > 0) return { ok: false, problems: lacking.map(toProblem) }
    // Of a schema that is placed already, it only says so.
    await cell.pool.query('select citus_schema_distribute($1)', [cell.schema])
  }
  await ensureDays(cell, nowMs)
  return { ok: true, applied: migrated.applied }
}

/**
 * A new cell copies the log from its oldest event on, and no webhook of it wants any of them: its streams begin at the newest one. The
 * first of several processes does it.
 */
async function beginLog(
  client: pg.PoolClient,
  { owner, number, main }: { owner: string; number: number; main: Outbox },
): Promise<void> {
  const { rowCount } = await client.query(
    `insert into walhook.positions (slot_name, system_identifier, commit_lsn) values ('${logSlot}', $1, '0/0')
     on conflict do nothing`,
    [owner],
  )
  if (rowCount === 0) return
  const { rows } = await main.pool.query(
    'select coalesce(max(last_event_id), 0) as head from walhook.positions',
  )
  await client.query('update walhook.shares set settled_up_to = $1', [rows[0].head])
  for (const table of shownIds)
    await client.query(`alter table walhook.${table} alter column id restart with ${number * idsOfOne}`)
}

const isMainItself = (name: string, { schema }: Outbox): Problem => ({
  code: 'cell',
  what: `cell ${name}, schema ${schema}`,
  found: 'the main outbox itself',
  mend: 'give the cell another database or schema',
})

async function problemOfOwner(cell: Outbox, name: string, owner: string): Promise<Problem | null> {
  const { rows } = await cell.pool.query(
    'select slot_name, system_identifier as owner from walhook.positions',
  )
  const [{ slot_name: slotName, owner: found }] = rows
  if (slotName === logSlot && found === owner) return null
  const mend =
    slotName === logSlot
      ? `give the cell another database or schema; or, if the main outbox was moved and no other walhook uses this cell: update ${cell.schema}.positions set system_identifier = '${owner}'; there`
      : 'give the cell another database or schema'
  return {
    code: 'cell',
    what: `cell ${name}, schema ${cell.schema}`,
    found: slotName === logSlot ? 'the cell of another outbox' : 'an outbox that captures itself',
    mend,
  }
}

const fewestCitus = 12
const unloaded = 'unknown to the server: citus is not loaded'
const load = 'add citus to shared_preload_libraries, and restart the server'

/** What the coordinator of Citus lacks for placing a cell's schema. Also before the cell is there. */
export async function citusLines(outbox: Pick<Outbox, 'pool'>): Promise<CheckLine[]> {
  const { rows } = await outbox.pool.query(
    `select (select extversion from pg_extension where extname = 'citus') as version,
            to_regproc('citus_schema_distribute') is not null as can_place,
            current_setting('citus.enable_schema_based_sharding', true) as places_new,
            current_setting('citus.enable_unsafe_triggers', true) as triggers,
            quote_ident(current_database()) as database`,
  )
  const { version, can_place: canPlace, places_new: placesNew, triggers, database } = rows[0]
  const what = 'cells, Citus'
  if (!canPlace || (version !== null && Number.parseInt(version, 10) < fewestCitus))
    return [
      failure({
        code: 'citus',
        what,
        found:
          version === null
            ? 'the database has no extension citus, which WALHOOK_CELLS=citus needs'
            : `version ${version}, which cannot place schemas`,
        mend: `install Citus ${fewestCitus} or newer on the coordinator and its workers, then: create extension citus;`,
      }),
    ]
  const lines = [ok('citus', what, `version ${version ?? 'unknown'} can place schemas`)]
  if (placesNew !== 'off')
    lines.push(
      failure({
        code: 'citus',
        what: 'cells, citus.enable_schema_based_sharding',
        found:
          placesNew === null ? unloaded : 'on: Citus would place a schema before walhook creates its tables',
        mend:
          placesNew === null
            ? load
            : `alter database ${database} set citus.enable_schema_based_sharding = off;`,
      }),
    )
  if (triggers !== 'on')
    lines.push(
      failure({
        code: 'citus',
        what: 'cells, citus.enable_unsafe_triggers',
        found: triggers === null ? unloaded : `${triggers}: tables with triggers can't be placed`,
        mend: triggers === null ? load : `alter database ${database} set citus.enable_unsafe_triggers = on;`,
      }),
    )
  return lines
}

const toProblem = ({ code, what, found, mend }: CheckLine): Problem => ({
  code,
  what,
  found,
  mend: mend ?? '',
})
