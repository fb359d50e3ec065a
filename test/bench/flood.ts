import { connect as connectSocket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { Pool } from 'undici'
import type { Asked } from './all-paths.ts'

/**
 * A program of its own, so that what it does is on another event loop than what is measured:
 * `node test/bench/flood.ts '{"url": …, "ask": …, "count": …, "connections": …, "perSecond": …}'` sends requests as fast as answers
 * come, or so many in a second, and prints how many of each status came.
 */
export type Flood = {
  readonly url: string
  /** In turn. */
  readonly ask: readonly Asked[]
  readonly headers?: Readonly<Record<string, string>>
  /** Of what is not a GET. */
  readonly body?: string
  readonly count: number
  readonly connections: number
  /** From where, so that whoever watches has another address. */
  readonly localAddress?: string
  /** Absent: as fast as answers come. */
  readonly perSecond?: number
  /**
   * `half`: begins to send a body and goes no further; `half head`: the same of the head; `pipelined`: waits for no answer; `unread`: reads
   * none; `follow`: reads what an answer that goes on brings.
   */
  readonly kind?: 'half' | 'half head' | 'pipelined' | 'unread' | 'follow'
}

export type Flooded = { readonly statuses: Record<string, number>; readonly seconds: number }

const heldMs = 15_000
const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const invented = () => Array.from({ length: 43 }, () => letters[Math.floor(Math.random() * 64)]).join('')
/** `$RANDOM` stands for what is another in each request. */
const fresh = (text: string) => text.replaceAll('$RANDOM', invented)

function counter() {
  const statuses: Record<string, number> = {}
  const count = (what: string) => {
    statuses[what] = (statuses[what] ?? 0) + 1
  }
  return { statuses, count }
}

async function requests({
  url,
  ask,
  headers = {},
  body,
  count: max,
  connections,
  perSecond,
  localAddress,
}: Flood) {
  const { statuses, count } = counter()
  const pool = new Pool(url, { connections, pipelining: 1, ...(localAddress && { localAddress }) })
  const startMs = performance.now()
  let sent = 0
  const one = async (): Promise<void> => {
    while (sent < max) {
      const n = sent++
      if (perSecond) await sleep(Math.max(0, startMs + (n * 1_000) / perSecond - performance.now()))
      const { method, path } = ask[n % ask.length]!
      try {
        const response = await pool.request({
          path,
          method: method as 'GET',
          headers: Object.fromEntries(Object.entries(headers).map(([name, text]) => [name, fresh(text)])),
          ...(body !== undefined && method !== 'GET' && { body: fresh(body) }),
        })
        await response.body.dump({ limit: 100_000_000 })
        count(String(response.statusCode))
      } catch {
        count('failed')
      }
    }
  }
  await Promise.all(Array.from({ length: connections }, one))
  await pool.destroy()
  return statuses
}

/** Raw connections, held for a while. */
async function raw({ url, ask, headers = {}, count: max, kind, localAddress }: Flood) {
  const { hostname, port } = new URL(url)
  const { statuses, count } = counter()
  const [{ path }] = ask as [Asked]
  const lines = () =>
    Object.entries(headers)
      .map(([name, text]) => `${name}: ${fresh(text)}\r\n`)
      .join('')
  const get = () => `GET ${path} HTTP/1.1\r\nhost: ${hostname}\r\n${lines()}\r\n`
  const begin = `POST ${path} HTTP/1.1\r\nhost: ${hostname}\r\ncontent-length: 250000\r\n`
  const written = () => {
    switch (kind) {
      case 'half':
        return `${begin}\r\ntoken=${'x'.repeat(249_000)}`
      case 'half head':
        return begin
      case 'unread':
        return get().repeat(8)
      case 'follow':
        return get()
      default:
        return Array.from({ length: 1_000 }, get).join('')
    }
  }
  const connections = kind === 'pipelined' ? Math.ceil(max / 1_000) : max
  const sockets = Array.from({ length: connections }, () => {
    const socket = connectSocket({
      host: hostname,
      port: Number(port),
      ...(localAddress && { localAddress }),
    })
    socket.on('error', () => count('reset')).on('end', () => count('ended'))
    if (kind === 'unread') socket.pause()
    else socket.on('data', data => count(/^HTTP\/1.1 (\d+)/.exec(String(data))?.[1] ?? 'more'))
    socket.write(written())
    return socket
  })
  await sleep(heldMs)
  for (const socket of sockets) socket.destroy()
  return statuses
}

if (import.meta.main) {
  const flood = JSON.parse(process.argv[2]!) as Flood
  const startMs = performance.now()
  const statuses = await (flood.kind ? raw(flood) : requests(flood))
  process.stdout.write(JSON.stringify({ statuses, seconds: (performance.now() - startMs) / 1_000 }))
}
