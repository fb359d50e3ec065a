import type { Config } from '../../config/config.ts'
import { problemOfConnecting, problemOfKey } from '../../databases.ts'
import { openOutbox, problemOfEncoding } from '../../outbox/database/database.ts'
import { describeMigration, migrate } from '../../outbox/database/migrate.ts'

/** Migrates walhook's own tables, and nothing else. */
export async function migrateOutbox(config: Config) {
  await using outbox = openOutbox({ url: config.outboxUrl!, maxConnections: 2, onError: () => {} })
  const variable = config.outboxUrl === config.databaseUrl ? 'DATABASE_URL' : 'OUTBOX_DATABASE_URL'
  const problem = (await problemOfConnecting(variable, outbox)) ?? (await problemOfEncoding(outbox))
  if (problem) return { ok: false as const, problem }
  return describeMigration(await migrate(outbox, () => problemOfKey(outbox, config.sealKey)))
}
