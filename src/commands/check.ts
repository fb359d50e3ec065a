import { parseArgs } from 'node:util'
import { checkLines } from '../capture/check.ts'
import { knownColumns, withKnown } from '../capture/columns.ts'
import { preflight } from '../capture/preflight.ts'
import { sampleLines } from '../capture/sample-columns.ts'
import { openSource } from '../capture/source.ts'
import { type Config, readConfig } from '../config.ts'
import { problemOfConnecting } from '../databases.ts'
import { type CheckLine, failure, ok, worstLevel } from '../domain/check-line.ts'
import { openOutbox, problemOfEncoding } from '../outbox/database.ts'
import { type Command, required, say } from './command.ts'

/** What it ends with, by the worst that it has found. */
const statusOf = { ok: 0, warning: 3, error: 1 }

export const check: Command = {
  usage: `  walhook check [--json]              look at the source: what is in the way of capturing it, and how to mend it
                                      (ends with 0 if all is well, 3 with warnings, 1 with errors)`,
  async run(args) {
    const { values } = parseArgs({ args, options: { json: { type: 'boolean', default: false } } })
    const config = required(readConfig(['DATABASE_URL']))
    if (!config) return 1
    const { lines, worst } = await checkSource(config)
    if (values.json) say(JSON.stringify(lines, null, 2))
    else
      for (const { level, what, found, mend } of lines)
        say(`${level.padEnd(7)}  ${what}: ${found}${mend === null ? '' : `. To mend it: ${mend}`}`)
    return statusOf[worst]
  },
}

/** Looks at everything that decides whether a source can be captured; nothing is created or changed. */
async function checkSource(
  config: Config,
): Promise<{ lines: readonly CheckLine[]; worst: CheckLine['level'] }> {
  await using source = openSource({ url: config.databaseUrl!, onError: () => {} })
  const unreachable = await problemOfConnecting('DATABASE_URL', source.pool)
  if (unreachable) return { lines: [failure(unreachable)], worst: 'error' }
  const { facts, catalogue } = await preflight(source, config)
  const known = await columnsKnown(config)
  const mapping = withKnown(config.mapping, known)
  const lines = [
    ...checkLines(facts, catalogue, { ...config, mapping, known, nowMs: Date.now() }),
    ...(await sampleLines(source, catalogue, mapping)),
    ...(await outboxLines(config)),
  ]
  return { lines, worst: worstLevel(lines) }
}

/** What is in the way of walhook's own tables. */
async function outboxLines(config: Config): Promise<CheckLine[]> {
  await using outbox = openOutbox({ url: config.outboxUrl!, maxConnections: 1, onError: () => {} })
  const problem =
    (await problemOfConnecting('OUTBOX_DATABASE_URL', outbox.pool)) ?? (await problemOfEncoding(outbox))
  return [
    problem
      ? failure(problem)
      : ok('outbox_encoding', "walhook's own tables", 'in a database with the encoding UTF8'),
  ]
}

/** The columns that walhook has seen before; none where its own tables can't be read, as before the first start. */
async function columnsKnown(config: Config): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  await using outbox = openOutbox({ url: config.outboxUrl!, maxConnections: 1, onError: () => {} })
  return await knownColumns(outbox, config).catch(() => new Map())
}
