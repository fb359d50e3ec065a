import { checkLines } from '../capture/check/check.ts'
import { gapLines } from '../capture/check/check-gaps.ts'
import { tlsLine } from '../capture/check/check-tls.ts'
import { sampleLines } from '../capture/check/sample-columns.ts'
import { knownColumns, withKnown } from '../capture/source/columns.ts'
import { preflightAndTry } from '../capture/source/preflight.ts'
import { openSource, type Source } from '../capture/source/source.ts'
import { readLockHolders, SourceLocked } from '../capture/source/source-locks.ts'
import { type Config, readConfig } from '../config/config.ts'
import { problemOfConnecting } from '../databases.ts'
import { type CheckLine, failure, warning, worstLevel } from '../domain/capture/check-line.ts'
import type { ProblemCode } from '../domain/value/problem-codes.ts'
import { citusLines } from '../outbox/cells/citus.ts'
import { readHosts } from '../outbox/database/connecting.ts'
import { type Outbox, openOutbox } from '../outbox/database/database.ts'
import { outboxLines } from '../outbox/database/inspect.ts'
import { ConnectionRefused } from '../outbox/database/session-settings.ts'
import { knownColumns as columnsOfSource } from '../outbox/source/source-columns.ts'
import { describeError } from '../runtime/log.ts'
import { type Command, parseOnce, printLine, report, UsageError } from './kit/command.ts'
import { useLines } from './kit/use-lines.ts'
import { map, printSql } from './map.ts'

/** The exit status, by the worst line. */
const statusOf = { ok: 0, warning: 3, error: 1 }

/** The limit for a lock on walhook's own tables, which a migration may hold, and for an answer. */
const limits = `set lock_timeout = '5s'; set statement_timeout = '30s'`

const flag = { type: 'boolean', default: false } as const

export const check: Command = {
  usage: `  walhook check [--json|--sql|--map]  check whether walhook can capture the source, and say how to fix problems
                                      (exit status 0: fine, 3: warnings, 1: errors)
                                      --sql prints the missing grants, replica identities and publication as SQL
                                      --map does the same as walhook map`,
  async run(args, signal) {
    const options = { json: flag, sql: flag, map: flag }
    const { values } = parseOnce({ args, options })
    const chosen = Object.entries(values).flatMap(([name, isOn]) => (isOn ? [`--${name}`] : []))
    if (chosen.length > 1) throw new UsageError(`${chosen.join(' and ')} exclude each other: choose one`)
    if (values.map) return await map.run([], signal)
    if (values.sql) return await printSql()
    const read = readConfig(['DATABASE_URL'])
    if (!read.ok) return report([...read.warnings, ...read.problems])
    const ofVariables = read.warnings.map(({ code, what, found, mend }) => warning(code, what, found, mend))
    const lines = [...ofVariables, ...(await checkSource(read.config))]
    if (values.json) printLine(JSON.stringify(lines, null, 2))
    else
      for (const { level, what, found, mend } of lines)
        printLine(`${level.padEnd(7)}  ${what}: ${found}${mend === null ? '' : `. Fix: ${mend}`}`)
    return statusOf[worstLevel(lines)]
  },
}

/** Checks everything that walhook needs to run; nothing created for trials remains. */
async function checkSource(config: Config): Promise<CheckLine[]> {
  await using source = openSource({ url: config.databaseUrl!, onError: () => {} })
  await using outbox = openOutbox({
    url: config.outboxUrl!,
    maxConnections: 1,
    onError: () => {},
    onSession: async client => void (await client.query(limits)),
  })
  const isOne = config.outboxUrl === config.databaseUrl
  const [ofSource, ofOutbox] = await Promise.all([
    problemOfConnecting('DATABASE_URL', source),
    isOne ? null : problemOfConnecting('OUTBOX_DATABASE_URL', outbox),
  ])
  const known = (ofSource ?? ofOutbox) ? new Map() : await columnsKnown(config, outbox)
  const isOutboxThere = !ofOutbox && !(isOne && ofSource)
  return [
    ...(ofSource ? [] : await tlsLines('DATABASE_URL', source)),
    ...(isOne || ofOutbox ? [] : await tlsLines('OUTBOX_DATABASE_URL', outbox)),
    ...(ofSource
      ? [failure(ofSource)]
      : await linesOfSource(source, ofOutbox ? null : outbox, config, known)),
    ...(ofOutbox ? [failure(ofOutbox)] : isOutboxThere ? await outboxLines(outbox) : []),
    ...(config.placing === 'citus' && isOutboxThere ? await citusLines(outbox) : []),
    ...(isOutboxThere ? await useLines(outbox, config).catch(useUnread) : []),
  ]
}

async function tlsLines(
  variable: string,
  { url, pool }: { readonly url: string; readonly pool: Source['pool'] },
): Promise<CheckLine[]> {
  const { rows } = await pool.query(`select current_setting('ssl') as ssl`)
  const line = tlsLine(variable, readHosts(url), rows[0].ssl === 'on')
  return line ? [line] : []
}

type Known = Awaited<ReturnType<typeof knownColumns>>

/** `outbox` is null if it can't be used: a setting in a pooled session would reach other clients. */
async function linesOfSource(
  source: Source,
  outbox: Outbox | null,
  config: Config,
  known: Known,
): Promise<CheckLine[]> {
  try {
    const columnsBefore = outbox ? await columnsOfSource(outbox, config.slotName).catch(() => []) : []
    const found = await preflightAndTry(source, { ...config, known: columnsBefore })
    const { facts, catalogue, trial, living } = found
    const mapping = withKnown(living.mapping, known)
    const oids = [...catalogue.tables.values()].map(({ oid }) => oid)
    const lockHolders = await readLockHolders(source.pool, oids)
    return [
      ...checkLines(facts, catalogue, {
        ...{ ...config, ...living, mapping, known, trial, lockHolders },
        nowMs: Date.now(),
      }),
      ...(outbox ? await gapLines(source, outbox, facts, config).catch(gapsUnread) : []),
      ...(await sampleLines(source, catalogue, mapping)),
    ]
  } catch (error) {
    if (error instanceof SourceLocked || error instanceof ConnectionRefused) return [failure(error.problem)]
    throw error
  }
}

/**
 * Schema, table or column missing: no outbox yet, or another version.
 * https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
const notThereYet = ['3F000', '42P01', '42703']

/** Reports that something is unknown, unless there is no outbox yet. */
const unread = (code: ProblemCode, what: string) => (error: unknown) => {
  if (notThereYet.includes((error as { code?: string }).code ?? '')) return []
  const found = `unknown: the outbox did not answer: ${describeError(error)}`
  return [warning(code, what, found, 'fix the reason, then run: walhook check')]
}
const gapsUnread = unread('gaps_unread', 'lost changes')
const useUnread = unread('recipients', 'recipients of alerts')

/** The columns known to walhook; none if its own tables can't be read, as before the first start. */
async function columnsKnown(config: Config, outbox: Outbox): Promise<Known> {
  return await knownColumns(outbox, config).catch(() => new Map())
}
