import { randomBytes } from 'node:crypto'
import type { Client } from 'pg'
import type { TestDatabase } from './database.ts'

/** What decides for itself, or can't be what it is not. */
const left = [
  'application_name',
  'local_preload_libraries',
  'default_table_access_method',
  'transaction_deferrable',
  'transaction_isolation',
  'transaction_read_only',
]

/** Long enough to log in and say something; too short for what walhook waits for. */
const timeouts: Record<string, string> = {
  statement_timeout: '150',
  lock_timeout: '1',
  idle_in_transaction_session_timeout: '300',
  idle_session_timeout: '1500',
  transaction_timeout: '400',
  client_connection_check_interval: '1000',
}

const texts: Record<string, string> = {
  DateStyle: 'German, DMY',
  TimeZone: 'Asia/Kolkata',
  client_encoding: 'LATIN1',
  default_text_search_config: 'pg_catalog.german',
  lc_monetary: 'POSIX',
  lc_numeric: 'POSIX',
  lc_time: 'POSIX',
  timezone_abbreviations: 'India',
  createrole_self_grant: 'set',
  default_tablespace: 'nowhere',
  restrict_nonsystem_relation_kind: 'view, foreign-table',
  search_path: 'nowhere',
  temp_tablespaces: 'nowhere',
}

type Setting = {
  name: string
  setting: string
  vartype: string
  enumvals: string[] | null
  min_val: string | null
  max_val: string | null
}

/** Another value than the usual one, as far from it as can be; null: there is none. */
function oddValue({ name, setting, vartype, enumvals, min_val, max_val }: Setting): string | null {
  if (name in timeouts) return timeouts[name]!
  if (name in texts) return texts[name]!
  if (vartype === 'bool') return setting === 'on' ? 'off' : 'on'
  if (vartype === 'enum') return enumvals!.findLast(value => value !== setting) ?? null
  if (vartype === 'string') return null
  return setting === min_val ? max_val : min_val
}

/**
 * Makes a role without more rights than walhook asks for, and sets for it, and for the database, everything that a role may
 * set to something odd. Returns the URL of that role, what was set, and what could not be.
 */
export async function setEverythingOdd(psql: Client, database: TestDatabase) {
  const role = `odd_${database.name}`.slice(0, 63)
  const password = randomBytes(12).toString('hex')
  await psql.query(`create role ${role} login replication password '${password}'`)
  await psql.query(`grant create on database ${database.name} to ${role}`)
  await psql.query(
    `grant all on schema public to ${role}; grant all on all tables in schema public to ${role}`,
  )
  const { rows } = await psql.query<Setting>(
    `select * from pg_settings where context = 'user' and name <> all ($1) order by name`,
    [left],
  )
  const set: Record<string, string> = {}
  const unset: string[] = []
  for (const setting of rows) {
    const value = oddValue(setting)
    // An enum of one value, where the server was built without the others.
    if (value === null) continue
    try {
      for (const whose of [`role ${role}`, `database ${database.name}`])
        await psql.query(`alter ${whose} set ${setting.name} = '${value}'`)
      set[setting.name] = value
    } catch (error) {
      unset.push(`${setting.name}: ${(error as Error).message}`)
    }
  }
  const url = new URL(database.url)
  url.username = role
  url.password = password
  return { role, url: url.href, set, unset }
}
