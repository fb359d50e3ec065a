import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import type { TestDatabase } from './database.ts'

/** A database that walhook can be started on. */
type Named = Pick<TestDatabase, 'url' | 'name'>

import { compileCache, programPath } from './program.ts'
import { until } from './wait.ts'

export type LogLine = { readonly msg: string; readonly level: string; readonly [fact: string]: unknown }

/** A real walhook in a process of its own. Disposing it kills it, if it still runs. */
export type WalhookProcess = AsyncDisposable & {
  readonly pid: number
  /** Where its API listens; waits until it does. */
  url(): Promise<string>
  /** Waits until it is ready: from then on every change is captured. */
  ready(): Promise<void>
  /** Everything it has logged so far. */
  readonly log: readonly LogLine[]
  readonly stderr: () => string
  /** Waits for a line of the log. */
  logged(msg: string, facts?: Record<string, unknown>): Promise<LogLine>
  /** Calls the API as the admin, and returns the answer's JSON. */
  api(method: string, path: string, body?: unknown): Promise<Record<string, unknown>>
  kill(signal: NodeJS.Signals): void
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
  hasEnded(): boolean
}

export const adminToken = 'end-to-end-admin-token'
export const secretKey = Buffer.alloc(32, 7).toString('base64')

/** Starts `serve` on a test's database, with a slot of its own: slots belong to the whole server. `prefix`: what runs it, on another host say. */
export function startWalhook(
  database: Named,
  env: Record<string, string> = {},
  program = programPath(env),
  prefix: readonly string[] = [],
): WalhookProcess {
  return follow(spawnWalhook(['serve'], { ...settings(database), ...env }, program, tmpdir(), prefix))
}

/** Runs a command of walhook to its end; without a database, with no settings but those of `env`. */
export async function runWalhook(
  database: Named | null,
  args: readonly string[],
  env: Record<string, string> = {},
  program = programPath(env),
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawnWalhook(args, { ...(database && settings(database)), ...env }, program)
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout!),
    text(child.stderr!),
    once(child, 'exit'),
  ])
  return { code, stdout, stderr }
}

/** Starts a command of walhook that runs until it is told to stop, and that talks in plain lines. */
export function startCommand(
  args: readonly string[],
  env: Record<string, string> = {},
  at: { program?: string; cwd?: string } = {},
) {
  const child = spawnWalhook(args, env, at.program, at.cwd)
  const exited = once(child, 'exit').then(([code, signal]) => ({ code, signal }))
  const output: string[] = []
  for (const stream of [child.stdout!, child.stderr!])
    createInterface({ input: stream }).on('line', line => output.push(line))
  return {
    output,
    exited,
    kill: (signal: NodeJS.Signals) => child.kill(signal),
    /** Waits for a line that matches, and returns what the pattern's first group holds. */
    async printed(pattern: RegExp): Promise<string> {
      const find = () => output.map(line => pattern.exec(line)).find(match => match !== null)
      const match = await until(find, { what: `walhook to say ${pattern}` })
      return match[1] ?? match[0]
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await exited
    },
  }
}

function settings(database: Named): Record<string, string> {
  return {
    DATABASE_URL: database.url,
    WALHOOK_SLOT: database.name.slice(0, 63),
    WALHOOK_SECRET_KEY: secretKey,
    WALHOOK_ADMIN_TOKEN: adminToken,
    WALHOOK_ALLOW_TARGETS: '127.0.0.1',
    PORT: '0',
  }
}

/** V8 begins with room for what a start leaves behind: else it collects garbage a tenth of that time, again and again. */
const nodeFlags = ['--min-semi-space-size=16']

/** In another folder, so that no mapping file of the project is found by chance. */
function spawnWalhook(
  args: readonly string[],
  env: Record<string, string>,
  program = programPath(env),
  cwd = tmpdir(),
  prefix: readonly string[] = [],
): ChildProcess {
  const [command, ...words] = [...prefix, process.execPath, ...nodeFlags, program, ...args]
  return spawn(command!, words, {
    cwd,
    env: { PATH: process.env.PATH, NODE_COMPILE_CACHE: compileCache, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

function follow(child: ChildProcess): WalhookProcess {
  const log: LogLine[] = []
  let stderr = ''
  child.stderr!.on('data', chunk => {
    stderr += chunk
  })
  createInterface({ input: child.stdout! }).on('line', line => log.push(JSON.parse(line)))
  const exited = once(child, 'exit').then(([code, signal]) => ({ code, signal }))
  const isOver = () => child.exitCode !== null || child.signalCode !== null

  const logged = async (msg: string, facts: Record<string, unknown> = {}) => {
    const isIt = (line: LogLine) =>
      line.msg === msg && Object.entries(facts).every(([name, value]) => line[name] === value)
    return await until(
      () => {
        const line = log.find(isIt)
        if (!line && isOver()) throw new Error(`walhook has ended: ${stderr || JSON.stringify(log.at(-1))}`)
        return line
      },
      { what: `walhook to log ${msg} ${JSON.stringify(facts)}`, timeoutMs: 60_000 },
    )
  }
  const url = async () => String((await logged('walhook.started')).url)

  return {
    pid: child.pid!,
    log,
    stderr: () => stderr,
    url,
    async ready() {
      const readyz = `${await url()}/readyz`
      await until(
        async () => {
          const answer = await fetch(readyz)
          if (!answer.ok) throw new Error(`${await answer.text()}, ${JSON.stringify(log.slice(-3))}`)
          return true
        },
        { what: 'walhook to be ready', timeoutMs: 60_000 },
      )
    },
    logged,
    async api(method, path, body) {
      const response = await fetch(`${await url()}${path}`, {
        method,
        headers: { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      })
      const text = await response.text()
      if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
      return text === '' ? {} : JSON.parse(text)
    },
    kill: signal => child.kill(signal),
    exited,
    hasEnded: isOver,
    async [Symbol.asyncDispose]() {
      if (!isOver()) child.kill('SIGKILL')
      await exited
    },
  }
}
