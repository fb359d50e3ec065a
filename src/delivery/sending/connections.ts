import { Client } from 'undici'
import { withoutBrackets } from '../../domain/value/address.ts'
import { type ClientIdentity, identityId } from '../../domain/webhook/client-certificate.ts'
import { sleep } from '../../runtime/sleep.ts'
import { type AnswerHead, createAnswerHead, readThrough } from './answer-head.ts'
import { createHabits } from './habits.ts'
import { type Opening, type OpeningOptions, openSocket } from './opening.ts'

/** One connection to a receiver, for one request at a time. */
export type Connection = {
  readonly client: Client
  readonly origin: string
  /** What it may be used for: the origin, and the client certificate that it was opened with. */
  readonly key: string
  readonly madeAtMs: number
  readonly answer: AnswerHead
  /** What is known of its opening; null before that has begun. */
  opening: Opening | null
  /** Since when it has been idle; null before its first request, and during each. */
  idleSinceMs: number | null
  /** How long it had been idle before the request that is under way. */
  idleForMs: number
}

function keyOf(origin: string, identity: ClientIdentity | null): string {
  return identity === null ? origin : `${origin} ${identityId(identity)}`
}

export type Connections = ReturnType<typeof openConnections>

const mostIdle = 600
/** As many as may be in flight: all webhooks may go to one receiver. */
const mostIdlePerOrigin = 500
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
 * How long one may be kept is learned from its receiver (`createHabits`).
 *
 * Every name is resolved by the guard's `lookup` as a connection is opened, which leads to judged addresses only; a
 * connection serves the host that it was opened for, and is given up after a minute, so that it follows DNS. What is
 * idle is bounded, by origin and in all, and is closed after seconds.
 */
export function openConnections(options: OpeningOptions) {
  const idle = new Map<string, Connection[]>()
  let idleCount = 0
  const all = new Set<Connection>()
  const nowMs = () => performance.now()
  const habits = createHabits(nowMs)
  let isClosed = false

  function open(origin: string, identity: ClientIdentity | null): Connection {
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
          identity,
        }
        connection.opening = openSocket(peer, options, (error, socket) => {
          if (error) callback(error, null)
          else callback(null, readThrough(socket!, connection.answer))
        })
      },
    })
    const connection: Connection = {
      client,
      origin,
      key: keyOf(origin, identity),
      madeAtMs: nowMs(),
      answer: createAnswerHead(nowMs),
      opening: null,
      idleSinceMs: null,
      idleForMs: 0,
    }
    all.add(connection)
    client.on('disconnect', (_origin, _targets, error) => {
      // Not where its time here was up.
      const isTheirs = (error as NodeJS.ErrnoException | undefined)?.code !== 'UND_ERR_INFO'
      if (isTheirs && connection.idleSinceMs !== null) habits.closed(origin, idleForMs(connection))
      drop(connection)
    })
    return connection
  }

  function idleForMs({ idleSinceMs }: Connection): number {
    return idleSinceMs === null ? 0 : nowMs() - idleSinceMs
  }

  function forget(connection: Connection): boolean {
    const kept = idle.get(connection.key)
    const at = kept?.indexOf(connection) ?? -1
    if (!kept || at < 0) return false
    kept.splice(at, 1)
    idleCount--
    if (kept.length === 0) idle.delete(connection.key)
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
  function takeKept(origin: string, identity: ClientIdentity | null): Connection | null {
    const key = keyOf(origin, identity)
    for (;;) {
      const connection = idle.get(key)?.at(-1)
      if (!connection) return null
      forget(connection)
      const isOld = nowMs() - connection.madeAtMs > oldestMs
      const isKept = habits.isKept(origin, idleForMs(connection))
      if (!isOld && isKept && !connection.client.closed && !connection.client.destroyed) return connection
      drop(connection)
    }
  }

  function take(origin: string, isNew = false, identity: ClientIdentity | null = null): Connection {
    return (isNew ? null : takeKept(origin, identity)) ?? open(origin, identity)
  }

  return {
    /** A connection to the origin of a URL that was judged: one that was kept, or a new one (`isNew`), not open yet. */
    take,

    /** As `take`, once nothing speaks against using it: of a receiver that is new, the end of its first one may be on its way. */
    async takeSurely(origin: string, isNew: boolean, identity: ClientIdentity | null): Promise<Connection> {
      for (;;) {
        const connection = take(origin, isNew, identity)
        const doubtMs = connection.idleSinceMs === null ? 0 : habits.doubtMs(origin, idleForMs(connection))
        if (doubtMs === 0) return connection
        await sleep(doubtMs)
        if (isClosed || !connection.client.destroyed) return connection
      }
    },

    /** A request is about to be sent. */
    begin(connection: Connection): void {
      connection.idleForMs = idleForMs(connection)
      connection.idleSinceMs = null
    },

    /** An answer has come; `isKept`: over a connection that was used before, or that the receiver says it keeps. */
    noteAnswer(connection: Connection, isKept: boolean): void {
      if (isKept) habits.keeps(connection.origin)
    },

    /** The receiver closed a kept connection over which a request was under way. */
    noteClosed: ({ origin, idleForMs }: Connection) => habits.closed(origin, idleForMs),

    /** Keeps a connection whose request has ended well for the next one. */
    giveBack(connection: Connection): void {
      const { client, key } = connection
      const kept = idle.get(key) ?? []
      if (client.destroyed || client.closed || idleCount >= mostIdle || kept.length >= mostIdlePerOrigin) {
        drop(connection)
        return
      }
      connection.idleSinceMs = nowMs()
      kept.push(connection)
      idle.set(key, kept)
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
