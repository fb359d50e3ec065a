import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { type Backend, isLost, type SlowStatement } from '../../domain/capture/backend.ts'
import type { DatabaseServer } from '../../domain/database/database-url.ts'
import { mainSchema, writeFor } from '../schema/in-schema.ts'
import {
  connectionConfig,
  DatabaseClient,
  findServer,
  overNewConnection,
  refuseUnsuitable,
  responseTimeoutMs,
} from './connecting.ts'
import { guardParsing } from './guarded-parsing.ts'
import { setUpSession } from './session-settings.ts'

/**
 * The state shared by connections, also of several pools, to one database: where to ask about slow statements, and the
 * callback for them.
 */
export type Watch = {
  readonly url: string
  /** The ms without an answer before the first question, and between questions. */
  readonly askAfterMs: number
  readonly clients: Set<WatchedClient>
  /** One question at a time per server URL. */
  readonly asking: Map<string, Promise<Answer>>
}

type Answer = Map<number, Backend> | 'no answer' | 'refused'

export function createWatch({ url, askAfterMs = 8_000 }: { url: string; askAfterMs?: number }): Watch {
  return { url, askAfterMs, clients: new Set(), asking: new Map() }
}

const name = 'walhook watch'
/** A statement whose server can't be asked is given up after this long. */
const longestUnknownMs = 60_000

/**
 * A connection that notices a dead link. A silent link gives no error for a quarter of an hour, and a time-out per statement
 * would also end long ones (a migration, a slot, a lock). So the server is asked about a slow statement over a new
 * connection: if it is working, `onSlow` gets what it waits for. If the server has nothing to do for it, or is unreachable,
 * the connection is destroyed: waiting code gets an error, and the pool replaces it. The server is also asked to end its side,
 * which may hold locks. It connects to a suitable server of its URL.
 */
export class WatchedClient extends DatabaseClient {
  readonly #watch: Watch
  readonly #onSlow: (slow: SlowStatement) => void
  #backendPid: number | null = null
  #unanswered = 0
  #sinceMs = 0
  #statement = ''
  #timer: NodeJS.Timeout | null = null
  #server: DatabaseServer | null = null
  /** For another schema than the main one. */
  readonly #write: ReturnType<typeof writeFor>

