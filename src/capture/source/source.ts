import pg from 'pg'
import type { SlowStatement } from '../../domain/capture/backend.ts'
import { type Watch, watchedPool } from '../../outbox/database/watched-client.ts'

/** The source database. Values come as the text that Postgres writes, whatever their type. */
export type Source = {
  readonly pool: pg.Pool
  readonly url: string
  [Symbol.asyncDispose](): Promise<void>
}

/** A pool, or one connection of it inside a transaction. */
export type Queryable = Pick<pg.Pool, 'query'>

const asText = { getTypeParser: () => (text: string) => text } as unknown as pg.CustomTypesConfig

/**
 * Opens a pool of at most `maxConnections` connections (4 where nothing is said), each made when first needed. `onError`
 * hears of those that were lost, `onSlow` of statements that take long.
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
  // A connection that is lost while it is lent would otherwise end the process.
  pool.on('connect', client => client.on('error', options.onError))
  return { pool, url: options.url, [Symbol.asyncDispose]: () => pool.end() }
}
