#!/usr/bin/env node
import { parseArgs } from 'node:util'
import { openApp } from './app.ts'
import {
  type BackfillOrder,
  backfill,
  checkSource,
  describeTokens,
  endToken,
  listen,
  makeToken,
  migrateOutbox,
  playground,
  rekeySecrets,
  resyncSource,
} from './commands.ts'
import { type Config, type ConfigResult, readConfig } from './config.ts'
import { maxRowsPerSecond } from './domain/backfill.ts'
import { parseExpiry } from './domain/expiry.ts'
import { formatProblem, type Problem } from './domain/problem.ts'
import { roles } from './domain/role.ts'
import { keepHeapSmall } from './runtime/heap.ts'
import { describeError, openLog } from './runtime/log.ts'

const usage = `walhook: signed webhooks for changes in Postgres

  walhook serve                       run capture, delivery and API (WALHOOK_ROLES chooses)
  walhook check [--json]              look at the source: what is in the way of capturing it, and how to mend it
                                      (ends with 0 if all is well, 3 with warnings, 1 with errors)
  walhook migrate                     bring walhook's own tables up to this version
  walhook resync [--yes]              after changes were lost: say how to begin anew, or do it
  walhook backfill --entity TYPE [--webhook ID] [--action new|update] [--rate ROWS]
                                      send every row that there is, to one webhook or to all that have the
                                      trigger, at most ROWS in a second (1000), and show how far it is
  walhook backfill --list | --follow ID [--rate ROWS] | --cancel ID
                                      show the backfills, see to one (and change its pace), or end it
  walhook token NAME [--role ROLE] [--user ID] [--expires WHEN]
                                      make an API token: for a viewer, an operator or (usually) an admin, who is the
                                      user account ID; valid for 90d, 12h or until 2026-12-31
  walhook token --list | --revoke ID  show the tokens, or end one
  walhook rekey                       after a change of WALHOOK_SECRET_KEY: encrypt everything anew that was encrypted
                                      with WALHOOK_SECRET_KEY_OLD
  walhook listen [--port PORT] [--status CODE] [--delay MS] [--secret whsec_…]
                 [--host ADDRESS]     a receiver for developers: shows and verifies what arrives

Without a command: serve where DATABASE_URL is set, else a playground with a Postgres of its own.
The environment variables are described in README.md.`

/** The dispatcher's drain and the settling after it, and a little: no shutdown that goes well takes as long. */
const stopWithinMs = 15_000

/** What `check` ends with, by the worst that it has found. */
const checkStatus = { ok: 0, warning: 3, error: 1 }

type Command = (args: string[], signal: AbortSignal) => Promise<number>

