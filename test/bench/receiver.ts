import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { freePort } from '../../playground/local-port.ts'
import { until } from '../support/wait.ts'

/** A receiver in a process of its own that answers 204 to every POST, as light as it gets. */
export type LightReceiver = AsyncDisposable & {
  readonly kind: string
  readonly url: string
  /** How many requests it has answered. */
  count(): Promise<number>
}

/** nginx where it is installed, else a small Node server. */
export async function startLightReceiver(): Promise<LightReceiver> {
  return (await startNginx()) ?? (await startNodeReceiver())
}

async function startNginx(): Promise<LightReceiver | null> {
  const version = /nginx\/(\S+)/.exec(spawnSync('nginx', ['-v'], { encoding: 'utf8' }).stderr ?? '')?.[1]
  if (version === undefined) return null
  const folder = await mkdtemp(join(tmpdir(), 'walhook-nginx-'))
  const port = await freePort()
  const file = join(folder, 'nginx.conf')
  await writeFile(
    file,
    `worker_processes 1; daemon off; pid ${folder}/pid; error_log stderr crit;
     events { worker_connections 4096; }
     http { access_log off; keepalive_requests 100000000; keepalive_timeout 300s; client_body_temp_path ${folder};
       proxy_temp_path ${folder}; fastcgi_temp_path ${folder}; uwsgi_temp_path ${folder}; scgi_temp_path ${folder};
       server { listen 127.0.0.1:${port} backlog=4096; location / { return 204; } location = /status { stub_status; } } }`,
  )
  const child = spawn('nginx', ['-c', file, '-p', folder], { stdio: 'ignore' })
  const url = `http://127.0.0.1:${port}/`
  const statusUrl = `${url}status`
  /** `server accepts handled requests` and below it the three numbers; asking counts as a request. */
  let asked = 0
  const count = async () => {
    const text = await (await fetch(statusUrl)).text()
    asked++
    return Number(/(\d+)\s*\nReading/.exec(text)?.[1]) - asked
  }
  await until(async () => (await fetch(statusUrl)).ok, { what: 'nginx to answer' })
  asked++
  return {
    kind: `nginx ${version}`,
    url,
    count,
    async [Symbol.asyncDispose]() {
      await end(child)
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** When each entity was first heard of, by its id, in ms on the shared clock. */
export type RecordingReceiver = LightReceiver & { arrivals(): Promise<ReadonlyMap<number, number>> }

/** The Node server. `delayMs` is how long it takes to answer, or -1: it never does. */
export async function startNodeReceiver(delayMs = 0): Promise<RecordingReceiver> {
  const program = join(import.meta.dirname, 'node-receiver.ts')
  const child = spawn(process.execPath, [program, String(delayMs)], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [port] = (await once(createInterface({ input: child.stdout! }), 'line')) as [string]
  const url = `http://127.0.0.1:${port}/`
  return {
    kind: `Node.js ${process.version}`,
    url,
    count: async () => Number(await (await fetch(`${url}count`)).text()),
    arrivals: async () => new Map((await (await fetch(`${url}arrivals`)).json()) as [number, number][]),
    [Symbol.asyncDispose]: () => end(child),
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGTERM')
  await once(child, 'exit')
}
