import { connect as connectSocket } from 'node:net'
import { Pool } from 'undici'

/**
 * A program of its own, so that what it does is on another event loop than what is measured:
 * `node test/bench/flood.ts '{"url": …, "path": …, "count": …, "connections": …, "perSecond": …}'` sends requests as fast as answers
 * come, or so many in a second, and prints how many of each status came.
 */
export type Flood = {
  readonly url: string
  readonly method?: string
  readonly paths: readonly string[]
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  readonly count: number
  readonly connections: number
  /** Absent: as fast as answers come. */
  readonly perSecond?: number
  /** `half`: begins to send a body and goes no further; `pipelined`: waits for no answer. */
  readonly kind?: 'half' | 'pipelined'
}

export type Flooded = { readonly statuses: Record<string, number>; readonly seconds: number }

const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const invented = () => Array.from({ length: 43 }, () => letters[Math.floor(Math.random() * 64)]).join('')
/** `$RANDOM` stands for what is another in each request. */
const fresh = (text: string) => text.replaceAll('$RANDOM', invented)

async function requests({
  url,
  method = 'GET',
  paths,
  headers = {},
  body,
  count,
  connections,
  perSecond,
}: Flood) {
  const statuses: Record<string, number> = {}
  const pool = new Pool(url, { connections, pipelining: 1 })
  const startMs = performance.now()
  let sent = 0
  const one = async (): Promise<void> => {
    while (sent < count) {
      const n = sent++
      if (perSecond) {
        const dueMs = startMs + (n * 1_000) / perSecond
        await new Promise(resolve => setTimeout(resolve, Math.max(0, dueMs - performance.now())))
      }
      let status = 'failed'
      try {
        const response = await pool.request({
          path: paths[n % paths.length]!,
          method: method as 'GET',
          headers: Object.fromEntries(Object.entries(headers).map(([name, text]) => [name, fresh(text)])),
          ...(body !== undefined && { body: fresh(body) }),
        })
        status = String(response.statusCode)
        await response.body.dump({ limit: 100_000_000 })
      } catch {}
      statuses[status] = (statuses[status] ?? 0) + 1
    }
  }
  await Promise.all(Array.from({ length: connections }, one))
  await pool.destroy()
  return statuses
}

/** Raw connections, held for 15 s. */
async function raw({ url, paths, headers = {}, count, kind }: Flood) {
  const { hostname, port } = new URL(url)
  const statuses: Record<string, number> = {}
  const lines = () =>
    Object.entries(headers)
      .map(([name, text]) => `${name}: ${fresh(text)}\r\n`)
      .join('')
  const get = () => `GET ${paths[0]} HTTP/1.1\r\nhost: ${hostname}\r\n${lines()}\r\n`
  const half = `POST ${paths[0]} HTTP/1.1\r\nhost: ${hostname}\r\ncontent-length: 250000\r\n\r\ntoken=${'x'.repeat(249_000)}`
  const sockets = Array.from({ length: kind === 'half' ? count : Math.ceil(count / 1_000) }, () => {
    const socket = connectSocket(Number(port), hostname)
    const count = (what: string) => {
      statuses[what] = (statuses[what] ?? 0) + 1
    }
    socket.on('error', () => count('reset'))
    socket.on('data', data => count(/^HTTP\/1.1 (\d+)/.exec(String(data))?.[1] ?? 'more'))
    socket.write(kind === 'half' ? half : Array.from({ length: 1_000 }, get).join(''))
    return socket
  })
  await new Promise(resolve => setTimeout(resolve, 15_000))
  for (const socket of sockets) socket.destroy()
  return statuses
}

if (import.meta.main) {
  const flood = JSON.parse(process.argv[2]!) as Flood
  const startMs = performance.now()
  const statuses = await (flood.kind ? raw(flood) : requests(flood))
  process.stdout.write(JSON.stringify({ statuses, seconds: (performance.now() - startMs) / 1_000 }))
}
