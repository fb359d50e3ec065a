import { preflightAndTry } from './capture/source/preflight.ts'
import { openSource, type Source } from './capture/source/source.ts'
import { isOfTables } from './capture/verdict/preflight-verdict.ts'
import type { Config } from './config/config.ts'
import { describeSlow, type SlowStatement } from './domain/capture/backend.ts'
import { isCutOff, isUnavailable } from './domain/capture/capture-failures.ts'
import type { Problem } from './domain/value/problem.ts'
import type { SealKey } from './domain/webhook/seal.ts'
import { type Clock, openClock } from './outbox/database/clock.ts'
import { type Outbox, openOutbox } from './outbox/database/database.ts'
import { checkOutbox } from './outbox/database/inspect.ts'
import { describeMigration, migrate } from './outbox/database/migrate.ts'
import { NotReached, poolerProblem, sharesSessions } from './outbox/database/pooler.ts'
import { ConnectionRefused } from './outbox/database/session-settings.ts'
import { createWatch } from './outbox/database/watched-client.ts'
import { ensureDays } from './outbox/days/upkeep.ts'
import { hasPosition } from './outbox/log/position.ts'
import { webhooksOfOtherKeys } from './outbox/records/secrets.ts'
import { normalizeUrls } from './outbox/records/webhook-urls.ts'
import { problemOfHome, refuseCopy, settleHome } from './outbox/source/home.ts'
import { describeError, type Log } from './runtime/log.ts'
import type { Resources } from './runtime/resources.ts'

/**
 * The connections of one process, by user, so that none blocks another. At most 23, each opened on demand; plus the stream,
 * the listener, and occasionally one that looks for the cause of a slow statement.
 */
export type Connections = {
  /** Of capture: to read what the WAL omits. */
  readonly source: Source
  /** Of callers: the API, the pages and metrics. */
  readonly sourceOfCallers: Source
  /** Of capture: to append. */
  readonly appends: Outbox
  /** Of delivery: to claim and to settle. */
  readonly queue: Outbox
  /** Of callers: the API, the pages and metrics. */
  readonly outbox: Outbox
  /** Of occasional work: migrations, days. */
  readonly upkeep: Outbox
  /** Of `/readyz`: the health of the outbox. */
  readonly health: Outbox
  openCell(cell: { readonly url: string; readonly schema: string }): CellConnections
  /** The slow statement that capture waits for, in words; null: none. */
  captureWaitsFor(): string | null
}

/** The connections to a cell besides main: at most 14, each opened on demand, and the listener. */
export type CellConnections = Pick<Connections, 'queue' | 'outbox' | 'upkeep'>

/** A slow statement is reported every few seconds. */
const recentMs = 20_000

/** Opens the connections of a process, each when it is needed. */
function openConnections(config: Config, log: Log, opened: Resources): Connections {
  const onError = (error: Error) => log.warn('database.connection_lost', { reason: describeError(error) })
  const onSlow = ({ seconds, statement, waitsFor, heldBy }: SlowStatement) =>
    log.warn('database.slow_statement', { seconds, statement, waits_for: waitsFor, held_by: heldBy })
  let slow: { description: string; atMs: number } | null = null
  const onSlowOfCapture = (statement: SlowStatement) => {
    slow = { description: describeSlow(statement), atMs: performance.now() }
    onSlow(statement)
  }
  const watchOfSource = createWatch({ url: config.databaseUrl! })
  const isOne = config.outboxUrl === config.databaseUrl
  const watch = isOne ? watchOfSource : createWatch({ url: config.outboxUrl! })
  const source = (maxConnections: number, onSlow: (slow: SlowStatement) => void) =>
    opened.use(
      openSource({ url: config.databaseUrl!, watch: watchOfSource, maxConnections, onError, onSlow }),
    )
  const outbox = (maxConnections: number, more: Partial<Parameters<typeof openOutbox>[0]> = {}) =>
    opened.use(openOutbox({ url: config.outboxUrl!, watch, maxConnections, onError, onSlow, ...more }))
  return {
    source: source(4, onSlowOfCapture),
    sourceOfCallers: source(2, onSlow),
    appends: outbox(3, { onSlow: onSlowOfCapture }),
    queue: outbox(7, { plans: 'by index', onSession: refuseCopy }),
    outbox: outbox(4),
    upkeep: outbox(2),
    health: outbox(1, { onSession: refuseCopy }),
    openCell({ url, schema }) {
      const ofCell = { url, schema, watch: createWatch({ url }) }
      // Citus plans for the values of a statement, and has settings of planners on its workers.
      const plans = config.placing === 'citus' ? 'as Postgres likes' : 'by index'
      return {
        queue: outbox(7, { ...ofCell, plans, onSession: refuseCopy }),
        outbox: outbox(4, ofCell),
        upkeep: outbox(3, ofCell),
      }
    },
    captureWaitsFor: () => (slow && performance.now() - slow.atMs < recentMs ? slow.description : null),
  }
}

type Databases =
  | { readonly ok: true; readonly connections: Connections; readonly clock: Clock }
  | { readonly ok: false; readonly problems: readonly Problem[] }

