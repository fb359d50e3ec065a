import pg from 'pg'
import type { SlowStatement } from '../../domain/capture/backend.ts'
import { type Watch, watchedPool } from '../../outbox/database/watched-client.ts'

/** The source database. All values are Postgres' texts. */
export type Source = {
  readonly pool: pg.Pool
  readonly url: string
  [Symbol.asyncDispose](): Promise<void>
}

/** A pool, or one connection of it inside a transaction. */
export type Queryable = Pick<pg.Pool, 'query'>

const asText = { getTypeParser: () => (text: string) => text } as unknown as pg.CustomTypesConfig

/**
 * Opens a pool of at most `maxConnections` connections (default 4), each on demand. `onError` gets lost connections, `onSlow`
 * slow statements.
 */
export function openSource(options: {
  url: string
  maxConnections?: number
  onError: (error: Error) => void
  onSlow?: (slow: SlowStatement) => void
  watch?: Watch
}): Source {
  const pool = new pg.Pool({
    ...watchedPool('walhook source', options),
    max: options.maxConnections ?? 4,
    types: asText,
  })
  pool.on('error', options.onError)
  // Otherwise, losing a connection in use would end the process.
  pool.on('connect', client => client.on('error', options.onError))
  return { pool, url: options.url, [Symbol.asyncDispose]: () => pool.end() }
}
