import pg from 'pg'
import type { Problem } from '../../domain/value/problem.ts'
import { connectionTo } from './connecting.ts'

const rounds = 3

/** Thrown with its cause where no session came to be. */
export class NotReached extends Error {}

/**
 * Whether a pooler gives each transaction another session, as PgBouncer does with `pool_mode` transaction or statement.
 * Found by two connections, of which one is in a transaction: a session that both get, or that is exchanged under the
 * other one, belongs to neither. Nothing is set: in such a session it would reach others. Throws `NotReached` where the
 * first connection never was, and what ended it where it was.
 */
export async function sharesSessions(url: string): Promise<boolean> {
  const config = await connectionTo(url, 'walhook check').catch(cause => {
    throw new NotReached('no session', { cause })
  })
  const [one, other] = [new pg.Client(config), new pg.Client(config)]
  for (const client of [one, other]) client.on('error', () => {})
  try {
    await one.connect().catch(cause => {
      throw new NotReached('no session', { cause })
    })
    const own = await backendOf(one)
    return await other.connect().then(
      () => isShared(one, other, own),
      // There is no place for a second one.
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

/** What is wrong with a URL that leads to a pooler which shares sessions. `variable` is where it comes from. */
export function poolerProblem(variable: string): Problem {
  return {
    code: 'pooler',
    what: variable,
    found:
      'leads to a pooler that gives each transaction another session (as PgBouncer with pool_mode = transaction): LISTEN, locks and prepared statements would not hold, and what walhook sets for itself would reach other programs',
    mend: `set ${variable} to the address of the PostgreSQL server itself, or to a pool with pool_mode = session${variable === 'DATABASE_URL' ? ' and OUTBOX_DATABASE_URL to it; the source itself must be the server, for replication' : ''}`,
  }
}
