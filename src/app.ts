import { randomBytes, randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import packageJson from '../package.json' with { type: 'json' }
import { createApi, type Health } from './api/api.ts'
import { createMetrics } from './api/metrics.ts'
import { createCapture } from './capture/capture.ts'
import { readCatalogue } from './capture/catalogue.ts'
import { heldBackBytes, preflight } from './capture/preflight.ts'
import { readEntity } from './capture/read-entity.ts'
import { openSource } from './capture/source.ts'
import type { Config } from './config.ts'
import type { Control } from './control/control.ts'
import { createAuthenticator, createToken } from './control/tokens.ts'
import { changeWebhook, createWebhook, listWebhooks, revealSecret } from './control/webhooks.ts'
import { openSender } from './delivery/attempt.ts'
import { createDeliver } from './delivery/deliver.ts'
import { createDispatcher } from './delivery/dispatcher.ts'
import { createGuard } from './delivery/guard.ts'
import { sendTest } from './delivery/send-test.ts'
import { formatProblem, type Problem } from './domain/problem.ts'
import { defaultScheduleMs } from './domain/retry.ts'
import { parseSealKey } from './domain/seal.ts'
import { parseAllowList } from './domain/target.ts'
import type { Trigger } from './domain/trigger.ts'
import { openOutbox } from './outbox/database.ts'
import { describeMigration, migrate } from './outbox/migrate.ts'
import { ensurePartitions } from './outbox/partitions.ts'
import { queueDepth } from './outbox/queue-depth.ts'
import { listenForWakes } from './outbox/wake.ts'
import { runPlayground } from './playground/playground.ts'
import { startReceiver } from './playground/receiver.ts'
import { type HttpServer, listenHttp } from './runtime/http-server.ts'
import { describeError, type Log, openLog } from './runtime/log.ts'
import { type Service, supervise } from './runtime/service.ts'
import { sleep } from './runtime/sleep.ts'

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

const deadlineMs = 15_000
const hourMs = 3_600_000

/**
 * Opens everything that `serve` runs: checks the databases, brings the schema up to date, wires the parts and
 * binds the port. Nothing is left open where a problem is returned. The configuration must have a source, an
 * outbox and a seal key.
 */
export async function openApp(config: Config, log: Log): Promise<Opened> {
  const { mapping, slotName, publicationName, roles } = config
  await using opened = new AsyncDisposableStack()
  const onError = (error: Error) => log.warn('database.connection_lost', { reason: describeError(error) })
  const source = opened.use(openSource({ url: config.databaseUrl!, onError }))
  const outbox = opened.use(openOutbox({ url: config.outboxUrl!, maxConnections: 8, onError }))

  const unreachable = [
    await problemOfConnecting('DATABASE_URL', source.pool),
    await problemOfConnecting('OUTBOX_DATABASE_URL', outbox.pool),
  ].filter(problem => problem !== null)
  if (unreachable.length > 0)
    return { ok: false, problems: unreachable.slice(0, config.outboxUrl === config.databaseUrl ? 1 : 2) }
  const checked = await preflight(source, { slotName, publicationName, mapping })
  if (roles.has('capture') && checked.problems.length > 0) return { ok: false, problems: checked.problems }
  const migrated = describeMigration(await migrate(outbox))
  if (!migrated.ok) return { ok: false, problems: [migrated.problem] }
  if (migrated.applied.length > 0) log.info('outbox.migrated', { applied: migrated.applied })
  await ensurePartitions(outbox, Date.now())

  const nowMs = () => Date.now()
  const guard = createGuard({ allow: config.allow })
  const sender = openSender({ guard, deadlineMs, connectTimeoutMs: 5_000, maxResponseBytes: 16_384 })
  opened.defer(() => sender.close())
  const deliver = createDeliver({
    post: sender.post,
    sealKey: config.sealKey!,
    userAgent: `walhook/${packageJson.version}`,
    nowMs,
  })
  const metrics = createMetrics(async () => {
    const [queue, heldBack] = await Promise.all([
      queueDepth(outbox).catch(() => null),
      heldBackBytes(source, slotName).catch(() => null),
    ])
    return { queue, heldBackBytes: heldBack, isCapturing: capture.state().state === 'streaming' }
  })
  const dispatcher = createDispatcher({
    outbox,
    deliver,
    scheduleMs: defaultScheduleMs,
    maxInFlightPerWebhook: 100,
    maxInFlight: 500,
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
    onStored(stored) {
      metrics.onStored({ ...stored, lagMs: nowMs() - stored.committedAt.getTime() })
      if (stored.deliveries > 0) dispatcher.wake()
    },
  })
  const control: Control = {
    outbox,
    sealKey: config.sealKey!,
    entityTypes: mapping.map(({ entityType }) => entityType),
    judgeTarget: guard.judge,
    async readEntity(entityType, key) {
      const entity = mapping.find(each => each.entityType === entityType)
      return entity ? await readEntity(source, await readCatalogue(source, [entity]), entity, key) : null
    },
    sendTest: (target, message) => sendTest(outbox, deliver, target, message),
    randomBytes,
  }

  const health = async (): Promise<Record<string, Health>> => ({
    database: await outbox.pool.query('select').then(
      () => ({ ok: true, status: 'reachable' }),
      error => ({ ok: false, status: describeError(error) }),
    ),
    ...(roles.has('capture') && { capture: captureHealth(capture.state()) }),
  })

  let server: HttpServer | null = null
  if (roles.has('api')) {
    const authenticate = createAuthenticator(outbox, { token: config.adminToken, userId: config.adminUserId })
    const api = createApi({ control, authenticate, health, metrics, log })
    const listening = await listenHttp(api.fetch, { host: config.host, port: config.port })
    if (!listening.ok) return { ok: false, problems: [listening.problem] }
    server = listening.server
    opened.use(server)
  }

  const services: Service[] = [
    { name: 'partitions', run: signal => keepPartitions(signal) },
    ...(roles.has('capture') ? [capture] : []),
    ...(roles.has('delivery')
      ? [
          dispatcher,
          {
            name: 'wake-ups',
            run: (signal: AbortSignal) => listenForWakes(outbox.url, dispatcher.wake, signal),
          },
        ]
      : []),
  ]

  async function keepPartitions(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await ensurePartitions(outbox, nowMs())
      await sleep(hourMs, signal)
    }
  }

  const resources = opened.move()
  return {
    ok: true,
    app: {
      url: server?.url ?? null,
      control,
      async run(signal) {
        try {
          await Promise.all(
            services.map(service =>
              supervise(service, {
                signal,
                minDelayMs: 500,
                maxDelayMs: 30_000,
                onFailure: (error, nextDelayMs) =>
                  log.error(`${service.name}.failed`, {
                    reason: describeError(error),
                    next_in_ms: nextDelayMs,
                  }),
              }),
            ),
          )
          // A process with the role api alone has nothing else to wait for.
          await untilAborted(signal)
        } finally {
          await resources.disposeAsync()
        }
      },
      close: () => resources.disposeAsync(),
    },
  }
}

