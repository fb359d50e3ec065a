import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

/** A listening server; disposing it lets answers that are under way come, for a while, and ends every connection. */
export type HttpServer = { readonly url: string; [Symbol.asyncDispose](): Promise<void> }

const drainMs = 3_000

/**
 * Connections that may be open at once; each costs some 20 kB, and 64 kB more while a body comes in that nobody reads. One more
 * ends the oldest one of whoever has most, so that nobody is kept out by those who hold all they can get.
 */
const mostConnections = 512
/** Of one address: one that opens all it can leaves half for the others. */
const mostOfOneAddress = mostConnections / 2
/** A proxy that is trusted sends for many: so many connections of it count as one of somebody else. */
const connectionsOfMany = 8
/** From here on connections that wait for their next request are ended, to leave room. */
const crowdedAt = 0.75 * mostConnections

/**
 * So many bytes of a connection are read before it is looked whether it is still open: Node.js makes a request of everything that it has
 * read at once (64 kB are 3,000 small ones), also when the first of them has ended the connection.
 */
const sliceBytes = 4_096

/** https://nodejs.org/docs/latest-v24.x/api/http.html#httpcreateserveroptions-requestlistener */
const serverOptions = {
  headersTimeout: 10_000,
  /** Of the whole request, headers and body. */
  requestTimeout: 30_000,
  connectionsCheckingInterval: 2_000,
  /** Longer than nginx keeps a connection to walhook (60 s), so that it never sends a request on one that just ends. */
  keepAliveTimeout: 65_000,
  maxHeaderSize: 16_384,
}
/** A connection on which nothing moves is ended. Pages that follow what happens send something every 20 s. */
const idleMs = 60_000

export type Listening =
  | { readonly ok: true; readonly server: HttpServer }
  | {
      readonly ok: false
      readonly problem: {
        code: 'port_taken' | 'port_forbidden' | 'host'
        what: string
        found: string
        mend: string
      }
    }

/**
 * Listens on `host` and `port` (0: any free one). A taken port is a problem, not a throw. `keyOf` says what counts as one
 * address; connections of those for which it says null count only in all.
 */
export async function listenHttp(
  onRequest: RequestListener,
  options: { host: string; port: number; keyOf?: (address: string) => string | null },
): Promise<Listening> {
  const { host, port, keyOf = address => address } = options
  const server = createServer(serverOptions, onRequest)
  // The last resort: before it, room is made.
  server.maxConnections = mostConnections + 16
  server.timeout = idleMs
  boundConnections(server, keyOf)
  server.on('connection', readInSlices)
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(port, host, resolve)
    })
  } catch (error) {
    return { ok: false, problem: problemOf(error as NodeJS.ErrnoException, host, port) }
  }
  const { address, family, port: bound } = server.address() as AddressInfo
  return {
    ok: true,
    server: {
      url: `http://${family === 'IPv6' ? `[${address}]` : address}:${bound}`,
      async [Symbol.asyncDispose]() {
        const closed = new Promise<void>(resolve => {
          server.close(() => resolve())
        })
        // A connection that is kept alive becomes idle again once its last answer is out.
        const idle = setInterval(() => server.closeIdleConnections(), 20)
        const cut = setTimeout(() => server.closeAllConnections(), drainMs)
        await closed
        clearInterval(idle)
        clearTimeout(cut)
      },
    },
  }
}

/** Hands what comes to the parser in slices, and no more of it once the connection has ended. */
function readInSlices(socket: Socket): void {
  const [parse] = socket.listeners('data') as ((bytes: Buffer) => void)[]
  if (!parse) return
  socket.off('data', parse)
  socket.on('data', (bytes: Buffer) => {
    for (let at = 0; at < bytes.length; at += sliceBytes) {
      if (socket.destroyed) return
      // Answers wait for their reader: the rest comes when it has read.
      if (socket.isPaused()) return void socket.unshift(bytes.subarray(at))
      parse(bytes.subarray(at, at + sliceBytes))
    }
  })
}

function boundConnections(server: Server, keyOf: (address: string) => string | null): void {
  /** By address, each in the order of arrival. */
  const open = new Map<string | null, Set<Socket>>()
  let all = 0

  function forget(key: string | null, socket: Socket): void {
    const own = open.get(key)
    if (!own?.delete(socket)) return
    all--
    if (own.size === 0) open.delete(key)
  }

  function endOne(): void {
    const weight = (key: string | null, { size }: Set<Socket>) =>
      key === null ? size / connectionsOfMany : size
    const [[key, [oldest]]] = [...open].toSorted((a, b) => weight(...b) - weight(...a)) as [
      [string | null, Set<Socket>],
    ]
    forget(key, oldest!)
    oldest!.destroy()
  }

  server.on('connection', (socket: Socket) => {
    const key = keyOf(socket.remoteAddress ?? '')
    const own = open.get(key) ?? new Set()
    if (key !== null && own.size >= mostOfOneAddress) {
      socket.destroy()
      return
    }
    open.set(key, own.add(socket))
    all++
    socket.once('close', () => forget(key, socket))
    if (all > crowdedAt) server.closeIdleConnections()
    if (all > mostConnections) endOne()
  })
}

function problemOf(error: NodeJS.ErrnoException, host: string, port: number) {
  if (error.code === 'EADDRINUSE')
    return {
      code: 'port_taken' as const,
      what: 'PORT',
      found: `${port} on ${host} is taken by another program`,
      mend: 'set PORT to a free port, or to 0 for any',
    }
  if (error.code === 'EACCES')
    return {
      code: 'port_forbidden' as const,
      what: 'PORT',
      found: `${port} may not be opened by this user`,
      mend: 'set PORT to 1024 or more',
    }
  return {
    code: 'host' as const,
    what: 'HOST',
    found: `${host}: ${error.message}`,
    mend: 'set HOST to an address of this machine',
  }
}
