import pg from 'pg'
import { type Backend, isLost, type SlowStatement } from '../../domain/capture/backend.ts'
import { guardParsing } from './guarded-parsing.ts'
import { connectionConfig, setUpSession } from './session-settings.ts'

/** What the connections to a database share, also those of several pools: where to ask about a statement that brings no answer, and who hears of it. */
export type Watch = {
  readonly url: string
  /** Asks about statements after so many ms without an answer, and again as often. */
  readonly askAfterMs: number
  readonly clients: Set<WatchedClient>
  /** One question at a time for all of them. */
  asking: Promise<Map<number, Backend> | 'no answer' | 'refused'> | null
}

export function createWatch({ url, askAfterMs = 8_000 }: { url: string; askAfterMs?: number }): Watch {
  return { url, askAfterMs, clients: new Set(), asking: null }
}

/** How long a new connection may take to bring an answer. */
const answerMs = 4_000
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
 */
export class WatchedClient extends pg.Client {
  readonly #watch: Watch
  readonly #onSlow: (slow: SlowStatement) => void
  #backendPid: number | null = null
  #unanswered = 0
  #sinceMs = 0
  #statement = ''
  #timer: NodeJS.Timeout | null = null

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
    const answer = pid === null ? 'no answer' : await askAbout(this.#watch)
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
    if (this.#backendPid !== null) void endBackend(this.#watch, this.#backendPid)
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

/** Asks over a new connection what the server does for each of the watched ones. */
function askAbout(watch: Watch): NonNullable<Watch['asking']> {
  watch.asking ??= ask(watch).finally(() => {
    watch.asking = null
  })
  return watch.asking
}

async function ask(watch: Watch): Promise<Map<number, Backend> | 'no answer' | 'refused'> {
  try {
    const pids = [...watch.clients].flatMap(({ backendPid }) => backendPid ?? [])
    const rows = await overNewConnection(watch, backendsStatement, [pids])
    return new Map(rows.map(row => [Number(row.pid), toBackend(row)]))
  } catch (error) {
    // What the server says itself has a code of five characters: it can be reached.
    return error instanceof pg.DatabaseError ? 'refused' : 'no answer'
  }
}

/** Ends the server's side of a dead link, unless it works after all; its process may have another one's number by now. */
async function endBackend(watch: Watch, pid: number): Promise<void> {
  await overNewConnection(
    watch,
    `select pg_terminate_backend(pid) from pg_stat_activity
     where pid = $1 and usename = current_user and (state <> 'active' or wait_event_type = 'Client')
       and state_change < clock_timestamp() - interval '2 seconds'`,
    [pid],
  ).catch(() => {})
}

async function overNewConnection(
  { url }: Watch,
  text: string,
  values: unknown[],
  // biome-ignore lint/suspicious/noExplicitAny: as node-postgres gives it
): Promise<any[]> {
  const client = new pg.Client({
    ...connectionConfig(url, 'walhook watch'),
    connectionTimeoutMillis: answerMs,
  })
  const destroy = () =>
    (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy()
  client.on('error', () => {})
  const timer = setTimeout(destroy, answerMs)
  try {
    await client.connect()
    return (await client.query(text, values)).rows
  } finally {
    clearTimeout(timer)
    destroy()
  }
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
