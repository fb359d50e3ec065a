import { type Config, readConfig } from '../config.ts'
import { problemOfConnecting } from '../databases.ts'
import { openOutbox, problemOfEncoding } from '../outbox/database/database.ts'
import { describeMigration, migrate as migrateSchema } from '../outbox/database/migrate.ts'
import { type Command, parseOnce, report, required, say } from './kit/command.ts'

export const migrate: Command = {
  usage: `  walhook migrate                     migrate walhook's own tables to this version`,
  async run(args) {
    parseOnce({ args })
    const config = required(readConfig(['OUTBOX_DATABASE_URL']))
    if (!config) return 1
    const migrated = await migrateOutbox(config)
    if (!migrated.ok) return report([migrated.problem])
    say(migrated.applied.length > 0 ? `applied ${migrated.applied.join(', ')}` : 'up to date')
    return 0
  },
}

/** Migrates walhook's own tables, and nothing else. */
export async function migrateOutbox(config: Config) {
  await using outbox = openOutbox({ url: config.outboxUrl!, maxConnections: 2, onError: () => {} })
  const variable = config.outboxUrl === config.databaseUrl ? 'DATABASE_URL' : 'OUTBOX_DATABASE_URL'
  const problem = (await problemOfConnecting(variable, outbox)) ?? (await problemOfEncoding(outbox))
  return problem ? { ok: false as const, problem } : describeMigration(await migrateSchema(outbox))
}
