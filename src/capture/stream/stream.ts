import type { Client } from 'pg'
import { LogicalReplicationService } from 'pg-logical-replication'
import { type Lsn, parseLsn } from '../../domain/value/lsn.ts'
import { connectionTo } from '../../outbox/database/connecting.ts'
import { setUpSession } from '../../outbox/database/session-settings.ts'

/** What the stream calls, in the order in which the server sent it. A throw ends the stream. */
export type StreamHandler = {
  /** `bytes`: a message of pgoutput, to be read or copied before this returns. */
  onMessage(bytes: Buffer): void
  /** All WAL up to `walEnd` was sent before this, as far as it concerns the publication. */
  onKeepalive(walEnd: Lsn): void
}

/** An open replication connection. */
export type Stream = {
  /** Settles when the stream is over: resolves after `close`, rejects with what ended it. */
  readonly over: Promise<void>
  /** For how long, in ms, the server has sent nothing, though it is asked; 0 while nobody reads. */
  silentMs(): number
  /** Of the server's process that sends. */
  readonly backendPid: number
  /** Tells the server that everything before `lsn` is stored: it may forget that WAL. */
  confirm(lsn: Lsn): void
  /** Stops reading from the socket, so that the server waits; the link is kept alive meanwhile. */
  pause(): void
  resume(): void
  close(): Promise<void>
}

/** What pg-logical-replication keeps to itself: pg's own connection, which has the socket and the copy stream. */
type Connection = {
  stream: { pause(): void; resume(): void; destroy(): void; on(event: 'data', listener: () => void): void }
  sendCopyFromChunk(chunk: Buffer): void
}

/**
 * What was stored is confirmed together with what follows so soon, in ms. A status for each commit of a busy source would
 * cost both sides more than it tells: what is sent again after a crash is known by its position anyway.
 */
const confirmWithinMs = 50

/** Thrown by a stream whose server has sent nothing for too long. */
export class LinkDead extends Error {
  constructor(silentMs: number) {
    super(`the server has sent nothing for ${Math.round(silentMs / 1000)} s: the link is dead`)
  }
}

/**
 * Opens the stream of a slot at the place where the slot stands. A new object for every connection: this library
 * would resume a used one after the last change that it received, stored or not.
 *
 * Everything about confirming is done here, not by the library, which confirms one byte too far and, on a timer,
 * what was merely received. A status is sent five times within `silenceLimitMs`, also while paused, and asks for an answer.
 * A link that brings no byte for that long is given up, by either side: the session's `wal_sender_timeout` is the same,
 * whatever the server's is. A false alarm costs a reconnection, none would cost a stall that nobody sees.
 * https://www.postgresql.org/docs/current/protocol-replication.html
 */
