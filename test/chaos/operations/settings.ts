import { type Operation, pick } from '../operation.ts'
import { role } from '../tables.ts'

/** Settings that change what a connection reads, writes or waits for, with values that somebody may have chosen. */
const odd: readonly (readonly [name: string, value: string, since?: number])[] = [
  ['DateStyle', `'SQL, DMY'`],
  ['IntervalStyle', `'sql_standard'`],
  ['TimeZone', `'Asia/Kathmandu'`],
  ['bytea_output', 'escape'],
  ['extra_float_digits', '-10'],
  ['client_encoding', 'LATIN1'],
  ['standard_conforming_strings', 'off'],
  ['search_path', `''`],
  ['default_transaction_isolation', 'serializable'],
  ['default_transaction_read_only', 'on'],
  ['default_transaction_deferrable', 'on'],
  ['statement_timeout', `'50ms'`],
  ['lock_timeout', `'10ms'`],
  ['idle_in_transaction_session_timeout', `'100ms'`],
  ['idle_session_timeout', `'500ms'`],
  ['transaction_timeout', `'100ms'`, 17],
  ['work_mem', `'64kB'`],
  ['logical_decoding_work_mem', `'64kB'`],
  ['row_security', 'off'],
  ['enable_indexscan', 'off'],
  ['enable_hashjoin', 'off'],
  ['plan_cache_mode', 'force_generic_plan'],
  ['synchronous_commit', 'off'],
  ['array_nulls', 'off'],
  ['transform_null_equals', 'on'],
  ['quote_all_identifiers', 'on'],
  ['xmlbinary', 'hex'],
  ['session_replication_role', 'replica'],
  ['check_function_bodies', 'off'],
  ['wal_sender_timeout', `'1s'`],
  ['tcp_keepalives_idle', '1'],
  ['cursor_tuple_fraction', '1'],
]

/** An operation, and what the test's own account is set to so that it goes on as before. */
export const settingOperations: readonly Operation[] = [
  {
    name: 'an odd setting of the role or the database',
    weight: 5,
    async run(at) {
      const fitting = odd.filter(([, , since = 0]) => at.version >= since)
      const [name, value] = pick(at.random, fitting)
      const where = at.random() < 0.6 ? `role ${role}` : `database ${at.database.name}`
      await at.sql(`alter ${where} set ${name} = ${value}`)
      if (at.random() < 0.7)
        await at.sql(`select pg_terminate_backend(pid) from pg_stat_activity where usename = '${role}'`)
      return {
        did: `alter ${where} set ${name} = ${value}`,
        undo: () => at.sql(`alter ${where} reset ${name}`),
        isTemporary: true,
      }
    },
  },
]

/** Sets each of them for the test's own account to what it is now: what a role has goes before the database's. */
export const keepUsual = (version: number, account: string): string[] =>
  odd
    .filter(([, , since = 0]) => version >= since)
    .map(
      ([name]) => `do $$ begin execute format('alter role ${account} set ${name} = %s',
      case when lower('${name}') in ('datestyle', 'search_path') then current_setting('${name}') else quote_literal(current_setting('${name}')) end); end $$`,
    )
