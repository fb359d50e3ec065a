import pg from 'pg'
import { connectionConfig, setUpSession } from '../outbox/session-settings.ts'

/** The source database. Values come as the text that Postgres writes, whatever their type. */
export type Source = {
  readonly pool: pg.Pool
  readonly url: string
  [Symbol.asyncDispose](): Promise<void>
}

/** A pool, or one connection of it inside a transaction. */
export type Queryable = Pick<pg.Pool, 'query'>

const asText = { getTypeParser: () => (text: string) => text } as unknown as pg.CustomTypesConfig

/** Opens a pool of at most four connections, each made when first needed. */
export function openSource(options: { url: string; onError: (error: Error) => void }): Source {
  const pool = new pg.Pool({
    ...connectionConfig(options.url, 'walhook source'),
    max: 4,
    idleTimeoutMillis: 60_000,
    types: asText,
    onConnect: setUpSession,
  } as pg.PoolConfig)
  pool.on('error', options.onError)
  // A connection that is lost while it is lent would otherwise end the process.
  pool.on('connect', client => client.on('error', options.onError))
  return { pool, url: options.url, [Symbol.asyncDispose]: () => pool.end() }
}