function captureHealth(state: ReturnType<ReturnType<typeof createCapture>['state']>): Health {
  const ok = state.state === 'streaming' || state.state === 'standing by'
  return { ok, status: state.state === 'failing' ? `failing: ${state.reason}` : state.state }
}

async function problemOfConnecting(
  variable: string,
  pool: { query(text: string): Promise<unknown> },
): Promise<Problem | null> {
  try {
    await pool.query('select')
    return null
  } catch (error) {
    const mend = 'check that the server runs, and the host, port, database, user and password of the URL'
    return { what: variable, found: `no connection: ${describeError(error)}`, mend }
  }
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

/** What keeps walhook from capturing the source; nothing is created or changed. */
export async function checkSource(config: Config): Promise<readonly Problem[]> {
  await using source = openSource({ url: config.databaseUrl!, onError: () => {} })
  const unreachable = await problemOfConnecting('DATABASE_URL', source.pool)
  return unreachable ? [unreachable] : (await preflight(source, config)).problems
}

/** Brings walhook's own tables up to date, and nothing else. */
export async function migrateOutbox(config: Config) {
  await using outbox = openOutbox({ url: config.outboxUrl!, maxConnections: 2, onError: () => {} })
  const problem = await problemOfConnecting('OUTBOX_DATABASE_URL', outbox.pool)
  return problem ? { ok: false as const, problem } : describeMigration(await migrate(outbox))
}

/** Makes a stored API token, in a schema that is brought up to date first. */
export async function makeToken(config: Config, input: { name: string; userId: string | null }) {
  const migrated = await migrateOutbox(config)
  if (!migrated.ok) return migrated
  await using outbox = openOutbox({ url: config.outboxUrl!, maxConnections: 1, onError: () => {} })
  return { ok: true as const, token: await createToken({ outbox, randomBytes }, input) }
}

/** Runs a receiver for developers until `signal` is aborted. */
export async function listen(options: {
  port: number
  status: number
  delayMs: number
  secrets: readonly string[]
  say: (line: string) => void
  signal: AbortSignal
}): Promise<void> {
  const { say, signal, secrets, ...rest } = options
  const receiver = await startReceiver({
    ...rest,
    secrets: () => secrets,
    onReceived: one =>
      say(
        `${one.receivedAt.toISOString()} ${one.webhookId ?? '(no webhook-id)'} signature ${one.signature.state}, answered ${one.answeredStatus}\n${one.body}`,
      ),
  })
  say(`Send webhooks to ${receiver.url}/ and open it in a browser to see them. Ctrl-C stops.`)
  await untilAborted(signal)
  await receiver.close()
}

/** Runs the playground until `signal` is aborted. Of the configuration, host, port and log level count. */
export async function playground(
  config: Config,
  options: { say: (line: string) => void; signal: AbortSignal },
): Promise<void> {
  // Its own lines tell the story: by default the log speaks only of what went wrong.
  const log = openLog(config.logLevel === 'info' ? 'error' : config.logLevel)
  await runPlayground({
    ...options,
    dataDir: fileURLToPath(new URL('../data/playground', import.meta.url)),
    async open(settings) {
      const allow = parseAllowList('127.0.0.1')
      const settled: Config = {
        ...config,
        ...settings,
        outboxUrl: settings.databaseUrl,
        sealKey: parseSealKey(settings.secretKey),
        allow: allow.ok ? allow.allow : config.allow,
      }
      let opened = await openApp(settled, log)
      // Somebody who only wants to look is not sent to find a free port.
      if (!opened.ok && opened.problems.some(({ what }) => what === 'PORT'))
        opened = await openApp({ ...settled, port: 0 }, log)
      if (!opened.ok) throw new Error(opened.problems.map(formatProblem).join('\n'))
      const { app } = opened
      return { url: app.url!, run: app.run, connect: webhook => connectReceiver(app.control, webhook) }
    },
  })
}

/** Makes the playground's webhook, or points the first one to where the receiver listens this time. */
async function connectReceiver(
  control: Control,
  wanted: { name: string; url: string; triggers: readonly Trigger[] },
): Promise<string> {
  const [first] = (await listWebhooks(control, { limit: 1, after: 0 })).items
  const result = first
    ? await changeWebhook(control, first.id, { url: wanted.url })
    : await createWebhook(control, { ...wanted, isActive: true })
  if (!result.ok) throw new Error(`the playground's webhook could not be made: ${JSON.stringify(result)}`)
  const id = first?.id ?? (await listWebhooks(control, { limit: 1, after: 0 })).items[0]!.id
  const secret = await revealSecret(control, id)
  if (!secret.ok) throw new Error(`the playground's webhook has no secret`)
  return secret.value
}
