import pg from 'pg'
import { type Backend, isLost, type SlowStatement } from '../../domain/capture/backend.ts'
import type { DatabaseServer } from '../../domain/database/database-url.ts'
import { answerMs, connectionConfig, findServer, overNewConnection, refuseUnsuitable } from './connecting.ts'
import { guardParsing } from './guarded-parsing.ts'
import { setUpSession } from './session-settings.ts'

/** What the connections to a database share, also those of several pools: where to ask about a statement that brings no answer, and who hears of it. */
export type Watch = {
  readonly url: string
  /** Asks about statements after so many ms without an answer, and again as often. */
  readonly askAfterMs: number
  readonly clients: Set<WatchedClient>
  /** One question at a time for all that are connected to one server, by its URL. */
  readonly asking: Map<string, Promise<Answer>>
}

type Answer = Map<number, Backend> | 'no answer' | 'refused'

export function createWatch({ url, askAfterMs = 8_000 }: { url: string; askAfterMs?: number }): Watch {
  return { url, askAfterMs, clients: new Set(), asking: new Map() }
}

/** Of the connections that ask. */
const name = 'walhook watch'
/** A statement that nobody can be asked about is given up after so long. */
const longestUnknownMs = 60_000

/**
 * A connection that notices when its link has died. A link that dies in silence brings no error, and the operating system
 * tries for a quarter of an hour; a deadline on each statement would also end what is long by its nature (a migration, a
 * slot that waits for transactions, a lock). So a statement that has brought no answer for a while is asked about over a new
 * connection: while the server works on it, it goes on, and `onSlow` hears what it waits for. Where the server has nothing
 * to do for this connection, or can't be reached, the connection is destroyed; everybody who waits for it
 * hears an error, and the pool makes a new one. The server is asked to end its side, too: it may hold locks, and hears of the
 * dead link only much later.
 *
 * It connects to the server that its URL wants.
 */
export class WatchedClient extends pg.Client {
  readonly #watch: Watch
  readonly #onSlow: (slow: SlowStatement) => void
  #backendPid: number | null = null
  #unanswered = 0
  #sinceMs = 0
  #statement = ''
  #timer: NodeJS.Timeout | null = null
  #server: DatabaseServer | null = null

