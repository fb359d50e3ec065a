import pg from 'pg'

/** The source database. Values come as the text that Postgres writes, whatever their type. */
export type Source = {
  readonly pool: pg.Pool
  readonly url: string
  [Symbol.asyncDispose](): Promise<void>
}

/** A pool, or one connection of it inside a transaction. */
export type Queryable = Pick<pg.Pool, 'query'>

/**
 * How every connection to the source is made, also the replication connection: one and the same way of writing
 * values, whatever the server's, the database's or the role's own settings are.
 */
export function connectionOptions(url: string): pg.ClientConfig {
  return {
    connectionString: url,
    connectionTimeoutMillis: 10_000,
    options:
      '-c timezone=UTC -c datestyle=ISO -c intervalstyle=postgres -c extra_float_digits=1 -c bytea_output=hex -c client_encoding=UTF8',
  }
}

const asText = { getTypeParser: () => (text: string) => text } as unknown as pg.CustomTypesConfig

/** Opens a pool of at most four connections, each made when first needed. */
export function openSource(options: { url: string; onError: (error: Error) => void }): Source {
  const pool = new pg.Pool({
    ...connectionOptions(options.url),
    application_name: 'walhook source',
    max: 4,
    idleTimeoutMillis: 60_000,
    types: asText,
  })
  pool.on('error', options.onError)
  // A connection that is lost while it is lent would otherwise end the process.
  pool.on('connect', client => client.on('error', options.onError))
  return { pool, url: options.url, [Symbol.asyncDispose]: () => pool.end() }
}
