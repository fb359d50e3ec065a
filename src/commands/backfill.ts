import { isSlotActive } from '../capture/source/preflight.ts'
import { openSource, type Source } from '../capture/source/source.ts'
import { type Config, readConfig } from '../config/config.ts'
import { commandLine } from '../control/kit/control.ts'
import {
  type BackfillControl,
  type BackfillOptions,
  cancelBackfill,
  changeBackfill,
  getBackfill,
  listBackfills,
  startBackfill,
} from '../control/status/backfills.ts'
import { describeBackfill, isOpen, maxRowsPerSecond } from '../domain/capture/backfill.ts'
import { backfillAs } from '../domain/mapping/mapping.ts'
import { formatProblem } from '../domain/value/problem.ts'
import { openOutbox } from '../outbox/database/database.ts'
import { sleep } from '../runtime/sleep.ts'
import { withCells } from './kit/cells.ts'
import {
  type Command,
  failureLines,
  parseOnce,
  printLine,
  required,
  UsageError,
  wholeNumber,
} from './kit/command.ts'
import { migrateOutbox } from './kit/migrate-outbox.ts'

export const backfill: Command = {
  usage: `  walhook backfill --entity TYPE [--webhook ID] [--action new|update] [--rate ROWS]
                                      send every existing row to one webhook, or to all with the trigger, and
                                      show the progress; at most ROWS per second (default: 1000)
  walhook backfill --list | --follow ID [--rate ROWS] | --cancel ID
                                      list the backfills, follow one (and change its rate), or cancel it`,
  async run(args, signal) {
    const { values } = parseOnce({
      args,
      options: {
        entity: { type: 'string' },
        webhook: { type: 'string' },
        action: { type: 'string' },
        rate: { type: 'string' },
        list: { type: 'boolean', default: false },
        follow: { type: 'string' },
        cancel: { type: 'string' },
      },
    })
    const order = readOrder(values)
    if (typeof order === 'string') throw new UsageError(order)
    const config = required(readConfig(['DATABASE_URL']))
    if (!config) return 1
    const result = await carryOut(config, order, { printLine, signal })
    if (result.ok) return result.done ? 0 : 1
    for (const problem of result.problems) process.stderr.write(`walhook: ${problem}\n`)
    return 1
  },
}

/** The options of `walhook backfill`. */
type Order =
  | { readonly kind: 'list' }
  | { readonly kind: 'start'; readonly request: BackfillOptions }
  | { readonly kind: 'follow'; readonly id: number; readonly rowsPerSecond: number | undefined }
  | { readonly kind: 'cancel'; readonly id: number }

/** The meaning of the options, or what is wrong with them. */
function readOrder(values: {
  entity?: string
  webhook?: string
  action?: string
  rate?: string
  list: boolean
  follow?: string
  cancel?: string
}): Order | string {
  const { entity, list, follow, cancel } = values
  if ([entity, list || undefined, follow, cancel].filter(value => value !== undefined).length !== 1)
    return 'backfill takes one of --entity TYPE, --list, --follow ID, --cancel ID'
  const of = (text: string | undefined) => (text === undefined ? undefined : wholeNumber(text))
  const [webhookId, rowsPerSecond, followed, cancelled] = [values.webhook, values.rate, follow, cancel].map(
    of,
  )
  for (const [name, value] of Object.entries({ webhook: webhookId, follow: followed, cancel: cancelled }))
    if (value !== undefined && !(value > 0 && value < 2 ** 31)) return `--${name} takes an id`
  if (rowsPerSecond !== undefined && !(rowsPerSecond > 0 && rowsPerSecond <= maxRowsPerSecond))
    return `--rate ${JSON.stringify(values.rate)} is not from 1 to ${maxRowsPerSecond} rows per second`
  const actionType = (['new', 'update'] as const).find(action => action === values.action)
  if (values.action !== undefined && !actionType)
    return `--action ${JSON.stringify(values.action)} is not new or update`
  if (entity === undefined && (values.webhook !== undefined || values.action !== undefined))
    return '--webhook and --action go with --entity'
  if ((list || cancel !== undefined) && values.rate !== undefined)
    return '--rate goes with --entity or --follow'
  if (entity !== undefined)
    return { kind: 'start', request: { entityType: entity, webhookId, actionType, rowsPerSecond } }
  if (followed !== undefined) return { kind: 'follow', id: followed, rowsPerSecond }
  return cancelled === undefined ? { kind: 'list' } : { kind: 'cancel', id: cancelled }
}