  constructor(config: pg.ClientConfig & { watch: Watch; onSlow?: (slow: SlowStatement) => void }) {
    super(config)
    // A large answer over a slow link takes long, and the server waits for us meanwhile: it is no dead link.
    guardParsing(this, () => {
      this.#sinceMs = performance.now()
    })
    this.#watch = config.watch
    this.#onSlow = config.onSlow ?? (() => {})
    this.#watch.clients.add(this)
    this.once('end', () => {
      this.#watch.clients.delete(this)
      clearTimeout(this.#timer ?? undefined)
    })
  }

  // biome-ignore lint/suspicious/noExplicitAny: with a callback or without, as node-postgres calls it
  override connect(...[callback]: any[]): any {
    const connected = this.#connect()
    if (!callback) return connected
    connected.then(() => callback(null, this), callback)
  }

  async #connect(): Promise<this> {
    const { url } = this.#watch
    try {
      this.#server = await findServer(url)
      // The first one's address stands there since the client was made.
      if (this.#server) Object.assign(this, { host: this.#server.host, port: this.#server.port })
      await super.connect()
      await refuseUnsuitable(this, url, this.#server)
      return this
    } catch (error) {
      this.#watch.clients.delete(this)
      this.end().catch(() => {})
      throw error
    }
  }

  get serverUrl(): string {
    return this.#server?.url ?? this.#watch.url
  }

  /** From now on the server can be asked about this connection; before, it is given up when it brings no answer. */
  set backendPid(pid: number) {
    this.#backendPid = pid
  }

  get backendPid(): number | null {
    return this.#backendPid
  }

  // biome-ignore lint/suspicious/noExplicitAny: one of many overloads, passed on as it is
  override query(...args: any[]): any {
    const [first] = args
    if (this.#unanswered++ === 0) {
      this.#sinceMs = performance.now()
      this.#statement = typeof first === 'string' ? first : String(first?.name ?? first?.text ?? '')
      this.#timer ??= setTimeout(() => this.#look(), this.#watch.askAfterMs).unref()
    }
    const last = args.at(-1)
    if (typeof last === 'function') {
      args[args.length - 1] = (...result: unknown[]) => {
        this.#answered()
        last(...result)
      }
      return super.query(...(args as [string]))
    }
    const result = super.query(...(args as [string])) as unknown as Promise<unknown>
    const answered = () => this.#answered()
    result.then(answered, answered)
    return result
  }

  #answered() {
    this.#unanswered--
    this.#sinceMs = performance.now()
  }

  #look() {
    this.#timer = null
    if (this.#unanswered === 0) return
    const silentMs = performance.now() - this.#sinceMs
    const { askAfterMs } = this.#watch
    if (silentMs < askAfterMs) this.#lookIn(askAfterMs - silentMs)
    else void this.#ask().then(() => this.#lookIn(askAfterMs))
  }

  #lookIn(ms: number) {
    if (this.#unanswered > 0) this.#timer ??= setTimeout(() => this.#look(), ms).unref()
  }

  async #ask(): Promise<void> {
    const since = this.#sinceMs
    const pid = this.#backendPid
    const answer = pid === null ? 'no answer' : await askAbout(this.#watch, this.serverUrl)
    // It has come meanwhile.
    if (this.#unanswered === 0 || this.#sinceMs !== since) return
    const silentMs = performance.now() - since
    const seconds = Math.round(silentMs / 1000)
    if (answer === 'refused') {
      if (silentMs > longestUnknownMs) this.#give(`no answer for ${seconds} s`)
      return
    }
    if (answer === 'no answer') return this.#give(`the server has not answered for ${seconds} s`)
    const backend = answer.get(pid!) ?? null
    if (isLost(backend, silentMs)) return this.#give(`no answer for ${seconds} s, and the server owes none`)
    const statement = this.#statement.trim().replace(/\s+/g, ' ').slice(0, 100)
    this.#onSlow({ seconds, statement, waitsFor: backend!.waitsFor, heldBy: backend!.heldBy })
  }

  /** Ends it, and looks whether the others that rest are alive. */
  #give(reason: string) {
    this.#destroy(reason)
    if (this.#backendPid !== null) void endBackend(this.serverUrl, this.#backendPid)
    for (const other of this.#watch.clients) if (other !== this) other.#prove()
  }

  #prove() {
    if (this.#unanswered > 0 || this.#backendPid === null) return
    const timer = setTimeout(
      () => this.#destroy('the server has not answered a resting connection'),
      answerMs,
    )
    this.query('select')
      .catch(() => {})
      .finally(() => clearTimeout(timer))
  }

  #destroy(reason: string) {
    const { connection } = this as unknown as { connection: { stream: { destroy(error: Error): void } } }
    connection.stream.destroy(new Error(`the link to the database is dead: ${reason}`))
  }
}

const backendsStatement = `
select a.pid, a.state, a.wait_event_type, a.wait_event,
       (extract(epoch from clock_timestamp() - a.state_change) * 1000)::float8 as state_ms,
       (select string_agg(l.relation::regclass::text, ', ') from pg_locks l
        where l.pid = a.pid and not l.granted and l.locktype = 'relation') as relation,
       (select json_agg(json_build_object('pid', b.pid, 'role', b.usename, 'application', b.application_name,
                                          'since', b.xact_start, 'query', left(b.query, 100)))
        from pg_stat_activity b where b.pid = any(pg_blocking_pids(a.pid))) as held_by
from pg_stat_activity a where a.pid = any($1)`

/** Asks over a new connection what a server does for each of the watched ones. */
function askAbout(watch: Watch, serverUrl: string): Promise<Answer> {
  const running = watch.asking.get(serverUrl)
  if (running) return running
  const asking = ask(watch, serverUrl).finally(() => watch.asking.delete(serverUrl))
  watch.asking.set(serverUrl, asking)
  return asking
}

async function ask(watch: Watch, serverUrl: string): Promise<Answer> {
  try {
    const there = [...watch.clients].filter(client => client.serverUrl === serverUrl)
    const pids = there.flatMap(({ backendPid }) => backendPid ?? [])
    const rows = await overNewConnection(serverUrl, name, backendsStatement, [pids])
    return new Map(rows.map(row => [Number(row.pid), toBackend(row)]))
  } catch (error) {
    // What the server says itself has a code of five characters: it can be reached.
    return error instanceof pg.DatabaseError ? 'refused' : 'no answer'
  }
}

/** Ends the server's side of a dead link, unless it works after all; its process may have another one's number by now. */
async function endBackend(serverUrl: string, pid: number): Promise<void> {
  await overNewConnection(
    serverUrl,
    name,
    `select pg_terminate_backend(pid) from pg_stat_activity
     where pid = $1 and usename = current_user and (state <> 'active' or wait_event_type = 'Client')
       and state_change < clock_timestamp() - interval '2 seconds'`,
    [pid],
  ).catch(() => {})
}

function toBackend(row: Record<string, string | null>): Backend {
  const { state, state_ms, wait_event_type, wait_event, relation } = row
  const heldBy = (row.held_by ?? []) as unknown as Record<string, string | null>[]
  const waits = wait_event_type === null ? null : `${wait_event_type}: ${wait_event}`
  return {
    state: state ?? null,
    stateMs: Number(state_ms ?? 0),
    waitEventType: wait_event_type ?? null,
    waitsFor: relation ? `a lock of ${relation}` : (waits ?? null),
    heldBy: heldBy.map(({ pid, role, application, since, query }) => {
      const facts = [role, application, since && `since ${since}`, query].filter(fact => fact)
      return `pid ${pid} (${facts.join(', ')})`
    }),
  }
}

/** How a pool makes connections that are watched, each with the settings of every session. */
export function watchedPool(
  name: string,
  options: { url: string; watch?: Watch; onSlow?: (slow: SlowStatement) => void },
): pg.PoolConfig {
  const { url, watch = createWatch({ url }), onSlow } = options
  return {
    ...connectionConfig(url, name),
    idleTimeoutMillis: 60_000,
    Client: WatchedClient,
    watch,
    onSlow,
    async onConnect(client: WatchedClient) {
      client.backendPid = await setUpSession(client)
    },
  } as unknown as pg.PoolConfig
}
