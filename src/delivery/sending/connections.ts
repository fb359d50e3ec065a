import { Client } from 'undici'
import { withoutBrackets } from '../../domain/value/address.ts'
import { type ClientIdentity, identityId } from '../../domain/webhook/client-certificate.ts'
import { sleep } from '../../runtime/sleep.ts'
import { createIdleConnections } from './idle-connections.ts'
import { createIdleLimits, type IdleLimits } from './idle-limits.ts'
import { type Opening, type OpeningOptions, openSocket } from './opening.ts'
import { createResponseHead, type ResponseHead, readThrough } from './response-head.ts'

/** One connection to a receiver, for one request at a time. */
export type Connection = {
  readonly client: Client
  readonly origin: string
  /** What it may be used for: origin and client certificate. */
  readonly key: string
  readonly madeAtMs: number
  readonly responseHead: ResponseHead
  /** The state of its opening; null: not begun. */
  opening: Opening | null
  /** Since when it is idle; null: unused, or in use. */
  idleSinceMs: number | null
  /** How long it was idle before the present request. */
  idleForMs: number
}

function keyOf(origin: string, identity: ClientIdentity | null): string {
  return identity === null ? origin : `${origin} ${identityId(identity)}`
}

export type Connections = ReturnType<typeof openConnections>

/** The default and maximum idle time: shorter than servers usually keep a connection. */
const idleMs = 4_000
const longestIdleMs = 30_000
/** Names are resolved and checked again at least this often, however busy a connection is. */
const oldestMs = 60_000
const maxHeaderBytes = 16_384

const nowMs = () => performance.now()
const idleForMs = ({ idleSinceMs }: Connection) => (idleSinceMs === null ? 0 : nowMs() - idleSinceMs)

/**
 * Keeps connections to receivers between requests, HTTP/1.1 only. One request takes a connection and returns it, so that each
 * attempt knows whether it opened one, where to, and how long it took. `createIdleLimits` learns how long a receiver keeps them.
 *
 * The guard's `lookup` resolves every name to checked addresses only. A connection serves one host, for at most a minute so
 * that it follows DNS. Idle ones are limited, per origin and in all, and closed after seconds.
 */
export function openConnections(options: OpeningOptions) {
  const idle = createIdleConnections<Connection>()
  const all = new Set<Connection>()
  const idleLimits = createIdleLimits(nowMs)
  let isClosed = false

  function open(origin: string, identity: ClientIdentity | null): Connection {
    const connection = openConnection(origin, identity, options)
    all.add(connection)
    connection.client.on('disconnect', (_origin, _targets, error) => {
      // Unless its time here was up.
      const isTheirs = (error as NodeJS.ErrnoException | undefined)?.code !== 'UND_ERR_INFO'
      if (isTheirs && connection.idleSinceMs !== null) idleLimits.closed(origin, idleForMs(connection))
      drop(connection)
    })
    return connection
  }

  function drop(connection: Connection): void {
    idle.remove(connection)
    all.delete(connection)
    // Later events of it are ignored.
    end(connection).catch(() => {})
  }

  function takeKept(key: string): Connection | null {
    let connection = idle.take(key)
    for (; connection && !isReusable(connection, idleLimits); connection = idle.take(key)) drop(connection)
    return connection
  }

  function take(origin: string, isNew = false, identity: ClientIdentity | null = null): Connection {
    return (isNew ? null : takeKept(keyOf(origin, identity))) ?? open(origin, identity)
  }

  return {
    /** A connection to a checked URL's origin: a kept one, or a new one (`isNew`), not open yet. */
    take,

    /** As `take`, once the connection is safe to use, mostly at once: a new receiver may be closing its first one. */
    takeSurely(origin: string, identity: ClientIdentity | null): Connection | Promise<Connection> {
      const connection = take(origin, false, identity)
      const doubtMs = connection.idleSinceMs === null ? 0 : idleLimits.doubtMs(origin, idleForMs(connection))
      if (doubtMs === 0) return connection
      return sleep(doubtMs).then(() =>
        isClosed || !connection.client.destroyed ? connection : this.takeSurely(origin, identity),
      )
    },

    /** A request is about to be sent. */
    begin(connection: Connection): void {
      connection.idleForMs = idleForMs(connection)
      connection.idleSinceMs = null
    },

    /** A response came over a reused connection, or its receiver says that it keeps it. */
    noteKept: ({ origin }: Connection) => idleLimits.keeps(origin),

    /** The receiver closed a reused connection during a request. */
    noteClosed: ({ origin, idleForMs }: Connection) => idleLimits.closed(origin, idleForMs),

    /** Keeps a connection after a successful request. */
    giveBack(connection: Connection): void {
      const { client } = connection
      if (client.destroyed || client.closed || !idle.add(connection)) drop(connection)
      else connection.idleSinceMs = nowMs()
    },

    drop,

    isClosed: () => isClosed,

    async close(): Promise<void> {
      isClosed = true
      idle.clear()
      await Promise.all([...all].map(end))
      all.clear()
    },
  }
}

function isReusable(connection: Connection, idleLimits: IdleLimits): boolean {
  const { client, origin, madeAtMs } = connection
  const isOld = nowMs() - madeAtMs > oldestMs
  return !isOld && idleLimits.isKept(origin, idleForMs(connection)) && !client.closed && !client.destroyed
}

/** Also while it is being opened: undici would wait for that to end. */
async function end({ client, opening }: Connection): Promise<void> {
  opening?.cancel()
  if (!client.destroyed) await client.destroy()
}

/** A connection that opens, through the guard, with its first request. */
function openConnection(
  origin: string,
  identity: ClientIdentity | null,
  options: OpeningOptions,
): Connection {
  const client = new Client(origin, {
    pipelining: 1,
    keepAliveTimeout: idleMs,
    keepAliveMaxTimeout: longestIdleMs,
    // The attempt's deadline is the only limit of a request.
    headersTimeout: 0,
    bodyTimeout: 0,
    maxHeaderSize: maxHeaderBytes,
    connect({ protocol, hostname, port }, callback) {
      const peer = {
        protocol,
        hostname: withoutBrackets(hostname),
        port: Number(port) || (protocol === 'https:' ? 443 : 80),
        identity,
      }
      connection.opening = openSocket(peer, options, (error, socket) => {
        if (error) callback(error, null)
        else callback(null, readThrough(socket!, connection.responseHead))
      })
    },
  })
  const connection: Connection = {
    client,
    origin,
    key: keyOf(origin, identity),
    madeAtMs: nowMs(),
    responseHead: createResponseHead(nowMs),
    opening: null,
    idleSinceMs: null,
    idleForMs: 0,
  }
  return connection
}
