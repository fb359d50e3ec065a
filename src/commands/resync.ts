import { parseArgs } from 'node:util'
import { beginResync, describeResync, describeResyncs, openGapOf } from '../capture/resync.ts'
import { openSource } from '../capture/source.ts'
import { type Config, readConfig } from '../config.ts'
import { problemOfConnecting } from '../databases.ts'
import { formatLsn } from '../domain/lsn.ts'
import { openOutbox } from '../outbox/database.ts'
import { describeMigration, migrate } from '../outbox/migrate.ts'
import { type Command, report, required, say } from './command.ts'

export const resync: Command = {
  usage: `  walhook resync [--yes]              after changes were lost: say how to begin anew, or do it`,
  async run(args) {
    const { values } = parseArgs({ args, options: { yes: { type: 'boolean', default: false } } })
    const config = required(readConfig(['DATABASE_URL']))
    if (!config) return 1
    const result = await resyncSource(config, values.yes)
    if (!result.ok) return report(result.problems)
    for (const line of result.lines) say(line)
    return 0
  },
}

/** Says what a resync will do, or does it (`isSure`). */
async function resyncSource(config: Config, isSure: boolean) {
  await using source = openSource({ url: config.databaseUrl!, onError: () => {} })
  await using outbox = openOutbox({ url: config.outboxUrl!, maxConnections: 2, onError: () => {} })
  const problem =
    (await problemOfConnecting('DATABASE_URL', source.pool)) ??
    (await problemOfConnecting('OUTBOX_DATABASE_URL', outbox.pool))
  if (problem) return { ok: false as const, problems: [problem] }
  const migrated = describeMigration(await migrate(outbox))
  if (!migrated.ok) return { ok: false as const, problems: [migrated.problem] }
  const onWaiting = (forWhat: string) => say(`Waits for ${forWhat}.`)
  const options = { ...config, onWaiting }
  const gap = await openGapOf(outbox, config.slotName)
  if (!gap) return { ok: true as const, lines: ['Nothing is lost: there is no gap to mend.'] }
  if (gap.toLsn !== null)
    return { ok: true as const, lines: await describeResyncs(outbox, gap, config.slotName) }
  if (!isSure) return { ok: true as const, lines: await describeResync(source, gap, options) }
  const result = await beginResync(source, outbox, gap, options)
  if (!result.ok) return result
  return {
    ok: true as const,
    lines: [
      `Everything from ${formatLsn(result.fromLsn)} on is captured. The walhook that captures ("walhook serve", running or started next) tells what was lost, page by page. How far it is: walhook resync`,
    ],
  }
}