const commands: Record<string, Command> = {
  async serve(args, signal) {
    parseArgs({ args })
    const config = required(readConfig(['DATABASE_URL', 'WALHOOK_SECRET_KEY']))
    if (!config) return 1
    const log = openLog(config.logLevel)
    endWithin(stopWithinMs, signal)
    const opened = await openApp(config, log)
    if (!opened.ok) return report(opened.problems)
    keepHeapSmall()
    log.info('walhook.started', { url: opened.app.url ?? undefined, roles: [...config.roles] })
    await opened.app.run(signal)
    log.info('walhook.stopped')
    return 0
  },

  async check(args) {
    const { values } = parseArgs({ args, options: { json: { type: 'boolean', default: false } } })
    const config = required(readConfig(['DATABASE_URL']))
    if (!config) return 1
    const { lines, worst } = await checkSource(config)
    if (values.json) say(JSON.stringify(lines, null, 2))
    else
      for (const { level, what, found, mend } of lines)
        say(`${level.padEnd(7)}  ${what}: ${found}${mend === null ? '' : `. To mend it: ${mend}`}`)
    return checkStatus[worst]
  },

  async migrate(args) {
    parseArgs({ args })
    const config = required(readConfig(['OUTBOX_DATABASE_URL']))
    if (!config) return 1
    const migrated = await migrateOutbox(config)
    if (!migrated.ok) return report([migrated.problem])
    say(migrated.applied.length > 0 ? `applied ${migrated.applied.join(', ')}` : 'up to date')
    return 0
  },

  async resync(args) {
    const { values } = parseArgs({ args, options: { yes: { type: 'boolean', default: false } } })
    const config = required(readConfig(['DATABASE_URL']))
    if (!config) return 1
    const result = await resyncSource(config, values.yes)
    if (!result.ok) return report(result.problems)
    for (const line of result.lines) say(line)
    return 0
  },

  async backfill(args, signal) {
    const { values } = parseArgs({
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
    const order = readBackfillOrder(values)
    if (typeof order === 'string') return misused(order)
    const config = required(readConfig(['DATABASE_URL']))
    if (!config) return 1
    const result = await backfill(config, order, { say, signal })
    if (result.ok) return result.done ? 0 : 1
    for (const problem of result.problems) process.stderr.write(`walhook: ${problem}\n`)
    return 1
  },

  async token(args) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        user: { type: 'string' },
        role: { type: 'string', default: 'admin' },
        expires: { type: 'string' },
        list: { type: 'boolean', default: false },
        revoke: { type: 'string' },
      },
    })
    if (values.list || values.revoke !== undefined) {
      if (positionals.length > 0 || (values.list && values.revoke !== undefined))
        return misused('token takes a NAME, or --list, or --revoke ID: one of them')
      return values.list ? await listTokens() : await revokeToken(values.revoke!)
    }
    const name = positionals[0]?.trim() ?? ''
    if (positionals.length !== 1 || name === '' || name.length > 200)
      return misused('token takes one NAME of 1 to 200 characters')
    // An empty one, from a variable that is not set, would be the account of nobody.
    if (values.user?.trim() === '') return misused('--user is empty')
    const role = roles.find(one => one === values.role)
    if (!role) return misused(`--role ${JSON.stringify(values.role)} is not one of ${roles.join(', ')}`)
    const expiresAt = values.expires === undefined ? null : parseExpiry(values.expires, Date.now())
    if (values.expires !== undefined && !expiresAt)
      return misused(
        `--expires ${JSON.stringify(values.expires)} is no time to come: write 90d, 12h, 2026-12-31 or 2026-12-31T12:00Z`,
      )
    const config = required(readConfig(['OUTBOX_DATABASE_URL']))
    if (!config) return 1
    const made = await makeToken(config, { name, role, userId: values.user ?? null, expiresAt })
    if (!made.ok) return report([made.problem])
    say(made.value)
    return 0
  },

  async rekey(args) {
    parseArgs({ args })
    const config = required(readConfig(['OUTBOX_DATABASE_URL', 'WALHOOK_SECRET_KEY']))
    if (!config) return 1
    const done = await rekeySecrets(config)
    if (!done.ok) return report([done.problem])
    say(`webhooks encrypted anew: ${done.value.webhooks}, kept answers: ${done.value.answers}`)
    return 0
  },

  async listen(args, signal) {
    const { values } = parseArgs({
      args,
      options: {
        host: { type: 'string', default: '127.0.0.1' },
        port: { type: 'string', default: '9090' },
        status: { type: 'string', default: '204' },
        delay: { type: 'string', default: '0' },
        secret: { type: 'string', multiple: true, default: [] },
      },
    })
    const port = wholeNumber(values.port)
    const status = wholeNumber(values.status)
    const delayMs = wholeNumber(values.delay)
    if (!(port <= 65535)) return misused(`--port ${JSON.stringify(values.port)} is no port`)
    if (!(status >= 200 && status <= 599))
      return misused(`--status ${JSON.stringify(values.status)} is not from 200 to 599`)
    if (!(delayMs <= 600_000))
      return misused(`--delay ${JSON.stringify(values.delay)} is not from 0 to 600000 ms`)
    // An empty one, from a variable that is not set, is none.
    const secrets = values.secret.filter(secret => secret !== '')
    await listen({ host: values.host, port, status, delayMs, secrets, say, signal })
    return 0
  },
}

