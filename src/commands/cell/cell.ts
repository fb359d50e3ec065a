import { randomBytes } from 'node:crypto'
import type { Config } from '../../config/config.ts'
import { readDatabaseUrl } from '../../config/variables.ts'
import { problemOfConnecting } from '../../databases.ts'
import type { Problem } from '../../domain/value/problem.ts'
import { nonceBytes, seal } from '../../domain/webhook/seal.ts'
import { type MoveOutcome, moveWebhook, type WhyNot } from '../../outbox/cells/move.ts'
import { logSlot, prepareCell } from '../../outbox/cells/prepare.ts'
import { insertCell, listCells, setCellUrl, urlPurpose } from '../../outbox/cells/registry.ts'
import { type Outbox, openOutbox, transaction } from '../../outbox/database/database.ts'
import { hasPosition } from '../../outbox/log/position.ts'
import { isSchemaName } from '../../outbox/schema/in-schema.ts'
import { type Command, parseOnce, printLine, report, UsageError, wholeNumber } from '../kit/command.ts'
import { inCells, noCell, openMain } from './in-cells.ts'
import { remove } from './remove.ts'

export const cell: Command = {
  usage: `  walhook cell add NAME [--database URL] [--schema NAME]
                                      add a cell: an outbox for some of the webhooks, in another database or in
                                      another schema of this one; repeat it with a new URL after moving the database
  walhook cell list                   list the cells with their webhooks, their lag, and whether they answer
  walhook cell move WEBHOOK CELL      move a webhook, with its pending deliveries and its log, to another cell (main is
                                      the first); it receives nothing for about 20 seconds
  walhook cell remove NAME [--drop]   remove a cell without webhooks; its tables stay, --drop drops its schema`,
  words: ['add', 'list', 'move', 'remove'],
  optionsOfWords: { add: ['--database', '--schema'], list: [], move: [], remove: ['--drop'] },
  async run(args) {
    const { values, positionals } = parseOnce({
      args,
      allowPositionals: true,
      options: { database: { type: 'string' }, schema: { type: 'string' }, drop: { type: 'boolean' } },
    })
    const [verb, ...rest] = positionals
    const { drop, ...placement } = values
    const isPlaced = Object.keys(placement).length > 0
    if (verb === 'remove' && rest.length === 1 && !isPlaced) return await remove(rest[0]!, drop === true)
    if (drop) throw new UsageError('only cell remove takes --drop')
    if (verb === 'list' && rest.length === 0 && !isPlaced) return await list()
    if (verb === 'move' && rest.length === 2 && !isPlaced) {
      const webhookId = wholeNumber(rest[0]!)
      if (!(webhookId > 0 && webhookId < 2 ** 31))
        throw new UsageError(
          `${JSON.stringify(rest[0])} is not a webhook id: walhook webhooks list shows them`,
        )
      return await move(webhookId, rest[1]!)
    }
    if (verb !== 'add' || rest.length !== 1)
      throw new UsageError('cell takes add NAME, list, move WEBHOOK CELL, or remove NAME')
    return await add(rest[0]!, placement)
  },
}

const namePattern = /^[a-z0-9][a-z0-9_-]{0,39}$/

async function add(name: string, given: { database?: string; schema?: string }): Promise<number> {
  const { schema = given.database ? 'walhook' : `walhook_${name.replaceAll('-', '_')}` } = given
  if (!namePattern.test(name) || name === 'main')
    throw new UsageError(
      `${JSON.stringify(name)} is not a cell name: use at most 40 lower-case letters, digits, - and _; main is taken`,
    )
  if (!isSchemaName(schema))
    throw new UsageError(
      `--schema ${JSON.stringify(schema)} is not a schema name: use at most 40 lower-case letters, digits and _`,
    )
  const parsed = given.database === undefined ? { value: undefined } : readDatabaseUrl(given.database)
  if ('wrong' in parsed) throw new UsageError(`--database: ${parsed.wrong.join('; ')}`)
  const database = parsed.value
  const opened = await openMain()
  if (typeof opened === 'number') return opened
  await using main = opened.main
  await using outbox = openOutbox({
    url: database ?? main.url,
    schema,
    maxConnections: 2,
    onError: () => {},
  })
  const problem = await problemOfConnecting('--database', outbox)
  if (problem) return report([problem])
  const sealedUrl =
    database === undefined
      ? null
      : seal(opened.config.sealKey!, urlPurpose(name), database, randomBytes(nonceBytes))
  const placing = opened.config.placing
  const problems = await addTo(main, outbox, { name, schema, url: sealedUrl, placing })
  if (problems.length > 0) return report(problems)
  printLine(`cell ${name}: ready in schema ${schema}; running processes open it within seconds`)
  return 0
}

