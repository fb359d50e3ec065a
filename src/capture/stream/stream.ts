import type { Client } from 'pg'
import { LogicalReplicationService } from 'pg-logical-replication'
import { type Lsn, parseLsn } from '../../domain/value/lsn.ts'
import { connectionTo } from '../../outbox/database/connecting.ts'
import { setUpSession } from '../../outbox/database/session-settings.ts'

/** The receiver of the stream's messages, in the server's order. A throw ends the stream. */
export type StreamHandler = {
  /** `bytes`: a pgoutput message, to be read or copied before this returns. */
  onMessage(bytes: Buffer): void
  /** All WAL up to `walEnd` that concerns the publication was sent before this. */
  onKeepalive(walEnd: Lsn): void
}

/** An open replication connection. */
export type Stream = {
  /** Settles with the stream: resolves after `close`, rejects with what ended it. */
  readonly over: Promise<void>
  /** The ms since the server last sent anything, although asked; 0 while paused. */
  silentMs(): number
  /** The process id of the walsender. */
  readonly backendPid: number
  /** Confirms that everything before `lsn` is stored: the server may release that WAL. */
  confirm(lsn: Lsn): void
  /** Stops reading from the socket, so that the server waits; the link is kept alive. */
  pause(): void
  resume(): void
  close(): Promise<void>
}

/** Internals of pg-logical-replication: pg's connection, with the socket and the copy stream. */
type Connection = {
  stream: { pause(): void; resume(): void; destroy(): void; on(event: 'data', listener: () => void): void }
  sendCopyFromChunk(chunk: Buffer): void
}

/**
 * Confirmations within this time are combined, in ms: a status per commit would cost both sides more than it is worth, since
 * positions identify repeated changes after a crash.
 */
const confirmWithinMs = 50

/** Thrown by a stream whose server was silent for too long. */
export class LinkDead extends Error {
  constructor(silentMs: number) {
    super(`the server has sent nothing for ${Math.round(silentMs / 1000)} s: the link is dead`)
  }
}

/**
 * Opens the stream of a slot at the slot's position. A new object per connection: the library would resume a used one after
 * the last received change, stored or not. The library's confirmations (one byte too far, and on a timer what was merely
 * received) are replaced by ours.
 *
 * A status is sent five times within `silenceLimitMs`, also while paused, and asks for an answer. Both sides drop a silent
 * link after that time (the session's `wal_sender_timeout` is equal). A false alarm costs a reconnection; none would leave an
 * invisible stall.
 * https://www.postgresql.org/docs/current/protocol-replication.html
 */
export async function openStream(options: {
  url: string
  slotName: string
  publicationName: string
  /** Whether the server writes texts as UTF-8: otherwise they come in the encoding of the database. */
  isConverted?: boolean
  /** The limit of the server's silence, although asked five times. */
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
  // Counts pieces of a slow message too: a row may have hundreds of megabytes.
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
      // A silent server is cut off after a second.
      const cut = setTimeout(() => connection()?.stream.destroy(), 1_000)
      await service.destroy().catch(() => {})
      clearTimeout(cut)
    },
  }
}

/** Requests pgoutput in text, and leaves decoding to the consumer. */
function textPlugin(
  { publicationName, silenceLimitMs, isConverted = true }: Parameters<typeof openStream>[0],
  onBackend: (pid: number) => void,
) {
  return {
    name: 'pgoutput',
    options: {},
    parse: (bytes: Buffer) => bytes,
    async start(client: Client, slotName: string) {
      // pgoutput formats values with this session's settings.
      onBackend(await setUpSession(client))
      // No conversion: https://www.postgresql.org/docs/current/multibyte.html#MULTIBYTE-AUTOMATIC-CONVERSION
      if (!isConverted) await client.query(`set client_encoding = 'SQL_ASCII'`)
      await client.query(`set wal_sender_timeout = ${silenceLimitMs}`)
      // Both names match a pattern without anything to quote.
      return await client.query(
        `START_REPLICATION SLOT "${slotName}" LOGICAL 0/0
         (proto_version '1', publication_names '${publicationName}', messages 'true')`,
      )
    },
  }
}

/**
 * A Standby status update of 34 bytes: everything before `lsn` is flushed and applied, everything before `received` is
 * received. If more is received than flushed, the flush position is omitted: a server that shuts down waits for the flush of
 * any client that reports one. Only the flush position moves the slot.
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
