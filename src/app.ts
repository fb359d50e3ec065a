import { randomBytes, randomUUID } from 'node:crypto'
import packageJson from '../package.json' with { type: 'json' }
import { createAdmin } from './admin/admin.ts'
import { readSnippets } from './admin/snippets.ts'
import { addressOf } from './api/admit.ts'
import { createApi, type Health } from './api/api.ts'
import { createMetrics } from './api/metrics.ts'
import { type CaptureState, createCapture } from './capture/capture.ts'
import { fieldNames, readCatalogue } from './capture/catalogue.ts'
import { preflight, readSlotStatus } from './capture/preflight.ts'
import { readEntity } from './capture/read-entity.ts'
import { openSource, type Source } from './capture/source.ts'
import type { Config } from './config.ts'
import { createAuthenticator } from './control/authenticate.ts'
import type { Control } from './control/control.ts'
import { createSessions } from './control/sessions.ts'
import { createTestPlaces } from './control/test-places.ts'
import { openSender } from './delivery/attempt.ts'
import { createDeliver } from './delivery/deliver.ts'
import { createDispatcher } from './delivery/dispatcher.ts'
import { createGuard } from './delivery/guard.ts'
import { sendTest, tryTest } from './delivery/send-test.ts'
import { backfillAs } from './domain/mapping.ts'
import type { Problem } from './domain/problem.ts'
import type { SealKey } from './domain/seal.ts'
import { type Outbox, openOutbox } from './outbox/database.ts'
import { describeMigration, migrate } from './outbox/migrate.ts'
import { ensurePartitions } from './outbox/partitions.ts'
import { queueDepth } from './outbox/queue-depth.ts'
import { dropOldDays } from './outbox/retention.ts'
import { webhooksOfOtherKeys } from './outbox/secrets.ts'
import { ConnectionRefused } from './outbox/session-settings.ts'
import { listenForWakes } from './outbox/wake.ts'
import { normalizeUrls } from './outbox/webhook-urls.ts'
import { type HttpServer, listenHttp } from './runtime/http-server.ts'
import { describeError, type Log } from './runtime/log.ts'
import { type Service, supervise } from './runtime/service.ts'
import { sleep } from './runtime/sleep.ts'
import { within } from './runtime/within.ts'

export type App = {
  /** Where the API listens, or null where this process has no role `api`. */
  readonly url: string | null
  readonly control: Control
  /** Runs until `signal` is aborted, then stops in the reverse order of the start. */
  run(signal: AbortSignal): Promise<void>
  /** Puts away what was opened, for an app that is not run. */
  close(): Promise<void>
}

export type Opened =
  | { readonly ok: true; readonly app: App }
  | { readonly ok: false; readonly problems: readonly Problem[] }

/** What the API answers; every other path is a page for people. */
const forPrograms = /^\/(api|livez|readyz|metrics)(\/|$)/

const deadlineMs = 15_000
const hourMs = 3_600_000
/** How long ops wait for a database: a link that has died in silence brings no error, and no answer either. */
const answerMs = 3_000

/**
 * Opens everything that `serve` runs: checks the databases, brings the schema up to date, wires the parts and
 * binds the port. Nothing is left open where a problem is returned. The configuration must have a source, an
 * outbox and a seal key.
 */
