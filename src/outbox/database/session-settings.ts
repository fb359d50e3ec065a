import pg from 'pg'
import type { Problem } from '../../domain/value/problem.ts'
import type { ProblemCode } from '../../domain/value/problem-codes.ts'

/**
 * The settings for formats, time-outs and plans. Each session sets and verifies them, overriding defaults of server,
 * database, role and URL `options`. Names unknown to a server are skipped.
 */
export const sessionSettings: Readonly<Record<string, string>> = {
  // Output formats.
  TimeZone: 'UTC',
  timezone_abbreviations: 'Default',
  DateStyle: 'ISO, MDY',
  IntervalStyle: 'postgres',
  extra_float_digits: '1',
  bytea_output: 'hex',
  lc_monetary: 'C',
  lc_numeric: 'C',
  lc_time: 'C',
  xmlbinary: 'base64',
  xmloption: 'content',
  quote_all_identifiers: 'off',
  // Input formats, and the meaning of statements.
  standard_conforming_strings: 'on',
  backslash_quote: 'safe_encoding',
  array_nulls: 'on',
  transform_null_equals: 'off',
  search_path: '"$user", public',
  // Postgres raises an error instead of hiding rows.
  row_security: 'off',
  restrict_nonsystem_relation_kind: '',
  default_transaction_isolation: 'read committed',
  default_transaction_read_only: 'off',
  default_transaction_deferrable: 'off',
  default_table_access_method: 'heap',
  check_function_bodies: 'on',
  client_min_messages: 'warning',
  exit_on_error: 'off',
  // Each statement decides about its time-outs.
  statement_timeout: '0',
  lock_timeout: '0',
  idle_in_transaction_session_timeout: '0',
  idle_session_timeout: '0',
  transaction_timeout: '0',
  // Plans. All enable_… settings have their defaults too.
  jit: 'off',
  plan_cache_mode: 'auto',
  constraint_exclusion: 'partition',
  cursor_tuple_fraction: '0.1',
  from_collapse_limit: '8',
  join_collapse_limit: '8',
  geqo: 'on',
  geqo_threshold: '12',
  debug_parallel_query: 'off',
  force_parallel_mode: 'off',
}

/** Settings that only a superuser may change: verified, and set if they differ. */
const privilegedSettings: Readonly<Record<string, string>> = {
  session_replication_role: 'origin',
  zero_damaged_pages: 'off',
  ignore_checksum_failure: 'off',
}

/** The server ends the connection of a dead client, and releases its locks, after this many seconds. */
const serverNoticesLossS = 30

const literal = (text: string) => `'${text.replaceAll("'", "''")}'`
const rowsOf = (settings: Readonly<Record<string, string>>) =>
  Object.entries(settings)
    .map(([name, value]) => `(${literal(name)}, ${literal(value)})`)
    .join(', ')

/**
 * Sets everything and returns the result, in one round trip; the time-out first, since a tiny one would end the rest.
 *
 * - SQL_ASCII guarantees no encoding: with UTF-8 as client encoding it refuses invalid bytes, so they come unchanged.
 * - A confirmed commit is on disk: `synchronous_commit` is never `off`; the number of standbys is the administrator's choice.
 * - The last settings have no effect on a Unix socket, and are not shown.
 */
