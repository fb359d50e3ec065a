import type pg from 'pg'
import type { Problem } from '../../domain/value/problem.ts'
import { connectionTo, DatabaseClient } from './connecting.ts'

const rounds = 3

/** Thrown with its cause if no session was established. */
export class NotReached extends Error {}

/**
 * Whether a pooler changes sessions between transactions, as PgBouncer does with `pool_mode` transaction or statement. Found
 * by two connections, one inside a transaction: a session that both get, or that changes, is shared. Sets nothing, since
 * other clients would get it. Throws `NotReached` if there never was a connection, and the error if it ended.
 */
export async function sharesSessions(url: string): Promise<boolean> {
  const config = await connectionTo(url, 'walhook check').catch(cause => {
    throw new NotReached('no session', { cause })
  })
  const [one, other] = [new DatabaseClient(config), new DatabaseClient(config)]
  for (const client of [one, other]) client.on('error', () => {})
  try {
    await one.connect().catch(cause => {
      throw new NotReached('no session', { cause })
    })
    const own = await backendOf(one)
    return await other.connect().then(
      () => isShared(one, other, own),
      // No second connection is available.
      () => false,
    )
  } finally {
    await Promise.all([one.end().catch(() => {}), other.end().catch(() => {})])
  }
}

async function isShared(one: pg.Client, other: pg.Client, own: number): Promise<boolean> {
  for (let round = 0; round < rounds; round++) {
    await other.query('begin')
    if ((await backendOf(other)) === own || (await backendOf(one)) !== own) return true
    await other.query('rollback')
  }
  return false
}

async function backendOf(client: pg.Client): Promise<number> {
  const { rows } = await client.query('select pg_catalog.pg_backend_pid() as pid')
  return rows[0].pid
}

/** The problem of a URL that leads to a session-sharing pooler. `variable` is its source. */
export function poolerProblem(variable: string): Problem {
  return {
    code: 'pooler',
    what: variable,
    found:
      'a pooler that gives each transaction another session (such as PgBouncer with pool_mode = transaction): LISTEN, locks and prepared statements do not work there, and session settings of walhook would reach other programs',
    mend: `set ${variable} to the address of the PostgreSQL server itself, or to a pool with pool_mode = session${variable === 'DATABASE_URL' ? ' and OUTBOX_DATABASE_URL to it; the source itself must be the server, for replication' : ''}`,
  }
}
