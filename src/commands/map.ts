import { readDraft } from '../capture/check/read-draft.ts'
import { setupSql } from '../capture/check/setup-sql.ts'
import { preflight } from '../capture/source/preflight.ts'
import { openSource, type Source } from '../capture/source/source.ts'
import { SourceLocked } from '../capture/source/source-locks.ts'
import { readConfig } from '../config/config.ts'
import { problemOfConnecting } from '../databases.ts'
import { mappingText } from '../domain/mapping/mapping-text.ts'
import type { Problem } from '../domain/value/problem.ts'
import { ConnectionRefused } from '../outbox/database/session-settings.ts'
import { type Command, parseOnce, report, required } from './kit/command.ts'

/** As for warnings of `walhook check`: the file is written, and a person must finish it. */
const unfinished = 3

export const map: Command = {
  usage: `  walhook map                         write a first mapping file to stdout, guessed from the catalogue
                                      (exit status 0: done, 3: no table looks like users or companies)`,
  async run(args) {
    parseOnce({ args })
    const config = required(readConfig(['DATABASE_URL'], undefined, { without: 'mapping' }))
    if (!config) return 1
    return await withSource(config.databaseUrl!, async source => {
      const { draft, notes } = await readDraft(source)
      const { rows } = await source.pool.query('select current_database() as name')
      process.stdout.write(mappingText(draft, { database: rows[0].name, notes }))
      if (draft.entities.length > 0) return 0
      report([noEntity])
      return unfinished
    })
  },
}

const noEntity: Problem = {
  code: 'no_entity',
  what: 'the first mapping',
  found: 'no table with a primary or unique key has a name like users or companies',
  mend: 'name your tables under entities in the written file',
}

/** Prints the SQL that the tables' owner or a superuser must run for the mapping. */
export async function printSql(): Promise<number> {
  const config = required(readConfig(['DATABASE_URL']))
  if (!config) return 1
  return await withSource(config.databaseUrl!, async source => {
    const { facts, catalogue } = await preflight(source, config)
    const { rows } = await source.pool.query(`select to_regnamespace('walhook') is null as is_missing`)
    const needsSchema = config.outboxUrl === config.databaseUrl && rows[0].is_missing === 't'
    process.stdout.write(setupSql(facts, catalogue, { ...config, needsSchema }))
    return 0
  })
}

async function withSource(url: string, work: (source: Source) => Promise<number>): Promise<number> {
  await using source = openSource({ url, onError: () => {} })
  const problem = await problemOfConnecting('DATABASE_URL', source)
  if (problem) return report([problem])
  try {
    return await work(source)
  } catch (error) {
    if (error instanceof SourceLocked || error instanceof ConnectionRefused) return report([error.problem])
    throw error
  }
}
