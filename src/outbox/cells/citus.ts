import { type CheckLine, failure, ok } from '../../domain/capture/check-line.ts'
import type { Problem } from '../../domain/value/problem.ts'
import type { Outbox } from '../database/database.ts'

/**
 * A trigger would notify on the node of the schema, where nobody listens, and where the transaction could not be prepared.
 * Holders see a change of webhooks with each heartbeat.
 */
const notifyNobody = `create or replace function walhook.notify_webhooks() returns void language sql as ''`

/** Lets Citus distribute a cell's schema to one of its nodes. Repeatable. Returns the missing requirements. */
export async function placeByCitus(cell: Outbox): Promise<readonly Problem[]> {
  const lacking = (await citusLines(cell)).filter(({ level }) => level === 'error')
  if (lacking.length > 0) return lacking.map(toProblem)
  await cell.pool.query(notifyNobody)
  // For a distributed schema this only raises a notice.
  await cell.pool.query('select citus_schema_distribute($1)', [cell.schema])
  return []
}

const oldestCitus = 12
const unloaded = 'unknown to the server: citus is not loaded'
const load = 'add citus to shared_preload_libraries, and restart the server'

/** The missing requirements of the Citus coordinator, also before the cell exists. */
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
  if (!canPlace || (version !== null && Number.parseInt(version, 10) < oldestCitus))
    return [
      failure({
        code: 'citus',
        what,
        found:
          version === null
            ? 'the database has no extension citus, which WALHOOK_CELLS=citus needs'
            : `version ${version}, which cannot place schemas`,
        mend: `install Citus ${oldestCitus} or newer on the coordinator and its workers, then: create extension citus;`,
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
