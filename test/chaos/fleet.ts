import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { adminToken, runWalhook, startWalhook, type WalhookProcess } from '../support/walhook-process.ts'
import { defaultNames, mappingOf, role, rolePassword } from './tables.ts'

/** What walhook says of itself. */
export type Saying = {
  readonly isReady: boolean
  /** `streaming`, `blocked`, …; `gone` where the process has ended, `silent` where it does not answer. */
  readonly state: string
  readonly code: string | null
  /** All that it says, mend included. */
  readonly words: string
}

export type Fleet = Awaited<ReturnType<typeof openFleet>>

/** The walhook processes on one database, with one mapping and one clock, which both may be changed. */
export async function openFleet(database: { url: string; name: string }, folder: string) {
  const url = new URL(database.url)
  url.username = role
  url.password = rolePassword
  const place = { url: url.href, name: database.name }
  const clockFile = join(folder, 'clock')
  const mappingFile = join(folder, 'walhook.yaml')
  await writeFile(clockFile, '0')
  await writeFile(mappingFile, mappingOf(defaultNames()))
  const env = {
    WALHOOK_ROLES: 'capture,api',
    WALHOOK_CONFIG: mappingFile,
    CHAOS_CLOCK: clockFile,
    NODE_OPTIONS: `--import ${pathToFileURL(join(import.meta.dirname, 'clock.ts')).href}`,
  }
  const running: WalhookProcess[] = []
  /** Lines of those that have ended, newest last. */
  const ended: string[] = []

  async function end(process: WalhookProcess, signal: NodeJS.Signals) {
    process.kill('SIGCONT')
    process.kill(signal)
    if (signal !== 'SIGKILL') setTimeout(() => process.kill('SIGKILL'), 20_000).unref()
    await process.exited
    running.splice(running.indexOf(process), 1)
    ended.splice(0, ended.length, ...lastLines(process))
  }

  return {
    env,
    place,
    running: () => [...running] as readonly WalhookProcess[],
    start() {
      const process = startWalhook(place, env)
      running.push(process)
      return process
    },
    end,
    async endAll(signal: NodeJS.Signals) {
      for (const process of [...running]) await end(process, signal)
    },
    /** Ends all but one, or starts one where there is none. It may have ended by itself. */
    async onlyOne(): Promise<WalhookProcess> {
      for (const process of running.slice(1)) await end(process, 'SIGKILL')
      if (running.length === 0) running.push(startWalhook(place, env))
      return running[0]!
    },
    setClock: (shiftMs: number) => writeFile(clockFile, String(shiftMs)),
    setMapping: (text: string) => writeFile(mappingFile, text),
    command: (args: readonly string[]) => runWalhook(place, args, env),
    say,
    lastLines: () => running.flatMap(process => lastLines(process)).concat(ended),
    [Symbol.asyncDispose]: async () => {
      for (const process of [...running]) await end(process, 'SIGKILL')
    },
  }
}

const lastLines = (process: WalhookProcess) => [
  ...process.log.slice(-12).map(line => JSON.stringify(line).slice(0, 700)),
  ...(process.stderr() === '' ? [] : [process.stderr().slice(-2_000)]),
]

async function say(process: WalhookProcess): Promise<Saying> {
  if (process.hasEnded())
    return { isReady: false, state: 'gone', code: null, words: `${process.stderr()}${lastWords(process)}` }
  const started = process.log.find(({ msg }) => msg === 'walhook.started')
  const silent = { isReady: false, state: 'silent', code: null, words: lastWords(process) }
  if (!started) return silent
  try {
    const readyz = await fetch(`${started.url}/readyz`, {
      headers: { authorization: `Bearer ${adminToken}` },
      signal: AbortSignal.timeout(5_000),
    })
    const body = (await readyz.json()) as { checks: Record<string, { ok: boolean; status: string }> }
    const capture = body.checks.capture?.status ?? 'unknown'
    const status = await process.api('GET', '/api/status').catch(() => null)
    const told = (status?.capture ?? status) as Record<string, string> | null
    const red = Object.entries(body.checks).flatMap(([name, { ok, status }]) =>
      ok ? [] : [`${name}: ${status}`],
    )
    return {
      isReady: readyz.ok,
      state: told?.state ?? /^[a-z ]+/.exec(capture)![0].trim(),
      code: told?.code ?? null,
      words: [...red, ...(told ? [told.reason, told.mend].filter(Boolean) : [])].join('\n'),
    }
  } catch {
    return silent
  }
}

function lastWords(process: WalhookProcess): string {
  const lines = process.log.filter(({ msg }) => /capture\.(state|failed)|failed|refused/.test(msg))
  return JSON.stringify(lines.at(-1) ?? process.log.at(-1) ?? '')
}
