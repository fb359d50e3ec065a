import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

/** A listening server; disposing waits a while for responses in progress, then ends every connection. */
export type HttpServer = { readonly url: string; [Symbol.asyncDispose](): Promise<void> }

const drainMs = 3_000

/**
 * Open connections; each costs some 20 kB, plus 64 kB while an unread body arrives. Above the limit, the oldest connection of
 * the address with the most is ended, so that no address can lock out others.
 */
const maxConnections = 512
/** Per address: half remains for others. */
const maxOfOneAddress = maxConnections / 2
/** A trusted proxy counts this many connections as one: it serves many clients. */
const connectionsOfMany = 8
/** From here on, idle connections are ended to make room. */
const crowdedAt = 0.75 * maxConnections

/**
 * Bytes to read before checking that the connection is still open: Node.js parses all it has read at once (64 kB are 3,000
 * small requests), even after the first ended the connection.
 */
const sliceBytes = 4_096

/** https://nodejs.org/docs/latest-v24.x/api/http.html#httpcreateserveroptions-requestlistener */
const serverOptions = {
  headersTimeout: 10_000,
  /** Of the whole request, headers and body. */
  requestTimeout: 30_000,
  connectionsCheckingInterval: 2_000,
  /** Longer than nginx keeps a connection to walhook (60 s), so that it never sends a request on one that is about to close. */
  keepAliveTimeout: 65_000,
  maxHeaderSize: 16_384,
}
/** An idle connection is ended. Live pages send something every 20 s. */
const idleMs = 60_000

type Listening =
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
 * Listens on `host` and `port` (0: any free one). A taken port is a problem, not an exception. `keyOf` groups connections by
 * address; null: they count only in the total.
 */
export async function listenHttp(
  onRequest: RequestListener,
  options: { host: string; port: number; keyOf?: (address: string) => string | null },
): Promise<Listening> {
  const { host, port, keyOf = address => address } = options
  const server = createServer(serverOptions, onRequest)
  // The last resort, after making room.
  server.maxConnections = maxConnections + 16
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
        // A kept-alive connection is idle again after its last response.
        const idle = setInterval(() => server.closeIdleConnections(), 20)
        const cut = setTimeout(() => server.closeAllConnections(), drainMs)
        await closed
        clearInterval(idle)
        clearTimeout(cut)
      },
    },
  }
}

/** Passes input to the parser in slices, and none after the connection has ended. */
function readInSlices(socket: Socket): void {
  const [parse] = socket.listeners('data') as ((bytes: Buffer) => void)[]
  if (!parse) return
  socket.off('data', parse)
  socket.on('data', (bytes: Buffer) => {
    for (let at = 0; at < bytes.length; at += sliceBytes) {
      if (socket.destroyed) return
      // The responses are not read: the rest waits for the reader.
      if (socket.isPaused()) return void socket.unshift(bytes.subarray(at))
      parse(bytes.subarray(at, at + sliceBytes))
    }
  })
}

function boundConnections(server: Server, keyOf: (address: string) => string | null): void {
  /** By address, in the order of arrival. */
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
    if (key !== null && own.size >= maxOfOneAddress) {
      socket.destroy()
      return
    }
    open.set(key, own.add(socket))
    all++
    socket.once('close', () => forget(key, socket))
    if (all > crowdedAt) server.closeIdleConnections()
    if (all > maxConnections) endOne()
  })
}

function problemOf(error: NodeJS.ErrnoException, host: string, port: number) {
  if (error.code === 'EADDRINUSE')
    return {
      code: 'port_taken' as const,
      what: 'PORT',
      found: `another program listens on ${host}, port ${port}`,
      mend: 'set PORT to a free port, or to 0 for any free one',
    }
  if (error.code === 'EACCES')
    return {
      code: 'port_forbidden' as const,
      what: 'PORT',
      found: `this user may not open port ${port}`,
      mend: 'set PORT to 1024 or more',
    }
  return {
    code: 'host' as const,
    what: 'HOST',
    found: `${host}: ${error.message}`,
    mend: 'set HOST to an address of this machine',
  }
}