/** Connects to both databases, checks the source, and migrates the outbox. */
export async function openDatabases(config: Config, log: Log, opened: Resources): Promise<Databases> {
  const connections = openConnections(config, log, opened)
  const { source, upkeep } = connections
  // In parallel, and one database once: an unresponsive server takes the whole time-out.
  const tries = [problemOfConnecting('DATABASE_URL', source)]
  if (config.outboxUrl !== config.databaseUrl) tries.push(problemOfConnecting('OUTBOX_DATABASE_URL', upkeep))
  const unreachable = (await Promise.all(tries)).filter(problem => problem !== null)
  if (unreachable.length > 0) return { ok: false, problems: unreachable }
  const elsewhere = await problemOfHome(upkeep.pool)
  if (elsewhere) return { ok: false, problems: [elsewhere] }
  if (config.roles.has('capture')) {
    const found = await preflightAndTry(source, { ...config, outbox: upkeep })
    // Captured events are still sent: capture then reports its problem itself.
    const isKnown = await hasPosition(upkeep.pool, config.slotName)
    const problems = isKnown ? found.problems.filter(problem => !isOfTables(problem)) : found.problems
    if (problems.length > 0) return { ok: false, problems }
  }
  const ofOutbox = await checkOutbox(upkeep)
  if (ofOutbox.length > 0) return { ok: false, problems: ofOutbox }
  const migrated = describeMigration(await migrate(upkeep, () => problemOfKey(upkeep, config.sealKey)))
  if (!migrated.ok) return { ok: false, problems: [migrated.problem] }
  if (migrated.applied.length > 0) log.info('outbox.migrated', { applied: migrated.applied })
  const copied = await settleHome(upkeep.pool, { isSource: config.outboxUrl === config.databaseUrl })
  if (copied) return { ok: false, problems: [copied] }
  await normalizeUrls(upkeep, log)
  const clock = await openClock(upkeep)
  await ensureDays(upkeep, clock.nowMs())
  const ofKey = await problemOfKey(upkeep, config.sealKey)
  return ofKey ? { ok: false, problems: [ofKey] } : { ok: true, connections, clock }
}

/** Why the key is the wrong one for the secrets in the outbox, or null. Without a key, nothing is known. */
export async function problemOfKey(outbox: Outbox, sealKey: SealKey | null): Promise<Problem | null> {
  if (!sealKey) return null
  const unreadable = await webhooksOfOtherKeys(outbox, [sealKey.id, sealKey.older?.id ?? ''])
  return unreadable.length > 0 ? unreadableProblem(unreadable, sealKey) : null
}

const maxNamed = 10

export function unreadableProblem(
  webhooks: readonly { readonly id: number; readonly name: string }[],
  { id, older }: SealKey,
): Problem {
  const names = webhooks.slice(0, maxNamed).map(({ id, name }) => `${id} ${JSON.stringify(name)}`)
  const more = webhooks.length > maxNamed ? ` and ${webhooks.length - maxNamed} more` : ''
  const ids = webhooks.map(({ id }) => id).join(', ')
  return {
    code: 'secret_key',
    what: 'WALHOOK_SECRET_KEY',
    found: `the key ${id}${older ? ` (and the old one ${older.id})` : ''} does not decrypt the secrets of these webhooks: ${names.join(', ')}${more}`,
    mend: `set WALHOOK_SECRET_KEY_OLD to the key that encrypted them, and run "walhook rekey". If it is lost: update walhook.webhooks set is_active = false where id in (${ids}); start walhook, rotate their secrets, set their headers again, and activate them`,
  }
}

/**
 * Why a database can't be used, or null. `variable` is the source of its URL. Detects a pooler that shares sessions before
 * setting anything in one. Throws if the connection is lost, or the server is unavailable.
 */
export async function problemOfConnecting(
  variable: string,
  { url, pool }: { readonly url: string; readonly pool: { query(text: string): Promise<unknown> } },
): Promise<Problem | null> {
  try {
    if (await sharesSessions(url)) return poolerProblem(variable)
    await pool.query('select')
    return null
  } catch (thrown) {
    const isReached = !(thrown instanceof NotReached)
    const error = isReached ? thrown : thrown.cause
    if (error instanceof ConnectionRefused)
      return { ...error.problem, what: `${variable}: ${error.problem.what}` }
    // A temporary outage: the caller may retry. A first connection that ends without a message of Postgres may be to another
    // program.
    if (isReached ? isCutOff(error as Error) : isUnavailable(error as Error)) throw error
    const reason = describeError(error)
    if (reason.includes('client password must be a'))
      return {
        code: 'password_missing',
        what: variable,
        found: 'no connection: the server asks for a password, but the URL has none',
        mend: 'write it into the URL: postgres://user:password@host:5432/database',
      }
    const isRefusedHere = /ECONNREFUSED (127\.|::1)/.test(reason)
    const isUnresolved = reason.includes('getaddrinfo')
    // A password with @ and / in it ends too early: the unresolved name is a piece of it, and must not be shown.
    const isPassword = isUnresolved && /^[^/]*\/\/[^/?#]*@[^/?#]*[/?#].*@/.test(url)
    const hint = isRefusedHere
      ? ' (in a container, localhost is the container itself)'
      : isUnresolved
        ? ' (a password has %40 for @, %2F for / and %23 for #)'
        : hintOfTls(reason)
    const mend = `check that the server runs, and the host, port, database, user and password of the URL${hint}`
    return {
      code: 'no_connection',
      what: variable,
      found: `no connection: ${isPassword ? 'the host of the URL does not resolve' : reason}`,
      mend,
    }
  }
}

/** What to change in a URL whose TLS is not what the server has. */
function hintOfTls(reason: string): string {
  if (reason.includes('no encryption')) return '. The server wants TLS: add ?sslmode=verify-full'
  if (reason.includes('does not support SSL')) return '. The server has no TLS: add ?sslmode=disable'
  if (reason.includes("certificate's altnames")) return ', and name the host as its certificate does'
  if (/certificate/i.test(reason))
    return ". sslrootcert=/path/to/ca.pem names the authority of the server's certificate"
  return ''
}