export async function openStream(options: {
  url: string
  slotName: string
  publicationName: string
  /** A server that sends nothing for so long, though it is asked five times, is given up. */
  silenceLimitMs: number
  handler: StreamHandler
}): Promise<Stream> {
  const { handler, slotName } = options
  const over = Promise.withResolvers<void>()
  over.promise.catch(() => {})
  const started = Promise.withResolvers<void>()

  let confirmed: Lsn = 0n
  let telling: NodeJS.Timeout | null = null
  let isPaused = false
  let lastByteAtMs = performance.now()
  let backendPid = 0

  const service = new LogicalReplicationService(await connectionTo(options.url, 'walhook capture'), {
    acknowledge: { auto: false, timeoutSeconds: 0 },
    flowControl: { enabled: false },
  })
  const connection = () => (service as unknown as { _connection: Connection | null })._connection

  function fail(error: unknown) {
    over.reject(error)
    started.reject(error)
    connection()?.stream.destroy()
  }

  service.on('start', () => started.resolve())
  service.on('error', fail)
  // A throw would escape into the socket's event.
  function handle(work: () => void) {
    lastByteAtMs = performance.now()
    try {
      work()
    } catch (error) {
      fail(error)
    }
  }

  service.on('data', (_lsn: string, bytes: Buffer) => handle(() => handler.onMessage(bytes)))
  service.on('heartbeat', (lsn: string, _timestamp: number, shouldRespond: boolean) =>
    handle(() => {
      handler.onKeepalive(parseLsn(lsn))
      if (shouldRespond) sendStatus(false, parseLsn(lsn))
    }),
  )

  function sendStatus(asksForAnswer: boolean, received: Lsn = confirmed) {
    connection()?.sendCopyFromChunk(statusUpdate(confirmed, Date.now(), asksForAnswer, received))
  }

  function tell() {
    telling = null
    sendStatus(false)
  }

  const silentMs = () => (isPaused ? 0 : performance.now() - lastByteAtMs)
  const timer = setInterval(() => {
    if (silentMs() > options.silenceLimitMs) fail(new LinkDead(silentMs()))
    else sendStatus(true)
  }, options.silenceLimitMs / 5)

  service
    .subscribe(
      textPlugin(options, pid => {
        backendPid = pid
      }),
      slotName,
      '0/0',
    )
    .then(() => fail(new Error('the server has ended the stream')), fail)
  over.promise
    .catch(() => {})
    .finally(() => {
      clearInterval(timer)
      clearTimeout(telling ?? undefined)
    })
  await started.promise
  // Also the pieces of a message that takes long to come: a row may have hundreds of megabytes.
  connection()?.stream.on('data', () => {
    lastByteAtMs = performance.now()
  })

  return {
    over: over.promise,
    silentMs,
    backendPid,
    confirm(lsn) {
      if (lsn <= confirmed) return
      confirmed = lsn
      telling ??= setTimeout(tell, confirmWithinMs)
    },
    pause() {
      isPaused = true
      connection()?.stream.pause()
    },
    resume() {
      isPaused = false
      lastByteAtMs = performance.now()
      connection()?.stream.resume()
    },
    async close() {
      over.resolve()
      sendStatus(false)
      connection()?.stream.resume()
      // The server may be silent: what it does not end by itself within a second is cut.
      const cut = setTimeout(() => connection()?.stream.destroy(), 1_000)
      await service.destroy().catch(() => {})
      clearTimeout(cut)
    },
  }
}

/** Asks for pgoutput in text, and leaves the decoding to whoever has the time. */
function textPlugin(
  { publicationName, silenceLimitMs }: { publicationName: string; silenceLimitMs: number },
  onBackend: (pid: number) => void,
) {
  return {
    name: 'pgoutput',
    options: {},
    parse: (bytes: Buffer) => bytes,
    async start(client: Client, slotName: string) {
      // pgoutput writes values with the settings of this very session.
      onBackend(await setUpSession(client))
      await client.query(`set wal_sender_timeout = ${silenceLimitMs}`)
      // Both names have been checked against a pattern that leaves nothing to quote.
      return await client.query(
        `START_REPLICATION SLOT "${slotName}" LOGICAL 0/0
         (proto_version '1', publication_names '${publicationName}', messages 'true')`,
      )
    },
  }
}

/**
 * A Standby status update, 34 bytes: everything before `lsn` is flushed and applied, everything before `received` is
 * received. Where more is received than flushed, nothing is said of flushing: a server that shuts down waits until its
 * last WAL is flushed by whoever names a flush position, else until it is received. Only the flush position moves the slot.
 * https://www.postgresql.org/docs/current/protocol-replication.html#PROTOCOL-REPLICATION-STANDBY-STATUS-UPDATE
 */
export function statusUpdate(lsn: Lsn, nowMs: number, asksForAnswer: boolean, received: Lsn = lsn): Buffer {
  const bytes = Buffer.alloc(34)
  bytes.write('r', 0)
  const flushed = received > lsn ? 0n : lsn
  bytes.writeBigUInt64BE(received > lsn ? received : lsn, 1)
  bytes.writeBigUInt64BE(flushed, 9)
  bytes.writeBigUInt64BE(flushed, 17)
  bytes.writeBigInt64BE(BigInt(nowMs - 946_684_800_000) * 1000n, 25)
  bytes.writeInt8(asksForAnswer ? 1 : 0, 33)
  return bytes
}
