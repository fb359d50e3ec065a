import pg from 'pg'
import type { SlowStatement } from '../../domain/capture/backend.ts'
import type { Problem } from '../../domain/value/problem.ts'
import { type Watch, watchedPool } from './watched-client.ts'

/** A connection pool to walhook's own tables. */
export type Outbox = {
  readonly pool: pg.Pool
  readonly url: string
  [Symbol.asyncDispose](): Promise<void>
}

const int8Oid = 20
const int8ArrayOid = 1016

/** bigint for int8, also in arrays, where node-postgres gives text. */
function getTypeParser(oid: number, format?: 'text' | 'binary') {
  if (oid === int8Oid) return (text: string) => BigInt(text)
  if (oid === int8ArrayOid)
    return (text: string) => (text === '{}' ? [] : text.slice(1, -1).split(',').map(BigInt))
  return pg.types.getTypeParser(oid, format as 'text')
}

/**
 * Has every statement of a connection planned once, by an index and row by row: the plan for one row is the right one for
 * two hundred, and the plan for an empty queue for a million. Left to itself, Postgres plans each short settlement anew,
 * which costs several times what running it does; or it keeps a plan that reads all of a queue which was empty when the plan
 * was made, until autovacuum has looked at it again, a minute in which next to nothing is delivered.
 * https://www.postgresql.org/docs/current/runtime-config-query.html
 */
const planByIndex = (scope: 'session' | 'local') =>
  [
    'plan_cache_mode = force_generic_plan',
    ...['seqscan', 'sort', 'hashjoin', 'mergejoin'].map(way => `enable_${way} = off`),
  ]
    .map(setting => `set ${scope} ${setting}`)
    .join('; ')

/**
 * Opens a pool of at most `maxConnections` connections; each is made when first needed. `onError` hears of
 * connections that were lost: the pool replaces them; `onSlow` of statements that take long. With `plans: 'by index'` it is
 * for claims and settlements, whose every look at a table is for rows that it knows the keys of.
 */
export function openOutbox(options: {
  url: string
  maxConnections: number
  onError: (error: Error) => void
  onSlow?: (slow: SlowStatement) => void
  /** Shared with other pools to the same database: where a connection of one is dead, all are tried. */
  watch?: Watch
  plans?: 'as Postgres likes' | 'by index'
  /** Looks at each new connection; it is refused where this throws. */
  onSession?: (client: pg.ClientBase) => Promise<void>
}): Outbox {
  const watched = watchedPool('walhook', options)
  const pool = new pg.Pool({
    ...watched,
    max: options.maxConnections,
    types: { getTypeParser } as pg.CustomTypesConfig,
    // Statements that are not awaited one by one travel together.
    pipeline: true,
    async onConnect(client: pg.ClientBase) {
      await watched.onConnect!(client)
      await options.onSession?.(client)
      if (options.plans === 'by index') await client.query(planByIndex('session'))
    },
  } as pg.PoolConfig)
  pool.on('error', options.onError)
  // The pool listens to idle connections only: one that is lost while it is lent would end the process. Whoever
  // has it hears of the loss from its next statement.
  pool.on('connect', client => client.on('error', options.onError))
  return {
    pool,
    url: options.url,
    async [Symbol.asyncDispose]() {
      if (!pool.ending) await pool.end()
    },
  }
}

/** The same for the rest of a transaction. */
export async function planTransactionByIndex(client: pg.ClientBase): Promise<void> {
  await client.query(planByIndex('local'))
}

/**
 * Runs `work` in one READ COMMITTED transaction; rolls back and throws on what it throws. Statements that `work` does
 * not await one by one are sent together, and run in their order.
 */
export async function transaction<T>(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect()
  try {
    const [, result] = await Promise.all([client.query('begin'), work(client)])
    await client.query('commit')
    client.release()
    return result
  } catch (error) {
    await client.query('rollback').catch(() => {})
    // It is not given back to the pool: it may be in an unknown state, or have prepared statements that a migration has made
    // useless. https://www.postgresql.org/docs/current/sql-prepare.html
    client.release(true)
    throw error
  }
}

const deadlock = '40P01'
const mostDeadlocks = 5

/** The error is Postgres' choice of this transaction as the victim of a deadlock. */
export const isDeadlock = (error: unknown) => (error as { code?: string } | null)?.code === deadlock

/**
 * The same, for `work` that changes nothing but the database: where Postgres chooses it as the victim of a deadlock, it runs again, up
 * to five times. Two transactions that lock rows of many entities may meet in opposite orders.
 * https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-DEADLOCKS
 */
export async function repeatableTransaction<T>(
  pool: pg.Pool,
  work: (client: pg.PoolClient) => Promise<T>,
): Promise<T> {
  for (let victim = 1; ; victim++) {
    try {
      return await transaction(pool, work)
    } catch (error) {
      if (!isDeadlock(error) || victim > mostDeadlocks) throw error
    }
  }
}

/** What is wrong with the database as a place for walhook's tables, or null. */
export async function problemOfEncoding(outbox: Pick<Outbox, 'pool'>): Promise<Problem | null> {
  const { rows } = await outbox.pool.query(
    `select current_setting('server_encoding') as encoding, quote_ident(left(current_database(), 58) || '_utf8') as name`,
  )
  const { encoding, name } = rows[0]
  if (encoding === 'UTF8') return null
  return {
    code: 'outbox_encoding',
    what: 'OUTBOX_DATABASE_URL',
    found: `a database with the encoding ${encoding}, which can't hold every event and every answer of a receiver`,
    mend: `make one that can, and name it: create database ${name} encoding 'UTF8' lc_collate 'C' lc_ctype 'C' template template0;`,
  }
}
