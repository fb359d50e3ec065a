import type { Client } from 'pg'
import { openOutbox } from '../../src/outbox/database/database.ts'
import { migrate } from '../../src/outbox/database/migrate.ts'
import { ensurePartitions } from '../../src/outbox/days/partitions.ts'

/** The URL of another database of the same server. */
export function urlOf(server: string, database: string): string {
  const url = new URL(server)
  url.pathname = `/${database}`
  return url.href
}

/**
 * Makes a database that has the outbox's schema as it is today, if nobody has made it yet: to copy it takes a quarter of
 * the time that the migrations and the partitions of a week take. Until it is whole it has another name.
 */
export async function ensureTemplate(
  client: Client,
  { server, name, options }: { server: string; name: string; options: string },
): Promise<void> {
  const isThere = async () =>
    (await client.query('select from pg_database where datname = $1', [name])).rowCount === 1
  if (await isThere()) return
  const lock = `hashtext('${name}')`
  await client.query(`select pg_advisory_lock(${lock})`)
  if (!(await isThere())) {
    await client.query(`create database ${name}_new ${options}`)
    {
      await using outbox = openOutbox({ url: urlOf(server, `${name}_new`), maxConnections: 1, onError() {} })
      await migrate(outbox)
      await ensurePartitions(outbox, Date.now())
    }
    await client.query(`alter database ${name}_new rename to ${name}`)
  }
  await client.query(`select pg_advisory_unlock(${lock})`)
}

/** Copied as files, where the server lets one choose: what the template holds need not go through the WAL. */
export const copyOf = (template: string, is15: boolean) =>
  `template ${template} ${is15 ? 'strategy file_copy' : ''}`
