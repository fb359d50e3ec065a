import packageJson from '../../package.json' with { type: 'json' }
import { readConfig } from '../config/config.ts'
import { isRunByNpm } from '../config/terminal.ts'
import { nearest } from '../domain/value/nearest.ts'
import { adopt } from './adopt.ts'
import { backfill } from './backfill.ts'
import { cell } from './cell/cell.ts'
import { check } from './check.ts'
import { apply } from './client/apply.ts'
import { exportWebhooks } from './client/export.ts'
import { completionOf } from './completion.ts'
import { events } from './events.ts'
import { forget } from './forget.ts'
import { type Command, printLine, report, required, UsageError } from './kit/command.ts'
import { cutOffProblem } from './kit/cut-off.ts'
import { stopSignal } from './kit/stop-signal.ts'
import { listen } from './listen.ts'
import { map } from './map.ts'
import { migrate } from './migrate.ts'
import { rekey } from './rekey.ts'
import { resync } from './resync.ts'
import { serve } from './serve.ts'
import { token } from './token.ts'
import { webhooks } from './webhooks.ts'

/** In display order. */
export const commands: Readonly<Record<string, Command>> = {
  serve,
  check,
  map,
  migrate,
  resync,
  backfill,
  forget,
  token,
  rekey,
  adopt,
  cell,
  listen,
  webhooks,
  events,
  apply,
  export: exportWebhooks,
  completion: completionOf(() => commands),
}

const usage = `walhook: signed webhooks for changes in Postgres

${Object.values(commands)
  .map(command => command.usage)
  .join('\n')}

Without a command: serve if DATABASE_URL is set, else a playground with its own Postgres.
docs/reference/configuration.md describes the environment variables.`

const helpFlags = ['--help', '-h']
const versionFlags = ['--version', '-v', 'version']

/** Runs the named command; resolves with the exit status. What stops it is asked for once it begins. */
export async function runCommand(
  args: string[],
  openSignal = () => stopSignal(isRunByNpm()),
): Promise<number> {
  const [name, ...rest] = args[0] === 'help' ? [...args.slice(1), '--help'] : args
  if (name !== undefined && helpFlags.includes(name)) return print(usage)
  if (name !== undefined && versionFlags.includes(name)) return print(`walhook ${packageJson.version}`)
  const command = name === undefined ? bare : Object.hasOwn(commands, name) && commands[name]
  if (!command) return misused(unknown(name!), 'walhook --help lists all commands.')
  if (rest.some(arg => helpFlags.includes(arg))) return print(command.usage)
  try {
    return await command.run(rest, openSignal())
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (error instanceof UsageError || code?.startsWith('ERR_PARSE_ARGS'))
      return misused(message, command.usage)
    const problem = cutOffProblem(error)
    if (problem) return report([problem])
    throw error
  }
}

function unknown(name: string): string {
  const meant = nearest(name, Object.keys(commands))
  return `unknown command ${JSON.stringify(name)}${meant === null ? '' : `: did you mean ${meant}?`}`
}

/** `npm start`. */
const bare: Command = {
  usage,
  async run(args, signal) {
    const config = required(readConfig([]))
    if (!config) return 1
    if (config.databaseUrl !== null) return await serve.run(args, signal)
    // Not part of the product: loaded on demand.
    const { playground } = await import('../../playground/command.ts')
    await playground(config, { printLine, signal })
    return 0
  },
}

function print(text: string): 0 {
  printLine(text)
  return 0
}

function misused(message: string, correct: string): 2 {
  process.stderr.write(`walhook: ${message}\n\n${correct}\n`)
  return 2
}