  constructor(
    config: pg.ClientConfig & { watch: Watch; onSlow?: (slow: SlowStatement) => void; schema?: string },
  ) {
    super(config)
    this.#write = writeFor(config.schema ?? mainSchema)
    // A large answer over a slow link is no dead link, although the server waits for us.
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
      // The client was created with the first server's address.
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

  /** From now on the server can be asked about this connection; before, silence ends it. */
  set backendPid(pid: number) {
    this.#backendPid = pid
  }

  get backendPid(): number | null {
    return this.#backendPid
  }

  // biome-ignore lint/suspicious/noExplicitAny: one of many overloads, passed on as it is
  override query(...args: any[]): any {
    if (this.#write) args[0] = writtenBy(this.#write, args[0])
    const [first] = args
    if (this.#unanswered++ === 0) {
      this.#sinceMs = performance.now()
      this.#statement = typeof first === 'string' ? first : String(first?.name ?? first?.text ?? '')
      this.#timer ??= setTimeout(() => this.#check(), this.#watch.askAfterMs).unref()
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

  #check() {
    this.#timer = null
    if (this.#unanswered === 0) return
    const silentMs = performance.now() - this.#sinceMs
    const { askAfterMs } = this.#watch
    if (silentMs < askAfterMs) this.#checkIn(askAfterMs - silentMs)
    else void this.#ask().then(() => this.#checkIn(askAfterMs))
  }

  #checkIn(ms: number) {
    if (this.#unanswered > 0) this.#timer ??= setTimeout(() => this.#check(), ms).unref()
  }

  async #ask(): Promise<void> {
    const since = this.#sinceMs
    const pid = this.#backendPid
    const answer = pid === null ? 'no answer' : await askAbout(this.#watch, this.serverUrl)
    // The answer came meanwhile.
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

  /** Ends it, and checks the other idle ones. */
  #give(reason: string) {
    this.#destroy(reason)
    for (const other of this.#watch.clients) if (other !== this) other.#prove()
  }

  #prove() {
    if (this.#unanswered > 0 || this.#backendPid === null) return
    const timer = setTimeout(
      () => this.#destroy('the server has not answered a resting connection'),
      responseTimeoutMs,
    )
    this.query('select')
      .catch(() => {})
      .finally(() => clearTimeout(timer))
  }

  #destroy(reason: string) {
    const { connection } = this as unknown as { connection: { stream: { destroy(error: Error): void } } }
    connection.stream.destroy(new Error(`the link to the database is dead: ${reason}`))
    if (this.#backendPid !== null) endBackend(this.serverUrl, this.#backendPid)
  }
}

/** A statement, as text or with its values, for another schema. */
function writtenBy(write: (text: string) => string, query: string | { readonly text: string }) {
  return typeof query === 'string' ? write(query) : { ...query, text: write(query.text) }
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

/** Asks over a new connection about every watched one of a server. */
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
    // An error with a code of five characters is from the server: it is reachable.
    return error instanceof pg.DatabaseError ? 'refused' : 'no answer'
  }
}

/** Backends to end, by their server's URL: when the connection of each was given up. */
const toEnd = new Map<string, Map<number, number>>()
const endAgainMs = 1_000
const longestToEndS = 600

/** Ends the server's side of a dead link once it is reachable, and not working. The server itself may not notice, behind a proxy. */
function endBackend(serverUrl: string, pid: number): void {
  if (toEnd.get(serverUrl)?.set(pid, performance.now())) return
  const pids = new Map([[pid, performance.now()]])
  toEnd.set(serverUrl, pids)
  void endBackends(serverUrl, pids)
}

/** A backend that is younger than the end of the connection has its process id by chance. */
const endStatement = `
select pid, case when (state <> 'active' or wait_event_type = 'Client')
                      and state_change < clock_timestamp() - interval '2 seconds' then pg_terminate_backend(pid) end as is_ended
from unnest($1::int[], $2::float8[]) as given_up (pid, seconds) join pg_stat_activity using (pid)
where usename = session_user and backend_start < clock_timestamp() - make_interval(secs => seconds)`

async function endBackends(serverUrl: string, pids: Map<number, number>): Promise<void> {
  while (pids.size > 0) {
    const given = [...pids].map(([pid, sinceMs]) => ({ pid, seconds: (performance.now() - sinceMs) / 1_000 }))
    const values = [given.map(({ pid }) => pid), given.map(({ seconds }) => seconds)]
    const rows = await overNewConnection(serverUrl, name, endStatement, values).catch(() => null)
    const left = rows && new Set(rows.filter(row => !row.is_ended).map(row => Number(row.pid)))
    for (const { pid, seconds } of given)
      if (left?.has(pid) === false || seconds > longestToEndS) pids.delete(pid)
    if (pids.size > 0) await sleep(endAgainMs, undefined, { ref: false })
  }
  toEnd.delete(serverUrl)
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

/** The options of a pool with watched connections and the session settings. */
export function watchedPool(
  name: string,
  options: { url: string; schema?: string; watch?: Watch; onSlow?: (slow: SlowStatement) => void },
): pg.PoolConfig {
  const { url, schema, watch = createWatch({ url }), onSlow } = options
  return {
    ...connectionConfig(url, name),
    idleTimeoutMillis: 60_000,
    Client: WatchedClient,
    watch,
    schema,
    onSlow,
    async onConnect(client: WatchedClient) {
      client.backendPid = await setUpSession(client)
    },
  } as unknown as pg.PoolConfig
}
