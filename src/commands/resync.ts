import {
  beginResync,
  describeResync,
  describeResyncs,
  givingUp,
  type Occasion,
  occasionOf,
  unrecordedLoss,
} from '../capture/backfill/resync.ts'
import {
  describeTableResyncs,
  obstaclesToResync,
  orderTableResyncs,
  tableGapsOf,
} from '../capture/backfill/resync-tables.ts'
import { preflight } from '../capture/source/preflight.ts'
import { openSource, type Source } from '../capture/source/source.ts'
import { isOfTables } from '../capture/verdict/preflight-verdict.ts'
import { type Config, readConfig } from '../config/config.ts'
import { problemOfConnecting, problemOfKey } from '../databases.ts'
import { describeProgress } from '../domain/capture/resync.ts'
import { formatLsn } from '../domain/value/lsn.ts'
import type { Problem } from '../domain/value/problem.ts'
import { type Outbox, openOutbox } from '../outbox/database/database.ts'
import { describeMigration, migrate } from '../outbox/database/migrate.ts'
import { readPosition } from '../outbox/log/position.ts'
import { openResyncs } from '../outbox/source/resyncs.ts'
import { type Command, parseOnce, printLine, report, required } from './kit/command.ts'

export const resync: Command = {
  usage: `  walhook resync [--entity TYPE | --force] [--yes]
                                      after changes were lost: describe the resync of everything, or of the
                                      entities of one type; --yes starts it. --force also works without a known
                                      loss, to skip changes that can't be read or stored`,
  async run(args) {
    const { values } = parseOnce({
      args,
      options: {
        yes: { type: 'boolean', default: false },
        force: { type: 'boolean', default: false },
        entity: { type: 'string' },
      },
    })
    const config = required(readConfig(['DATABASE_URL']))
    if (!config) return 1
    const flags = { isSure: values.yes, isForced: values.force, entityType: values.entity ?? null }
    const result = await resyncSource(config, flags)
    if (!result.ok) return report(result.problems)
    for (const line of result.lines) printLine(line)
    return 0
  },
}

type Flags = {
  readonly isSure: boolean
  readonly isForced: boolean
  readonly entityType: string | null
}
type Result =
  | { readonly ok: true; readonly lines: readonly string[] }
  | { readonly ok: false; readonly problems: readonly Problem[] }

const howFar = 'Progress: walhook resync'
const whoSends =
  'The process that captures ("walhook serve", running now or started next) sends the current state, page by page.'

/** Describes a resync, or performs it (`isSure`). */
async function resyncSource(config: Config, flags: Flags): Promise<Result> {
  const entityTypes = config.mapping.map(({ entityType }) => entityType)
  if (flags.entityType !== null && !entityTypes.includes(flags.entityType))
    return {
      ok: false,
      problems: [
        {
          code: 'entity_unknown',
          what: `--entity ${flags.entityType}`,
          found: 'not an entity type of the mapping',
          mend: `name one of ${entityTypes.join(', ')}`,
        },
      ],
    }
  await using source = openSource({ url: config.databaseUrl!, onError: () => {} })
  await using outbox = openOutbox({ url: config.outboxUrl!, maxConnections: 2, onError: () => {} })
  const problem =
    (await problemOfConnecting('DATABASE_URL', source)) ??
    (await problemOfConnecting('OUTBOX_DATABASE_URL', outbox))
  if (problem) return { ok: false, problems: [problem] }
  const migrated = describeMigration(await migrate(outbox, () => problemOfKey(outbox, config.sealKey)))
  if (!migrated.ok) return { ok: false, problems: [migrated.problem] }
  const occasion = await occasionNow(source, outbox, config, flags)
  if (!occasion) return await resyncTables(source, outbox, config, flags)
  if ('gap' in occasion && occasion.gap.toLsn !== null)
    return { ok: true, lines: await describeResyncs(outbox, occasion.gap, config.slotName) }
  if (flags.entityType !== null)
    return {
      ok: false,
      problems: [
        {
          code: 'everything_lost',
          what: `--entity ${flags.entityType}`,
          found: 'changes of every entity are lost',
          mend: 'run: walhook resync',
        },
      ],
    }
  const onWaiting = (forWhat: string) => printLine(`Waiting for ${forWhat}.`)
  const options = { ...config, onWaiting }
  if (!flags.isSure) return { ok: true, lines: await describeResync(source, occasion, options) }
  const result = await beginResync(source, outbox, occasion, options)
  if (!result.ok) return result
  const lines = [`walhook captures everything from ${formatLsn(result.fromLsn)} on. ${whoSends} ${howFar}`]
  if ('otherSlot' in occasion)
    lines.push(
      `The former slot retains WAL until you drop it: select pg_drop_replication_slot('${occasion.otherSlot}');`,
    )
  return { ok: true, lines }
}

/** What is recorded as lost; what was lost since; or what a person gives up. */
async function occasionNow(
  source: Source,
  outbox: Outbox,
  config: Config,
  { isForced }: Flags,
): Promise<Occasion | null> {
  const recorded = await occasionOf(outbox, config.slotName)
  const isUnderWay = recorded !== null && 'gap' in recorded && recorded.gap.toLsn !== null
  if (recorded && !isUnderWay) return recorded
  const lost = await unrecordedLoss(source, outbox, config)
  return lost ?? recorded ?? (isForced ? await givingUp(outbox, config.slotName) : null)
}

/** The same for gaps of single tables, while the stream continues. */
async function resyncTables(
  source: Source,
  outbox: Outbox,
  config: Config,
  { isSure, entityType }: Flags,
): Promise<Result> {
  const gaps = await tableGapsOf(outbox, config.slotName, entityType)
  const of = entityType === null ? '' : ` of ${entityType}`
  if (gaps.length === 0) {
    if (!(await readPosition(outbox, config.slotName)))
      return {
        ok: true,
        lines: ['Nothing is captured yet: capture begins at the first start of "walhook serve".'],
      }
    const open = await openResyncs(outbox, config.slotName)
    const lines = open.map(each => `Running: ${describeProgress(each)}`)
    return { ok: true, lines: [`Nothing is lost: no gap${of} is open.`, ...lines] }
  }
  const obstacles = obstaclesToResync(gaps)
  if (obstacles.length > 0) {
    // A table that can't be captured must be fixed first.
    const { problems } = await preflight(source, { ...config, outbox })
    const ofTables = problems.filter(isOfTables)
    return { ok: false, problems: ofTables.length > 0 ? ofTables : obstacles }
  }
  const command = `walhook resync${entityType === null ? '' : ` --entity ${entityType}`}`
  if (!isSure)
    return {
      ok: true,
      lines: [
        ...(await describeTableResyncs(source, outbox, gaps, config)),
        `Nothing has changed yet. To start it: ${command} --yes`,
      ],
    }
  await orderTableResyncs(outbox, gaps, config)
  return { ok: true, lines: [`The resync is queued. ${whoSends} ${howFar}`] }
}
