import type pg from 'pg'
import type { Problem } from '../../domain/value/problem.ts'
import { connectionTo, DatabaseClient } from '../../outbox/database/connecting.ts'
import { describeError } from '../../runtime/log.ts'

/** The result of trying a replication connection. */
export type ReplicationTrial =
  | { readonly ok: true; readonly systemIdentifier: string }
  | { readonly ok: false; readonly problem: Problem }

const syntaxError = '42601'
const protocolViolation = '08P01'
const featureNotSupported = '0A000'
const insufficientPrivilege = '42501'
const invalidAuthorization = '28000'
const tooManyConnections = '53300'

/**
 * Opens a replication connection as capture will: only this shows whether pg_hba.conf, role, pooler and proxy permit it.
 * https://www.postgresql.org/docs/current/protocol-replication.html
 */
export async function tryReplication(url: string): Promise<ReplicationTrial> {
  const config = { ...(await connectionTo(url, 'walhook check')), replication: 'database' }
  const client = new DatabaseClient(config as pg.ClientConfig)
  client.on('error', () => {})
  try {
    await client.connect()
    const { rows } = await client.query('IDENTIFY_SYSTEM')
    return { ok: true, systemIdentifier: String(rows[0].systemid) }
  } catch (error) {
    return { ok: false, problem: problemOf(error, client) }
  } finally {
    await client.end().catch(() => {})
  }
}

function problemOf(error: unknown, { user, database }: pg.Client): Problem {
  const what = 'replication connection'
  const code = (error as { code?: string }).code
  const reason = describeError(error)
  const refused = `refused: ${reason}`
  switch (code) {
    case protocolViolation:
    case featureNotSupported:
      return {
        code: 'replication_pooler',
        what,
        found: `refused by a pooler or proxy: ${reason}`,
        mend: toServer,
      }
    case syntaxError:
      return {
        code: 'replication_pooler',
        what,
        found: 'a pooler or proxy answers, and opened an ordinary connection instead',
        mend: toServer,
      }
    case insufficientPrivilege:
      return {
        code: 'replication_role',
        what,
        found: refused,
        mend: 'see the line about the role',
      }
    case invalidAuthorization:
      return {
        code: 'replication_hba',
        what,
        found: refused,
        mend: `add a line to pg_hba.conf before any that rejects it, and run: select pg_reload_conf();  The line: host ${database} ${user} samenet scram-sha-256  (instead of samenet, the address of walhook)`,
      }
    case tooManyConnections:
      return {
        code: 'replication_full',
        what,
        found: refused,
        mend: 'end an unneeded reader (select * from pg_stat_replication), or raise max_wal_senders and restart PostgreSQL',
      }
    default:
      return { code: 'replication_refused', what, found: refused, mend: toServer }
  }
}

const toServer =
  'set DATABASE_URL to the address of the PostgreSQL server itself, not of a pooler or proxy (OUTBOX_DATABASE_URL may use one in session mode)'
