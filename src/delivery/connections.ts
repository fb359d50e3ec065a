import type { Socket } from 'node:net'
import { buildConnector, Client } from 'undici'
import type { Phase } from '../domain/attempt.ts'
import type { Guard } from './guard.ts'

/** How long each phase of opening a connection took, in ms. */
export type Opening = Readonly<Partial<Record<Phase, number>>>

/** One connection to a receiver, for one request at a time. */
export type Connection = {
  readonly client: Client
  readonly origin: string
  readonly madeAtMs: number
  /** Where it leads, once it is open. */
  remoteAddress: string | null
  /** What its opening took, until a request has taken that for its own; null on a connection that was kept. */
  opening: Opening | null
}

export type Connections = ReturnType<typeof openConnections>

const mostIdle = 500
const mostIdlePerOrigin = 100
/** As long as a connection is kept without a hint of the receiver, and at most: shorter than servers usually keep theirs. */
const idleMs = 4_000
const longestIdleMs = 30_000
/** Names are resolved and judged anew at least this often, however busy a connection is. */
const oldestMs = 60_000
const maxHeaderBytes = 16_384

/**
 * Keeps connections to receivers between requests. A connection is taken by one request and given back after it, so
 * that it is known of each attempt whether it opened one, where that leads and what it took. HTTP/1.1 only.
 *
 * Every name is resolved by the guard's `lookup` as a connection is opened, which leads to judged addresses only; a
 * connection serves the host that it was opened for, and is given up after a minute, so that it follows DNS. What is
 * idle is bounded, by origin and in all, and is closed after seconds.
 */
export function openConnections(options: { guard: Pick<Guard, 'lookup'>; connectTimeoutMs: number }) {
  const idle = new Map<string, Connection[]>()
  let idleCount = 0
  const all = new Set<Client>()
  const connect = buildConnector({
    lookup: options.guard.lookup,
    timeout: options.connectTimeoutMs,
    allowH2: false,
  })

  function open(origin: string): Connection {
    const client = new Client(origin, {
      pipelining: 1,
      keepAliveTimeout: idleMs,
      keepAliveMaxTimeout: longestIdleMs,
      // The attempt's deadline is the only clock on a request.
      headersTimeout: 0,
      bodyTimeout: 0,
      maxHeaderSize: maxHeaderBytes,
      connect(target, callback) {
        // It returns the socket, of which its type says nothing.
        const socket = connect(target, (error, opened) => {
          if (error) return callback(error, null)
          connection.remoteAddress = opened!.remoteAddress ?? null
          connection.opening = phases(target.protocol)
          callback(null, opened!)
        }) as unknown as Socket
        const phases = measure(socket)
      },
    })
    const connection: Connection = {
      client,
      origin,
      madeAtMs: performance.now(),
      remoteAddress: null,
      opening: null,
    }
    all.add(client)
    client.on('disconnect', () => drop(connection))
    return connection
  }

  function forget(connection: Connection): boolean {
    const kept = idle.get(connection.origin)
    const at = kept?.indexOf(connection) ?? -1
    if (!kept || at < 0) return false
    kept.splice(at, 1)
    idleCount--
    if (kept.length === 0) idle.delete(connection.origin)
    return true
  }

  function drop(connection: Connection): void {
    forget(connection)
    all.delete(connection.client)
    // Whatever it still has to tell, nobody waits for it.
    if (!connection.client.destroyed) connection.client.destroy(() => {})
  }

  /** The one that was used last: those that are not needed then grow old and end. */
  function takeKept(origin: string): Connection | null {
    for (;;) {
      const connection = idle.get(origin)?.at(-1)
      if (!connection) return null
      forget(connection)
      const isOld = performance.now() - connection.madeAtMs > oldestMs
      if (!isOld && !connection.client.closed && !connection.client.destroyed) return connection
      drop(connection)
    }
  }

  return {
    /** A connection to the origin of a URL that was judged: one that was kept, or a new one (`isNew`), not open yet. */
    take(origin: string, isNew = false): Connection {
      return (isNew ? null : takeKept(origin)) ?? open(origin)
    },

    /** Keeps a connection whose request has ended well for the next one. */
    giveBack(connection: Connection): void {
      const { client, origin } = connection
      const kept = idle.get(origin) ?? []
      if (client.destroyed || client.closed || idleCount >= mostIdle || kept.length >= mostIdlePerOrigin) {
        drop(connection)
        return
      }
      kept.push(connection)
      idle.set(origin, kept)
      idleCount++
    },

    drop,

    async close(): Promise<void> {
      idle.clear()
      idleCount = 0
      await Promise.all([...all].map(client => client.destroy()))
      all.clear()
    },
  }
}

/** Hears of each step of a socket's opening; the function that it returns tells how long each took, once it is open. */
function measure(socket: Socket) {
  const startMs = performance.now()
  let lookedUpMs: number | null = null
  let connectedMs: number | null = null
  // A name with several addresses is told of once for each.
  socket.once('lookup', () => {
    lookedUpMs = performance.now()
  })
  socket.once('connect', () => {
    connectedMs = performance.now()
  })
  return (protocol: string): Opening => {
    const nowMs = performance.now()
    const connectedAtMs = connectedMs ?? nowMs
    return {
      ...(lookedUpMs !== null && { dns: round(lookedUpMs - startMs) }),
      connect: round(connectedAtMs - (lookedUpMs ?? startMs)),
      ...(protocol === 'https:' && { tls: round(nowMs - connectedAtMs) }),
    }
  }
}

/** To a microsecond. */
export const round = (ms: number) => Math.round(ms * 1000) / 1000