export async function openApp(config: Config, log: Log): Promise<Opened> {
  const { mapping, slotName, publicationName, roles } = config
  const nowMs = () => Date.now()
  await using opened = new AsyncDisposableStack()
  const databases = await openDatabases(config, log, opened)
  if (!databases.ok) return databases
  const { source, outbox, queue } = databases

  const { guard, deliver } = openDelivery(config, nowMs, opened)
  const dispatcher = createDispatcher({
    outbox: queue,
    deliver,
    scheduleMs: config.scheduleMs,
    maxInFlightPerWebhook: config.maxInFlightPerWebhook,
    maxInFlight: 5 * config.maxInFlightPerWebhook,
    leaseMs: 2 * deadlineMs,
    deadlineMs,
    drainMs: 5_000,
    newLease: randomUUID,
    nowMs,
    random: Math.random,
    log,
    onSettled(settlements) {
      for (const { attempt } of settlements) metrics.onAttempt(attempt)
    },
  })
  const capture = createCapture({
    source,
    outbox,
    slotName,
    publicationName,
    mapping,
    nowMs,
    log,
    probeIntervalMs: config.probeIntervalMs,
    onStored(stored) {
      metrics.onStored({ ...stored, lagMs: nowMs() - stored.committedAt.getTime() })
      if (stored.deliveries > stored.born) dispatcher.wake()
    },
    ...(roles.has('delivery') && { offerBirths: dispatcher.offerBirths }),
  })
  const metrics = createMetrics(async () => {
    const [queue, slot] = await Promise.all([
      within(answerMs, queueDepth(outbox)).catch(() => null),
      within(answerMs, readSlotStatus(source, slotName)).catch(() => null),
    ])
    return {
      queue,
      heldBackBytes: slot?.heldBackBytes ?? null,
      isCapturing: ['streaming', 'lagging'].includes(capture.state().state),
    }
  })
  const control: Control = {
    outbox,
    sealKey: config.sealKey!,
    entityTypes: mapping.map(({ entityType }) => entityType),
    mostAttempts: config.scheduleMs.length + 1,
    slotName,
    backfillAs: backfillAs(mapping),
    readFields: async () => fieldNames(await readCatalogue(source, mapping), mapping),
    judgeTarget: guard.judge,
    async readEntity(entityType, key) {
      const entity = mapping.find(each => each.entityType === entityType)
      return entity ? await readEntity(source, await readCatalogue(source, [entity]), entity, key) : null
    },
    sendTest: (target, message) => sendTest(outbox, deliver, target, message),
    tryTest: (target, message) => tryTest(deliver, target, message),
    testPlaces: createTestPlaces(),
    captureStatus: async () => ({
      ...(roles.has('capture') ? capture.state() : { state: 'not a role of this process', reason: null }),
      slotName,
      source: await within(answerMs, readSlotStatus(source, slotName)).catch(() => null),
      probeMs: capture.probeMs(),
    }),
    randomBytes,
  }

  let server: HttpServer | null = null
  if (roles.has('api')) {
    const admin = { token: config.adminToken, userId: config.adminUserId }
    const authenticate = createAuthenticator({
      outbox,
      admin,
      nowMs,
      onHeld: (address, failures) => log.warn('login.slowed', { address, failures }),
    })
    const health = async (): Promise<Record<string, Health>> => ({
      database: await databaseHealth(outbox),
      ...(roles.has('capture') && { capture: captureHealth(capture.state()) }),
    })
    const api = createApi({ control, authenticate, health, metrics, nowMs, log })
    const sessions = createSessions({ control, authenticate, admin })
    const receiving = readSnippets()
    if (!receiving.ok) return { ok: false, problems: [receiving.problem] }
    const closing = new AbortController()
    const pages = createAdmin({
      control,
      sessions,
      snippets: receiving.snippets,
      addressOf,
      nowMs,
      stopped: closing.signal,
      log,
    })
    const fetch = (request: Request, env?: object) =>
      (forPrograms.test(new URL(request.url).pathname) ? api : pages).fetch(request, env)
    const listening = await listenHttp(fetch, { host: config.host, port: config.port })
    if (!listening.ok) return { ok: false, problems: [listening.problem] }
    server = opened.use(listening.server)
    opened.defer(() => closing.abort())
  }

  const days: Service = {
    name: 'days',
    run: signal => keepDays(outbox, config.keep, nowMs, log, signal),
  }
  const wakeUps: Service = {
    name: 'wake-ups',
    run: signal => listenForWakes(outbox.url, dispatcher.wake, signal),
  }
  const services = [
    days,
    ...(roles.has('capture') ? [capture] : []),
    ...(roles.has('delivery') ? [dispatcher, wakeUps] : []),
  ]
  const resources = opened.move()
  return {
    ok: true,
    app: {
      url: server?.url ?? null,
      control,
      async run(signal) {
        try {
          await runServices(services, log, signal)
        } finally {
          await resources.disposeAsync()
        }
      },
      close: () => resources.disposeAsync(),
    },
  }
}

type Databases =
  | { readonly ok: true; readonly source: Source; readonly outbox: Outbox; readonly queue: Outbox }
  | { readonly ok: false; readonly problems: readonly Problem[] }

/**
 * Connects to both databases, checks the source, and brings the outbox up to date. Claims and settlements have connections
 * to it of their own.
 */
async function openDatabases(config: Config, log: Log, opened: AsyncDisposableStack): Promise<Databases> {
  const onError = (error: Error) => log.warn('database.connection_lost', { reason: describeError(error) })
  const source = opened.use(openSource({ url: config.databaseUrl!, onError }))
  const outbox = opened.use(openOutbox({ url: config.outboxUrl!, maxConnections: 4, onError }))
  const queue = opened.use(
    openOutbox({ url: config.outboxUrl!, maxConnections: 6, onError, plans: 'by index' }),
  )

  // Both at once, and one database once: a server that says nothing is waited for until the connection times out.
  const tries = [problemOfConnecting('DATABASE_URL', source.pool)]
  if (config.outboxUrl !== config.databaseUrl)
    tries.push(problemOfConnecting('OUTBOX_DATABASE_URL', outbox.pool))
  const unreachable = (await Promise.all(tries)).filter(problem => problem !== null)
  if (unreachable.length > 0) return { ok: false, problems: unreachable }
  if (config.roles.has('capture')) {
    const { problems } = await preflight(source, config)
    if (problems.length > 0) return { ok: false, problems }
  }
  const migrated = describeMigration(await migrate(outbox))
  if (!migrated.ok) return { ok: false, problems: [migrated.problem] }
  if (migrated.applied.length > 0) log.info('outbox.migrated', { applied: migrated.applied })
  await normalizeUrls(outbox, log)
  await ensurePartitions(outbox, Date.now())
  const { sealKey } = config
  const unreadable = await webhooksOfOtherKeys(outbox, [sealKey!.id, sealKey!.older?.id ?? ''])
  if (unreadable.length > 0) return { ok: false, problems: [unreadableProblem(unreadable, sealKey!)] }
  return { ok: true, source, outbox, queue }
}

