import type pg from 'pg'
import { kindOfError } from '../../domain/capture/capture-failures.ts'
import { type CheckLine, failure, ok } from '../../domain/capture/check-line.ts'
import type { Problem } from '../../domain/value/problem.ts'
import type { ProblemCode } from '../../domain/value/problem-codes.ts'
import { describeError } from '../../runtime/log.ts'
import { type Outbox, problemOfEncoding } from './database.ts'
import { describeMigration, pendingMigrations, unknownMigrations } from './migrate.ts'

const factsStatement = `
select current_setting('server_version_num')::int as version,
       pg_is_in_recovery() as is_standby, quote_ident(current_user) as role, quote_ident(current_database()) as database,
       to_regnamespace('walhook') is not null as has_schema,
       (select quote_ident(pg_get_userbyid(nspowner)) from pg_namespace where nspname = 'walhook') as owner,
       array(select c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
             where n.nspname = 'walhook' and c.relkind in ('r', 'p') and not c.relispartition
               and not (has_table_privilege(c.oid, 'select') and has_table_privilege(c.oid, 'insert')
                        and has_table_privilege(c.oid, 'update') and has_table_privilege(c.oid, 'delete'))
             order by 1) as closed,
       array(select c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
             where n.nspname = 'walhook' and c.relkind in ('r', 'p') and row_security_active(c.oid) order by 1) as hidden`

type Facts = {
  readonly version: number
  readonly is_standby: boolean
  readonly role: string
  readonly database: string
  readonly has_schema: boolean
  readonly owner: string | null
  readonly closed: readonly string[]
  readonly hidden: readonly string[]
}

/** Why nothing can be stored in this database, checked before anything is created. */
export async function checkOutbox(outbox: Outbox): Promise<Problem[]> {
  const encoding = await problemOfEncoding(outbox)
  return [...problemsOf(await readFacts(outbox)), ...(encoding ? [encoding] : [])]
}

async function readFacts(outbox: Outbox): Promise<Facts> {
  return (await outbox.pool.query(factsStatement)).rows[0]
}

function problemsOf({ version, is_standby }: Facts): Problem[] {
  const problems: Problem[] = []
  const add = (code: ProblemCode, what: string, found: string, mend: string) =>
    problems.push({ code, what, found, mend })
  if (version < 140000)
    add('outbox_version', 'outbox, version', String(version), 'walhook needs PostgreSQL 14 or newer')
  if (is_standby)
    add(
      'outbox_standby',
      'outbox, server',
      'a standby, which is read-only',
      'set OUTBOX_DATABASE_URL to the primary server',
    )
  return problems
}

/** Checks whether walhook can have its tables in the outbox; what it would create is created and rolled back. */
export async function outboxLines(outbox: Outbox): Promise<CheckLine[]> {
  const [facts, encoding] = [await readFacts(outbox), await problemOfEncoding(outbox)]
  const problems = problemsOf(facts)
  const about = (what: string, found: string, code: ProblemCode) => {
    const problem = problems.find(each => each.what === what)
    return problem ? failure(problem) : ok(code, what, found)
  }
  return [
    about('outbox, version', String(Math.floor(facts.version / 10_000)), 'outbox_version'),
    about('outbox, server', 'a primary server', 'outbox_standby'),
    encoding
      ? failure(encoding)
      : ok('outbox_encoding', "walhook's own tables", 'in a database with the encoding UTF8'),
    ...(facts.is_standby ? [] : await schemaLines(outbox, facts)),
  ]
}

async function schemaLines(outbox: Outbox, facts: Facts): Promise<CheckLine[]> {
  const { role, database, owner, closed, hidden, has_schema } = facts
  const rights = 'outbox, rights'
  const mend = has_schema
    ? `run as a superuser: grant ${owner} to ${role};`
    : `run as a superuser: grant create on database ${database} to ${role};`
  const denied = (found: string, fix = mend) => [
    failure({ code: 'outbox_rights', what: rights, found, mend: fix }),
  ]
  if (closed.length > 0)
    return denied(
      `role ${role} may not read and write the tables ${closed.join(', ')} of schema walhook`,
      // An owner has every right that nobody has revoked.
      owner === role
        ? `run as ${role}: grant select, insert, update, delete on all tables in schema walhook to ${role};`
        : mend,
    )
  if (hidden.length > 0)
    return denied(
      `row level security hides rows of ${hidden.join(', ')} from role ${role}`,
      `run as a superuser: ${hidden.map(table => `alter table walhook.${table} disable row level security;`).join(' ')}`,
    )
  try {
    const unknown = await unknownMigrations(outbox)
    if (unknown.length > 0) {
      const newer = describeMigration({ ok: false, reason: 'newer', unknown })
      return newer.ok ? [] : [failure(newer.problem)]
    }
    const pending = await pendingMigrations(outbox)
    const refused = await tryToMake(outbox.pool, has_schema)
    if (refused !== null) return denied(`role ${role} can't create its tables: ${refused}`)
    return [
      ok(
        'outbox_rights',
        rights,
        has_schema ? 'schema walhook exists, and its tables can be altered' : 'schema walhook can be created',
      ),
      ok(
        'outbox_migrations',
        'outbox, migrations',
        pending.length === 0 ? 'up to date' : `${pending.length} to be applied by the next start`,
      ),
    ]
  } catch (error) {
    if (kindOfError(error as Error) === 'lost') throw error
    return denied(describeError(error))
  }
}

/** Creates what a start creates first, and rolls it back. Returns the problem, or null. */
async function tryToMake(pool: pg.Pool, hasSchema: boolean): Promise<string | null> {
  const client = await pool.connect()
  try {
    await client.query(`begin; set local lock_timeout = '5s'`)
    if (!hasSchema) await client.query('create schema walhook')
    await client.query('create table walhook.made_by_check (id integer primary key)')
    return null
  } catch (error) {
    // A lost database shows nothing about rights.
    if (kindOfError(error as Error) === 'lost') throw error
    return describeError(error)
  } finally {
    await client.query('rollback').catch(() => {})
    client.release()
  }
}
