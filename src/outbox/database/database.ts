import pg from 'pg'
import type { SlowStatement } from '../../domain/capture/backend.ts'
import type { Problem } from '../../domain/value/problem.ts'
import { mainSchema } from '../schema/in-schema.ts'
import { noteTimeline } from './session-settings.ts'
import { type Watch, watchedPool } from './watched-client.ts'

/** A connection pool to walhook's own tables. */
export type Outbox = {
  readonly pool: pg.Pool
  readonly url: string
  /** The schema of its tables: `walhook`, or a cell's. */
  readonly schema: string
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
 * Makes a connection plan every statement once, by index and row by row: that plan suits one row, two hundred, and an empty
 * or huge queue. By default, Postgres plans short settlements each time, which costs several times their execution, or keeps
 * a plan that reads the whole queue, made while it was empty, until the next autovacuum.
 * https://www.postgresql.org/docs/current/runtime-config-query.html
 */
const byIndex = ['seqscan', 'sort', 'hashjoin', 'mergejoin'].map(way => `enable_${way} = off`)
const planByIndex = ['plan_cache_mode = force_generic_plan', ...byIndex]
  .map(setting => `set session ${setting}`)
  .join('; ')

/**
 * Opens a pool of at most `maxConnections` connections, each on demand. `onError` gets lost connections, which the pool
 * replaces; `onSlow` slow statements. `plans: 'by index'` is for claims and settlements, which look rows up by key.
 * Statements name the schema `walhook`; with another `schema` they are written for that one.
 */
export function openOutbox(options: {
  url: string
  schema?: string
  maxConnections: number
  onError: (error: Error) => void
  onSlow?: (slow: SlowStatement) => void
  /** Shared by pools of the same database: a dead connection of one makes all check theirs. */
  watch?: Watch
  plans?: 'as Postgres likes' | 'by index'
  /** Checks each new connection, and refuses it by throwing. */
  onSession?: (client: pg.ClientBase) => Promise<void>
}): Outbox {
  const watched = watchedPool('walhook', options)
  const pool = new pg.Pool({
    ...watched,
    max: options.maxConnections,
    types: { getTypeParser } as pg.CustomTypesConfig,
    // Statements that are not awaited one by one are pipelined.
    pipeline: true,
    async onConnect(client: pg.ClientBase) {
      await watched.onConnect!(client)
      await noteTimeline(client)
      await options.onSession?.(client)
      if (options.plans === 'by index') await client.query(planByIndex)
    },
  } as pg.PoolConfig)
  pool.on('error', options.onError)
  // The pool only watches idle connections: a loss during use would end the process. The user gets the error of its next
  // statement.
  pool.on('connect', client => client.on('error', options.onError))
  return {
    pool,
    url: options.url,
    schema: options.schema ?? mainSchema,
    async [Symbol.asyncDispose]() {
      if (!pool.ending) await pool.end()
    },
  }
}

/**
 * By index for the rest of a transaction, with plans for the actual values: for a table on another node, not every statement has
 * a generic plan.
 */
export async function planTransactionByIndex(client: pg.PoolClient): Promise<void> {
  await client.query(byIndex.map(setting => `set local ${setting}`).join('; '))
}

/**
 * Runs `work` in one READ COMMITTED transaction; rolls back and rethrows. Statements that are not awaited one by one are sent
 * together and run in order.
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
    // Not returned to the pool: its state may be unknown, or its prepared statements outdated by a migration.
    // https://www.postgresql.org/docs/current/sql-prepare.html
    client.release(true)
    throw error
  }
}

/** Runs statements on one connection, outside of a transaction. */
export async function onConnection<T>(
  pool: pg.Pool,
  work: (client: pg.PoolClient) => Promise<T>,
): Promise<T> {
  const client = await pool.connect()
  try {
    const result = await work(client)
    client.release()
    return result
  } catch (error) {
    client.release(true)
    throw error
  }
}

const deadlock = '40P01'
const maxDeadlocks = 5

/** Whether Postgres chose this transaction as the victim of a deadlock. */
export const isDeadlock = (error: unknown) => (error as { code?: string } | null)?.code === deadlock

/**
 * The same for `work` without other effects than the database's: as the victim of a deadlock it runs again, up to five times.
 * Two transactions may lock rows of many entities in opposite orders.
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
      if (!isDeadlock(error) || victim > maxDeadlocks) throw error
    }
  }
}

/** Why the database's encoding does not suit walhook's tables, or null. */
export async function problemOfEncoding(outbox: Pick<Outbox, 'pool'>): Promise<Problem | null> {
  const { rows } = await outbox.pool.query(
    `select current_setting('server_encoding') as encoding, quote_ident(left(current_database(), 58) || '_utf8') as name`,
  )
  const { encoding, name } = rows[0]
  if (encoding === 'UTF8') return null
  return {
    code: 'outbox_encoding',
    what: 'OUTBOX_DATABASE_URL',
    found: `a database with the encoding ${encoding}, which cannot store every event and response`,
    mend: `use a database with UTF8: create database ${name} encoding 'UTF8' lc_collate 'C' lc_ctype 'C' template template0;`,
  }
}
