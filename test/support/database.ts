import { Client } from 'pg'
import { expect, inject } from 'vitest'
import { databaseName, templateName } from './database-name.ts'
import { made } from './made-databases.ts'
import { dropSlotsOf } from './slot.ts'
import { copyOf, ensureTemplate, urlOf } from './template.ts'

export type TestDatabase = AsyncDisposable & {
  readonly url: string
  readonly name: string
  /** Drops it at once, whatever became of the tests. */
  drop(): Promise<void>
}

const serverStatement = `
select current_setting('server_version_num')::int >= 150000 as is_15,
       exists (select from pg_collation where collprovider = 'i') as has_icu`

/** How a database is made: empty, or with the outbox's schema as it is today, of which a run keeps a template. */
type Kind = { encoding?: 'UTF8' | 'SQL_ASCII' | 'WIN1252'; hasOutbox?: boolean }

/**
 * Makes a new database in the server of this run, empty unless it is to have the outbox's schema; callable in `beforeAll`
 * and in a test. Where the server can, text is sorted in it as English is and not by its bytes: what forgets that users'
 * databases do so fails here too. It is dropped, with its replication slots and whoever is still connected, when all tests
 * of the file have passed; after a failure it stays, and the end of the run tells its name. The file's name must end in
 * `.pg.test.ts` or `.browser.test.ts`: these are the files for which a server is started.
 */
export async function createTestDatabase({
  encoding = 'UTF8',
  hasOutbox = false,
}: Kind = {}): Promise<TestDatabase> {
  const server = inject('postgres')
  const file = expect.getState().testPath ?? 'unknown'
  if (server === null) {
    throw new Error(`No Postgres was started for ${file}: name a test that needs one *.pg.test.ts`)
  }
  const name = databaseName(server.runId, file)
  await withServer(server.url, async client => {
    const { is_15, has_icu } = (await client.query(serverStatement)).rows[0]
    const icu = is_15 && has_icu ? `locale_provider icu icu_locale 'en-US' locale 'C'` : ''
    const locale = encoding === 'UTF8' ? icu : `locale 'C'`
    const empty = `template template0 encoding '${encoding}' ${locale}`
    const template = templateName(server.runId)
    if (hasOutbox) await ensureTemplate(client, { server: server.url, name: template, options: empty })
    await client.query(`create database ${name} ${hasOutbox ? copyOf(template, is_15) : empty}`)
  })
  const drop = async () => {
    if (!made.delete(database)) return
    await withServer(server.url, async client => {
      await dropSlotsOf(client, name)
      await client.query(`drop database ${name} with (force)`)
    })
  }
  // A slot that nobody reads would hold back the server's WAL for ever.
  const keep = () => withServer(server.url, client => dropSlotsOf(client, name))
  const database = { url: urlOf(server.url, name), name, drop, keep, [Symbol.asyncDispose]: drop }
  made.add(database)
  return database
}

async function withServer<T>(url: string, use: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    return await use(client)
  } finally {
    await client.end()
  }
}