/** What the options of `backfill` mean, or what is wrong with them. */
function readBackfillOrder(values: {
  entity?: string
  webhook?: string
  action?: string
  rate?: string
  list: boolean
  follow?: string
  cancel?: string
}): BackfillOrder | string {
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
    return { kind: 'start', wish: { entityType: entity, webhookId, actionType, rowsPerSecond } }
  if (followed !== undefined) return { kind: 'follow', id: followed, rowsPerSecond }
  return cancelled === undefined ? { kind: 'list' } : { kind: 'cancel', id: cancelled }
}

async function listTokens(): Promise<number> {
  const config = required(readConfig(['OUTBOX_DATABASE_URL']))
  if (!config) return 1
  const listed = await describeTokens(config)
  if (!listed.ok) return report([listed.problem])
  for (const line of listed.value) say(line)
  return 0
}

async function revokeToken(text: string): Promise<number> {
  const id = wholeNumber(text)
  if (!(id > 0 && id < 2 ** 31))
    return misused(`--revoke ${JSON.stringify(text)} is no id of a token: --list shows them`)
  const config = required(readConfig(['OUTBOX_DATABASE_URL']))
  if (!config) return 1
  const ended = await endToken(config, id)
  if (!ended.ok) return report([ended.problem])
  if (!ended.value.ok) {
    process.stderr.write(`walhook: there is no token ${id}; --list shows them\n`)
    return 1
  }
  say(`revoked ${id} ${ended.value.value.name}`)
  return 0
}

/** Runs the command that the arguments name; resolves with the exit status. */
async function main(args: string[]): Promise<number> {
  const [name, ...rest] = args
  if (name === '--help' || name === '-h' || name === 'help') {
    say(usage)
    return 0
  }
  const stop = new AbortController()
  // The first signal stops in order, the second at once.
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => {
      if (stop.signal.aborted) process.exit(signal === 'SIGINT' ? 130 : 143)
      stop.abort()
    })
  const command = name === undefined ? bare : Object.hasOwn(commands, name) && commands[name]
  if (!command) return misused(`there is no command ${JSON.stringify(name)}`)
  return await command(rest, stop.signal)
}

/** `npm start`. */
const bare: Command = async (args, signal) => {
  const config = required(readConfig([]))
  if (!config) return 1
  if (config.databaseUrl !== null) return await commands.serve!(args, signal)
  await playground(config, { say, signal })
  return 0
}

/** Ends the process `ms` after `signal`: a link that died in silence would keep it waiting for an answer. */
function endWithin(ms: number, signal: AbortSignal): void {
  const end = () => {
    process.stderr.write(
      `walhook: cut off ${ms / 1000} s after the signal, while a database did not answer. Nothing is lost: the next start goes on from what was committed\n`,
    )
    process.exit(1)
  }
  signal.addEventListener('abort', () => setTimeout(end, ms).unref(), { once: true })
}

function required(result: ConfigResult): Config | null {
  if (result.ok) return result.config
  report(result.problems)
  return null
}

/** NaN for all but digits: `Number` takes an empty text for 0. */
function wholeNumber(text: string): number {
  return /^\d+$/.test(text) ? Number(text) : Number.NaN
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

function report(problems: readonly Problem[]): 1 {
  for (const problem of problems) process.stderr.write(`${formatProblem(problem)}\n`)
  return 1
}

function misused(message: string): 2 {
  process.stderr.write(`walhook: ${message}\n\n${usage}\n`)
  return 2
}

void main(process.argv.slice(2))
  .catch(error => {
    if (error.code?.startsWith('ERR_PARSE_ARGS')) return misused(error.message)
    process.stderr.write(`walhook: ${describeError(error)}\n`)
    return 1
  })
  .then(status => {
    // Not left to the event loop: where no password was given, node-postgres keeps the socket open on which the
    // server waits for it, up to a minute.
    if (status !== 0) process.exit(status)
  })
