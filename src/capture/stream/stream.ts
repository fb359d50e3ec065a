import type { Client, ClientConfig } from 'pg'
import { LogicalReplicationService } from 'pg-logical-replication'
import { type Lsn, parseLsn } from '../../domain/value/lsn.ts'
import { connectionTo, DatabaseClient } from '../../outbox/database/connecting.ts'
import { setUpSession } from '../../outbox/database/session-settings.ts'
import { openReports } from './reports.ts'

/** The receiver of the stream's messages, in the server's order. A throw ends the stream. */
type StreamHandler = {
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

type StreamOptions = {
  readonly url: string
  readonly slotName: string
  readonly publicationName: string
  /** Whether the server writes texts as UTF-8: otherwise they come in the encoding of the database. */
  readonly isConverted?: boolean
  /** The limit of the server's silence, although asked five times. */
  readonly silenceLimitMs: number
  readonly handler: StreamHandler
}

/** Internals of pg-logical-replication: pg's connection, with the socket and the copy stream. */
type Connection = {
  stream: { pause(): void; resume(): void; destroy(): void; on(event: 'data', listener: () => void): void }
  sendCopyFromChunk(chunk: Buffer): void
}

/** The library's own client would follow the TLS parameters of a URL in another way than the other connections. */
function openBy(service: LogicalReplicationService, config: ClientConfig): void {
  const inner = service as unknown as {
    _client: Client
    _connection: unknown
    client(): Promise<[Client, unknown]>
  }
  inner.client = async () => {
    const replicating: ClientConfig & { replication: string } = { ...config, replication: 'database' }
    const client = new DatabaseClient(replicating)
    inner._client = client
    await client.connect()
    inner._connection = (client as unknown as { connection: unknown }).connection
    client.on('error', error => service.emit('error', error))
    return [client, inner._connection]
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
export async function openStream(options: StreamOptions): Promise<Stream> {
  const { handler, slotName } = options
  const over = Promise.withResolvers<void>()
  over.promise.catch(() => {})
  const started = Promise.withResolvers<void>()

  let backendPid = 0
  const config = await connectionTo(options.url, 'walhook capture')
  const service = new LogicalReplicationService(config, {
    acknowledge: { auto: false, timeoutSeconds: 0 },
    flowControl: { enabled: false },
  })
  openBy(service, config)
  const connection = () => (service as unknown as { _connection: Connection | null })._connection
  const reports = openReports({
    send: bytes => connection()?.sendCopyFromChunk(bytes),
    silenceLimitMs: options.silenceLimitMs,
    onDead: fail,
  })

  function fail(error: unknown) {
    over.reject(error)
    started.reject(error)
    connection()?.stream.destroy()
  }

  // A throw would escape into the socket's event.
  function handle(work: () => void) {
    reports.heard()
    try {
      work()
    } catch (error) {
      fail(error)
    }
  }

  service.on('start', () => started.resolve())
  service.on('error', fail)
  service.on('data', (_lsn: string, bytes: Buffer) => handle(() => handler.onMessage(bytes)))
  service.on('heartbeat', (lsn: string, _timestamp: number, shouldRespond: boolean) =>
    handle(() => {
      handler.onKeepalive(parseLsn(lsn))
      if (shouldRespond) reports.answer(parseLsn(lsn))
    }),
  )
  const plugin = textPlugin(options, pid => {
    backendPid = pid
  })
  service
    .subscribe(plugin, slotName, '0/0')
    .then(() => fail(new Error('the server has ended the stream')), fail)
  over.promise.catch(() => {}).finally(reports.end)
  await started.promise
  // Counts pieces of a slow message too: a row may have hundreds of megabytes.
  connection()?.stream.on('data', reports.heard)

  return {
    over: over.promise,
    silentMs: reports.silentMs,
    backendPid,
    confirm: reports.confirm,
    pause() {
      reports.pause()
      connection()?.stream.pause()
    },
    resume() {
      reports.resume()
      connection()?.stream.resume()
    },
    async close() {
      over.resolve()
      reports.now()
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
  { publicationName, silenceLimitMs, isConverted = true }: StreamOptions,
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
