import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

/** A way from a commit to a webhook, as it is compared with others. */
export type Contender = {
  readonly name: string
  /** How it was set up, in good faith, in a few words for the table's foot. */
  readonly setup: string
  /** Prepares a database that has the brief's tables and nothing in them. */
  prepare(place: Place): Promise<void>
  /** Starts what delivers, and returns once it would take the first change. */
  start(place: Place): Promise<Running>
}

export type Place = { readonly url: string; readonly name: string; readonly receiverUrl: string }

/** `pid`: of the process whose CPU and memory count; `morePids`: of further ones whose CPU is added. */
export type Running = AsyncDisposable & { readonly pid: number; readonly morePids?: readonly number[] }

/** Starts the worker of a contender in a process of its own: its file, with the place in the environment. */
export async function startWorker(file: string, place: Place): Promise<Running> {
  const child = spawn(process.execPath, [file], {
    env: { PATH: process.env.PATH, SOURCE_URL: place.url, RECEIVER_URL: place.receiverUrl },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const lines = createInterface({ input: child.stdout! })
  await Promise.race([
    once(lines, 'line'),
    once(child, 'exit').then(() => Promise.reject(new Error(`${file} has ended before it was ready`))),
  ])
  return { pid: child.pid!, [Symbol.asyncDispose]: () => endChild(child) }
}

export async function endChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
}

/** In the worker's process: what `startWorker` handed over. */
export function workplace(): { url: string; receiverUrl: string } {
  return { url: process.env.SOURCE_URL!, receiverUrl: process.env.RECEIVER_URL! }
}

export function sayReady(): void {
  process.stdout.write('ready\n')
}