const settingsStatement = `
set statement_timeout = 0;
select s.name, s.value, pg_catalog.set_config(s.name, s.value, false) as shown
from (
  values ${rowsOf(sessionSettings)}
  union all
  select 'client_encoding',
         case pg_catalog.current_setting('server_encoding') when 'SQL_ASCII' then 'SQL_ASCII' else 'UTF8' end
  union all
  select 'synchronous_commit',
         case pg_catalog.current_setting('synchronous_commit') when 'off' then 'on'
         else pg_catalog.current_setting('synchronous_commit') end
  union all
  select name, boot_val from pg_catalog.pg_settings where pg_catalog.left(name, 7) = 'enable_' and setting <> boot_val
) as s (name, value)
where pg_catalog.current_setting(s.name, true) is not null;
select w.name, pg_catalog.current_setting(w.name) as setting
from (values ${rowsOf(privilegedSettings)}) as w (name, value)
where pg_catalog.current_setting(w.name) <> w.value;
select pg_catalog.set_config(name, value, false)
from (values ('tcp_user_timeout', '${serverNoticesLossS}s'), ('tcp_keepalives_idle', '10'),
             ('tcp_keepalives_interval', '5'), ('tcp_keepalives_count', '4')) as t (name, value);
select pg_catalog.pg_backend_pid()::text as pid`

/** Thrown if a connection can't be used: a person must fix it. */
export class ConnectionRefused extends Error {
  readonly code: ProblemCode
  readonly problem: Problem
  constructor(code: ProblemCode, problem: Omit<Problem, 'code'>) {
    super(`${problem.what}: ${problem.found}. Fix: ${problem.mend}`)
    this.code = code
    this.problem = { ...problem, code }
  }
}

/**
 * Sets up a new session, whatever the defaults. Returns the server's process id. Throws `ConnectionRefused` if a setting has
 * no effect.
 * https://www.postgresql.org/docs/current/config-setting.html
 */
export async function setUpSession(client: pg.ClientBase): Promise<number> {
  const results = (await client.query(settingsStatement)) as unknown as pg.QueryResult[]
  const [, settings, privileged, , backend] = results.map(({ rows }) => rows)
  const [other] = settings!.filter(({ value, shown }) => value !== shown)
  if (other)
    throw new ConnectionRefused('setting_refused', {
      what: `setting ${other.name}`,
      found: `${JSON.stringify(other.shown)} although the session has set it to ${JSON.stringify(other.value)}`,
      mend: 'connect to Postgres directly, or through a pooler in session mode that passes SET on',
    })
  for (const { name, setting } of privileged!) await setPrivileged(client, name, setting)
  return Number(backend![0].pid)
}

const insufficientPrivilege = '42501'

async function setPrivileged(client: pg.ClientBase, name: string, found: string): Promise<void> {
  const wanted = privilegedSettings[name]!
  try {
    await client.query(`set ${name} = ${literal(wanted)}`)
  } catch (error) {
    if ((error as { code?: string }).code !== insufficientPrivilege) throw error
    const { rows } = await client.query(
      `select pg_catalog.format('alter role %1$I reset ${name}; alter role %1$I in database %2$I reset ${name}; alter database %2$I reset ${name};',
                                session_user, pg_catalog.current_database()) as mend`,
    )
    throw new ConnectionRefused('setting_refused', {
      what: `setting ${name}`,
      found: `${found}, and only a superuser may change it for a session`,
      mend: `as a superuser, run: ${rows[0].mend}`,
    })
  }
}

/** A session's server does not change its timeline: a promoted server had no session of walhook before. */
const timelines = new WeakMap<object, string>()

const timelineStatement = `
select case when not pg_catalog.pg_is_in_recovery()
       then pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 8) end as timeline`

/** Notes the timeline of a new session's server. Servers without WAL of their own refuse to tell: then it is unknown. */
export async function noteTimeline(client: pg.ClientBase): Promise<void> {
  try {
    const { rows } = await client.query(timelineStatement)
    if (rows[0].timeline !== null) timelines.set(client, rows[0].timeline)
  } catch (error) {
    if (!(error instanceof pg.DatabaseError)) throw error
  }
}

/**
 * The timeline of a session's server; null: unknown. Each promotion and each restoration begins a new one, and may lack the
 * last commits of the one before.
 * https://www.postgresql.org/docs/current/continuous-archiving.html#BACKUP-TIMELINES
 */
export const timelineOf = (client: pg.ClientBase): string | null => timelines.get(client) ?? null