/** Nothing is registered unless its tables are there. */
async function addTo(
  main: Outbox,
  outbox: Outbox,
  { placing, ...wanted }: { name: string; schema: string; url: string | null; placing: Config['placing'] },
): Promise<readonly Problem[]> {
  const nowMs = Date.now()
  const there = (await listCells(main)).find(({ name }) => name === wanted.name)
  if (there) {
    const isIt = there.schema === wanted.schema && (await hasPosition(outbox.pool, logSlot))
    const prepared = isIt ? await prepareCell(main, outbox, there, { placing, nowMs }) : null
    if (prepared?.ok) await setCellUrl(main, wanted)
    return prepared ? (prepared.ok ? [] : prepared.problems) : [otherCell(wanted.name, wanted.schema)]
  }
  return await transaction(main.pool, async client => {
    const registered = await insertCell(client, wanted)
    const prepared = await prepareCell(main, outbox, registered, { placing, nowMs })
    if (!prepared.ok) throw new NotPrepared(prepared.problems)
    return []
  }).catch(error => {
    if (error instanceof NotPrepared) return error.problems
    throw error
  })
}

class NotPrepared extends Error {
  readonly problems: readonly Problem[]
  constructor(problems: readonly Problem[]) {
    super('the cell was not prepared')
    this.problems = problems
  }
}

const otherCell = (name: string, schema: string): Problem => ({
  code: 'cell',
  what: `cell ${name}`,
  found: `a cell of this name exists, but its log is not in the schema ${schema} of this database`,
  mend: 'choose another name, or give the database and schema to which you moved the cell',
})

async function list(): Promise<number> {
  return await inCells(async cells => {
    const main = cells.main.outbox
    const schemas = new Map((await listCells(main)).map(({ name, schema }) => [name, schema]))
    const line = (...[name, schema, webhooks, behind, state]: string[]) =>
      `${name!.padEnd(16)}  ${schema!.padEnd(24)}  ${webhooks!.padStart(8)}  ${behind!.padStart(8)}  ${state}`
    printLine(line('NAME', 'SCHEMA', 'WEBHOOKS', 'BEHIND', 'STATE'))
    for (const { name, webhooks, behind, why } of await cells.states())
      printLine(
        line(
          name,
          schemas.get(name) ?? main.schema,
          String(webhooks ?? '-'),
          String(behind ?? '-'),
          why === null ? 'answers' : `away: ${why}`,
        ),
      )
    return 0
  })
}

/** Longer than anything of a webhook that is held can be in flight: an attempt of 15 s that began 2 s after, and clocks. */
const holdMs = 20_000

async function move(webhookId: number, name: string): Promise<number> {
  return await inCells(async cells => {
    const to = cells.all().find(cell => cell.name === name)
    if (!to) return report([noCell(name, cells)])
    const messages = {
      held: `webhook ${webhookId}: held; requests in flight end within ${holdMs / 1000} s`,
      copied: `webhook ${webhookId}: log copied`,
      'cut over': `webhook ${webhookId}: now in ${name}`,
      settled: null,
    }
    const outcome = await moveWebhook(cells, {
      webhookId,
      to,
      holdMs,
      onStep: step => void (messages[step] && printLine(messages[step])),
    })
    if (!outcome.ok) return report([notMoved(webhookId, name, outcome)])
    printLine(
      outcome.isMoved ? `webhook ${webhookId}: moved to ${name}` : `webhook ${webhookId}: already in ${name}`,
    )
    return 0
  })
}

function notMoved(webhookId: number, name: string, { why, count }: MoveOutcome & { ok: false }): Problem {
  const because: Record<WhyNot, readonly [string, string]> = {
    'no webhook': ['no such webhook', 'walhook webhooks list shows them'],
    'being moved': ['another command is moving it', 'wait for that command'],
    replayed: ['a replay for it is running', 'wait until the replay ends, or stop it'],
    'too much waits': [
      `more than ${((count ?? 0) - 1).toLocaleString('en')} deliveries are pending`,
      `fix its receiver and wait until they are sent, or cancel them (POST /api/webhooks/${webhookId}/cancel)`,
    ],
    late: [
      'a cell did not copy the log in time; the webhook stays in its cell',
      'look at walhook cell list, then run the command again',
    ],
  }
  const [found, mend] = because[why]
  return { code: 'cell', what: `webhook ${webhookId} to ${name}`, found, mend }
}
