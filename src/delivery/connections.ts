import { Client } from 'undici'
import { withoutBrackets } from '../domain/address.ts'
import { type Opening, type OpeningOptions, openSocket } from './opening.ts'

/** One connection to a receiver, for one request at a time. */
export type Connection = {
  readonly client: Client
  readonly origin: string
  readonly madeAtMs: number
  /** What is known of its opening; null before that has begun. */
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
export function openConnections(options: OpeningOptions) {
  const idle = new Map<string, Connection[]>()
  let idleCount = 0
  const all = new Set<Connection>()
  let isClosed = false

  function open(origin: string): Connection {
    const client = new Client(origin, {
      pipelining: 1,
      keepAliveTimeout: idleMs,
      keepAliveMaxTimeout: longestIdleMs,
      // The attempt's deadline is the only clock on a request.
      headersTimeout: 0,
      bodyTimeout: 0,
      maxHeaderSize: maxHeaderBytes,
      connect({ protocol, hostname, port }, callback) {
        const peer = {
          protocol,
          hostname: withoutBrackets(hostname),
          port: Number(port) || (protocol === 'https:' ? 443 : 80),
        }
        connection.opening = openSocket(peer, options, (error, socket) => {
          if (error) callback(error, null)
          else callback(null, socket!)
        })
      },
    })
    const connection: Connection = {
      client,
      origin,
      madeAtMs: performance.now(),
      opening: null,
    }
    all.add(connection)
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
    all.delete(connection)
    // Also where it is still being opened: undici would wait for that to end.
    connection.opening?.cancel()
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

    isClosed: () => isClosed,

    async close(): Promise<void> {
      isClosed = true
      idle.clear()
      idleCount = 0
      await Promise.all(
        [...all].map(({ client, opening }) => {
          opening?.cancel()
          return client.destroy()
        }),
      )
      all.clear()
    },
  }
}