/**
 * Lists, starts, follows or cancels backfills. A started or followed one is shown until it ends, or until `signal`; it
 * continues without us. Returns whether all went well, or the problem.
 */
async function carryOut(
  config: Config,
  order: Order,
  options: { printLine: (line: string) => void; signal: AbortSignal },
): Promise<{ ok: true; done: boolean } | { ok: false; problems: readonly string[] }> {
  const migrated = await migrateOutbox(config)
  if (!migrated.ok) return { ok: false, problems: [formatProblem(migrated.problem)] }
  await using outbox = openOutbox({ url: config.outboxUrl!, maxConnections: 1, onError: () => {} })
  await using source = openSource({ url: config.databaseUrl!, onError: () => {} })
  const entityTypes = config.mapping.map(({ entityType }) => entityType)
  const done = await withCells(config, outbox, cells =>
    carryOutWith(
      { ...config, cells, entityTypes, backfillAs: backfillAs(config.mapping) },
      source,
      order,
      options,
    ),
  )
  return done.ok ? done.value : { ok: false, problems: [formatProblem(done.problem)] }
}

async function carryOutWith(
  control: BackfillControl,
  source: Source,
  order: Order,
  options: { printLine: (line: string) => void; signal: AbortSignal },
): Promise<{ ok: true; done: boolean } | { ok: false; problems: readonly string[] }> {
  const { printLine } = options
  const report = (id: number) => follow(control, source, id, options)
  switch (order.kind) {
    case 'list': {
      const { items } = await listBackfills(control, { limit: 50, before: null })
      if (items.length === 0) printLine('No backfills.')
      for (const each of items) printLine(describeBackfill(each, Date.now()))
      return { ok: true, done: true }
    }
    case 'start': {
      const started = await startBackfill(control, commandLine, order.request)
      return started.ok ? await report(started.value.id) : { ok: false, problems: failureLines(started) }
    }
    case 'follow': {
      const { id, rowsPerSecond } = order
      const found =
        rowsPerSecond === undefined
          ? await getBackfill(control, id)
          : await changeBackfill(control, commandLine, id, { rowsPerSecond })
      return found.ok ? await report(id) : { ok: false, problems: failureLines(found) }
    }
    case 'cancel': {
      const cancelled = await cancelBackfill(control, commandLine, order.id)
      if (!cancelled.ok) return { ok: false, problems: failureLines(cancelled) }
      printLine(describeBackfill(cancelled.value, Date.now()))
      return { ok: true, done: true }
    }
    default:
      return order satisfies never
  }
}

const progressMs = 1_000

/** Prints the progress of a backfill whenever it changes. */
async function follow(
  control: BackfillControl,
  source: Source,
  id: number,
  { printLine, signal }: { printLine: (line: string) => void; signal: AbortSignal },
): Promise<{ ok: true; done: boolean } | { ok: false; problems: readonly string[] }> {
  let printed = ''
  const report = (line: string) => {
    if (line !== printed) printLine(line)
    printed = line
  }
  while (!signal.aborted) {
    const found = await getBackfill(control, id)
    if (!found.ok) return { ok: false, problems: failureLines(found) }
    const line = describeBackfill(found.value, Date.now())
    if (!isOpen(found.value)) {
      printLine(line)
      return { ok: true, done: found.value.state === 'done' }
    }
    const isCaptured = await isSlotActive(source, control.slotName)
    report(
      isCaptured
        ? line
        : `${line}. Waiting: no process reads the slot ${control.slotName}. The backfill continues as soon as one does`,
    )
    await sleep(progressMs, signal)
  }
  printLine(
    `Backfill ${id} continues in the background. Progress: walhook backfill --follow ${id}. Cancel: walhook backfill --cancel ${id}`,
  )
  return { ok: true, done: true }
}
