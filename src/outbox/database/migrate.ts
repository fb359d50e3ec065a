import { readdir, readFile } from 'node:fs/promises'
import type { Migration } from 'kysely/migration'
import { isCutOff } from '../../domain/capture/capture-failures.ts'
import type { Problem } from '../../domain/value/problem.ts'
import { mainSchema } from '../schema/in-schema.ts'
import { isDeadlock, type Outbox } from './database.ts'

const maxDeadlocks = 10

const folder = new URL('../../../migrations/', import.meta.url)

/** The names of this version's migrations, in order. */
async function migrationNames(): Promise<string[]> {
  const files = (await readdir(folder)).filter(file => /^\d{4}_.*\.sql$/.test(file)).sort()
  return files.map(file => file.replace(/\.sql$/, ''))
}

/** Creates the migrator. Kysely takes 3 MB of memory, and is loaded only if migrations are missing. */
async function openMigrator({ pool, schema }: Outbox) {
  const [{ Kysely, PostgresDialect, sql }, { Migrator }] = await Promise.all([
    import('kysely'),
    import('kysely/migration'),
  ])
  const readMigration = async (name: string): Promise<[string, Migration]> => {
    const text = await readFile(new URL(`${name}.sql`, folder), 'utf8')
    return [
      name,
      {
        up: db =>
          sql
            .raw(text)
            .execute(db)
            .then(() => {}),
      },
    ]
  }
  return new Migrator({
    // Never destroyed: the pool is shared.
    db: new Kysely({ dialect: new PostgresDialect({ pool }) }),
    provider: {
      async getMigrations() {
        return Object.fromEntries(await Promise.all((await migrationNames()).map(readMigration)))
      },
    },
    migrationTableSchema: schema,
    migrationTableName: 'migrations',
    migrationLockTableName: 'migrations_lock',
  })
}

type MigrationResult =
  | { readonly ok: true; readonly applied: readonly string[] }
  | { readonly ok: false; readonly reason: 'newer'; readonly unknown: readonly string[] }
  | { readonly ok: false; readonly reason: 'refused'; readonly problem: Problem }
  | { readonly ok: false; readonly reason: 'failed'; readonly migration: string; readonly error: unknown }

/**
 * Migrates the schema `walhook` to this version: applies missing files of `migrations/` in one transaction, under a lock.
 * Concurrent calls are safe. A schema with unknown migrations is from a newer walhook, and stays unchanged. Throws if the
 * connection is lost, which shows nothing about a migration. `findProblem` is asked before a change: afterwards, the version
 * before does not start any more.
 */
export async function migrate(
  outbox: Outbox,
  findProblem: () => Promise<Problem | null> = async () => null,
): Promise<MigrationResult> {
  let unknown: string[]
  let pending: string[]
  let problem: Problem | null
  try {
    unknown = await unknownMigrations(outbox)
    pending = await pendingMigrations(outbox)
    problem = unknown.length > 0 || pending.length === 0 ? null : await findProblem()
  } catch (error) {
    throwIfCutOff(error)
    return { ok: false, reason: 'failed', migration: 'the list of migrations', error }
  }
  if (unknown.length > 0) return { ok: false, reason: 'newer', unknown }
  if (problem) return { ok: false, reason: 'refused', problem }
  if (pending.length === 0) return { ok: true, applied: [] }
  const migrator = await openMigrator(outbox)
  let outcome = await migrator.migrateToLatest()
  // A working process took the same tables in another order, and Postgres rolled this back.
  for (let i = 0; i < maxDeadlocks && isDeadlock(outcome.error); i++)
    outcome = await migrator.migrateToLatest()
  const { error, results } = outcome
  if (error) {
    throwIfCutOff(error)
    const failed = results?.find(result => result.status === 'Error')?.migrationName
    return { ok: false, reason: 'failed', migration: failed ?? 'the list of migrations', error }
  }
  return { ok: true, applied: (results ?? []).map(result => result.migrationName) }
}

function throwIfCutOff(error: unknown): void {
  if (isCutOff(error as Error)) throw error
}

/** This version's migrations that the database lacks. */
export async function pendingMigrations(outbox: Outbox): Promise<string[]> {
  const applied = new Set(await appliedMigrations(outbox))
  return (await migrationNames()).filter(name => !applied.has(name))
}

/** The database's migrations that this version lacks: from a newer one. */
export async function unknownMigrations(outbox: Outbox): Promise<string[]> {
  const known = new Set(await migrationNames())
  return (await appliedMigrations(outbox)).filter(name => !known.has(name))
}

async function appliedMigrations(outbox: Outbox): Promise<string[]> {
  const exists = await outbox.pool.query(`select to_regclass('walhook.migrations') is not null as exists`)
  if (!exists.rows[0].exists) return []
  const { rows } = await outbox.pool.query<{ name: string }>(
    `select name from walhook.migrations order by name`,
  )
  return rows.map(row => row.name)
}

/** The applied migrations, or the problem. */
export function describeMigration(
  result: MigrationResult,
  schema = mainSchema,
):
  | { readonly ok: true; readonly applied: readonly string[] }
  | { readonly ok: false; readonly problem: Problem } {
  if (result.ok) return result
  if (result.reason === 'refused') return result
  const what = `schema ${schema}`
  if (result.reason === 'newer')
    return {
      ok: false,
      problem: {
        code: 'outbox_newer',
        what,
        found: `created by a newer walhook (it has ${result.unknown.join(', ')})`,
        mend: 'start that version, or a newer one',
      },
    }
  const { code, message } = result.error as { code?: string; message: string }
  const isForbidden = code === '42501'
  return {
    ok: false,
    problem: {
      code: 'outbox_migration',
      what,
      found: `${result.migration} could not be applied: ${message}`,
      mend: isForbidden
        ? 'let this role create its schema: grant create on database DATABASE to ROLE;  if the schema exists, the role must own it'
        : 'nothing has changed: fix the reason and start again',
    },
  }
}
