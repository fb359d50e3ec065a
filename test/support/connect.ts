import { Client } from 'pg'

/** A connection that ends with the block it was opened in: `await using psql = await connect(database.url)`. */
export async function connect(url: string): Promise<Client & AsyncDisposable> {
  const client = new Client({ connectionString: url })
  // When a failed test drops its database, the loss of this connection is not another failure.
  client.on('error', () => {})
  await client.connect()
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() })
}