/** The one way out to receivers, for deliveries and tests. */
function openDelivery(config: Config, nowMs: () => number, opened: AsyncDisposableStack) {
  const guard = createGuard({ allow: config.allow, deny: config.deny })
  const sender = openSender({
    guard,
    proxy: config.proxy,
    deadlineMs,
    connectTimeoutMs: 5_000,
    maxResponseBytes: 16_384,
  })
  opened.defer(() => sender.close())
  const deliver = createDeliver({
    post: sender.post,
    sealKey: config.sealKey!,
    userAgent: `walhook/${packageJson.version}`,
    nowMs,
  })
  return { guard, deliver }
}

/** Keeps services running, each started again when it fails, until `signal` is aborted. */
async function runServices(services: readonly Service[], log: Log, signal: AbortSignal): Promise<void> {
  const supervised = services.map(service =>
    supervise(service, {
      signal,
      minDelayMs: 500,
      maxDelayMs: 10_000,
      onFailure: (error, nextDelayMs) =>
        log.error(`${service.name}.failed`, { reason: describeError(error), next_in_ms: nextDelayMs }),
    }),
  )
  await Promise.all(supervised)
}

/** Days of log and events are made ahead and dropped behind; any process does it, one at a time. */
async function keepDays(
  outbox: Outbox,
  keep: Config['keep'],
  nowMs: () => number,
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await ensurePartitions(outbox, nowMs())
    const dropped = await dropOldDays(outbox, nowMs(), keep)
    if (dropped.length > 0) log.info('outbox.days_dropped', { dropped })
    await sleep(hourMs, signal)
  }
}

function databaseHealth(outbox: Outbox): Promise<Health> {
  return within(answerMs, outbox.pool.query('select')).then(
    () => ({ ok: true, status: 'reachable' }),
    error => ({ ok: false, status: describeError(error) }),
  )
}

function captureHealth({ state, reason }: CaptureState): Health {
  const ok = state === 'streaming' || state === 'lagging' || state === 'standing by'
  return { ok, status: reason === null ? state : `${state}: ${reason}` }
}

const mostNamed = 10

/** Webhooks whose secrets were sealed with a key that was not given. */
export function unreadableProblem(
  webhooks: readonly { readonly id: number; readonly name: string }[],
  { id, older }: SealKey,
): Problem {
  const names = webhooks.slice(0, mostNamed).map(({ id, name }) => `${id} ${JSON.stringify(name)}`)
  const more = webhooks.length > mostNamed ? ` and ${webhooks.length - mostNamed} more` : ''
  const ids = webhooks.map(({ id }) => id).join(', ')
  return {
    what: 'WALHOOK_SECRET_KEY',
    found: `the key ${id}${older ? ` (and the old one ${older.id})` : ''} does not open the secrets of these webhooks: ${names.join(', ')}${more}`,
    mend: `give the key that they were made with, as WALHOOK_SECRET_KEY_OLD, and run "walhook rekey". If it is lost: update walhook.webhooks set is_active = false where id in (${ids}); start walhook, rotate their secrets, give their headers anew, and activate them`,
  }
}

/** Why a database can't be reached, or null. `variable` is where its URL comes from. */
export async function problemOfConnecting(
  variable: string,
  pool: { query(text: string): Promise<unknown> },
): Promise<Problem | null> {
  try {
    await pool.query('select')
    return null
  } catch (error) {
    if (error instanceof ConnectionRefused)
      return { ...error.problem, what: `${variable}: ${error.problem.what}` }
    const reason = describeError(error)
    if (reason.includes('client password must be a'))
      return {
        what: variable,
        found: 'no connection: the server asks for a password, and the URL has none',
        mend: 'write it into the URL: postgres://user:password@host:5432/database',
      }
    const mend = 'check that the server runs, and the host, port, database, user and password of the URL'
    return { what: variable, found: `no connection: ${reason}`, mend }
  }
}
