import { readConfig } from '../config/config.ts'
import { type Command, parseOnce, printLine, report, required } from './kit/command.ts'
import { migrateOutbox } from './kit/migrate-outbox.ts'

export const migrate: Command = {
  usage: `  walhook migrate                     migrate walhook's own tables to this version`,
  async run(args) {
    parseOnce({ args })
    const config = required(readConfig(['OUTBOX_DATABASE_URL']))
    if (!config) return 1
    const migrated = await migrateOutbox(config)
    if (!migrated.ok) return report([migrated.problem])
    printLine(migrated.applied.length > 0 ? `applied ${migrated.applied.join(', ')}` : 'up to date')
    return 0
  },
}
