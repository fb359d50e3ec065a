import packageJson from '../package.json' with { type: 'json' }
import type { Health } from './api/api.ts'
import { createMetrics, type Gauges } from './api/metrics/metrics.ts'
import { createCaptureAlerts } from './capture/alerts.ts'
import { openMappingLost } from './capture/check/mapping-lost.ts'
import { openReloadable } from './capture/reload.ts'
import { readSlotStatus } from './capture/source/preflight.ts'
import type { Config } from './config/config.ts'
import type { Control } from './control/kit/control.ts'
import { readQueue } from './control/status/status.ts'
import { countStates } from './control/status/webhook-states.ts'
import { type Connections, openDatabases } from './databases.ts'
import { openSender } from './delivery/sending/attempt.ts'
import { createDeliver, type TraceRequests } from './delivery/sending/deliver.ts'
import { createGuard } from './delivery/sending/guard.ts'
import { tableKey } from './domain/mapping/mapping.ts'
import type { Problem } from './domain/value/problem.ts'
import { bindHttp, openHttp } from './http.ts'
import { openControl, type Parts, type Reloadable } from './open-control.ts'
import { type Cell, createCells } from './outbox/cells/cells.ts'
import { receiversIn } from './outbox/cells/receivers.ts'
import { mainCell } from './outbox/cells/registry.ts'
import type { Outbox } from './outbox/database/database.ts'
import { countOpenGaps } from './outbox/source/gaps.ts'
import { captureHealth, cellsHealth, databaseHealth, deliveryHealth, responseTimeoutMs } from './readiness.ts'
import {
  createCellRuns,
  type OpenedCell,
  openDispatcher,
  runServices,
  type Sharing,
  servicesOf,
} from './run-cell.ts'
import type { Log } from './runtime/log.ts'
import { openResources, type Resources } from './runtime/resources.ts'
import { within } from './runtime/within.ts'
import { openTracing } from './tracing.ts'

export type App = {
  /** The API's address; null: this process has no role `api`. */
  readonly url: string | null
  readonly control: Control
  /** Replaces the mapping while running. */
  readonly mapping: Pick<Reloadable, 'reload' | 'refuse' | 'state'>
  /** Runs until `signal` is aborted, then stops in reverse order of the start. */
  run(signal: AbortSignal): Promise<void>
  /** Closes an app that was not run. */
  close(): Promise<void>
}

export type Opened =
  | { readonly ok: true; readonly app: App }
  | { readonly ok: false; readonly problems: readonly Problem[] }

const deadlineMs = 15_000

/**
 * Opens everything that `serve` runs: binds the port, checks the databases, migrates the schema, and connects the parts. The
 * port comes first: if it is taken, nothing has changed. A returned problem leaves nothing open. Needs a source, an outbox
 * and a seal key.
 */
export async function openApp(config: Config, log: Log): Promise<Opened> {
  const { slotName, publicationName, roles } = config
  await using opened = openResources()
  const bound = roles.has('api') ? await bindHttp(config) : null
  if (bound && !bound.ok) return { ok: false, problems: [bound.problem] }
  // Closed last if the start fails, and first after it succeeded.
  await using port = openResources()
  if (bound) port.use(bound.server)
  const databases = await openDatabases(config, log, opened)
  if (!databases.ok) return databases
  const { connections } = databases
  const { source, sourceOfCallers, appends, queue, outbox, upkeep, captureWaitsFor } = connections
  const { nowMs } = databases.clock

  const tracing = await openTracing(config, upkeep, log, opened)
  const { guard, deliver } = openDelivery(config, { nowMs, trace: tracing?.requests ?? null }, opened)
  const sharing: Sharing = {
    ...{ config, deliver, deadlineMs, log },
    onSettled(settlements) {
      metrics.onAttempts(settlements.map(({ attempt }) => attempt))
      tracing?.settled(settlements)
    },
  }
  const dispatcher = openDispatcher(sharing, { queue, nowMs })
  const { cells, runs } = openCells(sharing, connections)
  const reloadable = await openReloadable({
    source,
    outbox: appends,
    waitsFor: captureWaitsFor,
    slotName,
    publicationName,
    mapping: config.mapping,
    nowMs,
    log,
    probeIntervalMs: config.probeIntervalMs,
    onStored(stored) {
      metrics.onStored({ ...stored, lagMs: nowMs() - stored.committedAt.getTime() })
    },
    onAppended(appended) {
      dispatcher.appended(appended)
      runs.wake()
    },
    receiversOf: wanted => receiversIn(cells, wanted),
    trace: tracing?.appends ?? null,
  })
  const { capture, mapping } = reloadable
  await cells.refresh()
  const mappingLost = openMappingLost({ source: sourceOfCallers, outbox, slotName, mapping })
  const parts = {
    config,
    databases: connections,
    cells,
    runs,
    reloadable,
    nowMs,
    capture,
    dispatcher,
    mappingLost,
  }
  const metrics = createMetrics(() => readGauges(parts))
  const control = openControl(parts, { checkTarget: guard.check, deliver })

  if (bound) {
    const closing = new AbortController()
    const problem = openHttp(bound.gate, {
      config,
      control,
      health: () => readHealth(parts),
      metrics,
      nowMs,
      stopped: closing.signal,
      log,
    })
    if (problem) return { ok: false, problems: [problem] }
    opened.use(port.move())
    opened.defer(() => closing.abort())
  }

  function wake(payload: string | null) {
    if (payload === 'slot') return reloadable.slotFreed()
    dispatcher.wake(payload)
    runs.wake()
  }
  const ofMain = { outbox, upkeep, main: upkeep, clock: databases.clock, dispatcher, wake }
  const services = [
    ...servicesOf(sharing, ofMain),
    ...(roles.has('capture')
      ? [capture, createCaptureAlerts({ outbox: upkeep, slotName, state: capture.state })]
      : []),
    ...runs.services,
  ]
  const resources = opened.move()
  return {
    ok: true,
    app: {
      url: bound?.server.url ?? null,
      control,
      mapping: reloadable,
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

/** The state of each part of this process. */
async function readHealth({
  config,
  databases,
  capture,
  dispatcher,
  cells,
  runs,
}: Parts): Promise<Record<string, Health>> {
  const { roles } = config
  return {
    database: await databaseHealth(databases.health),
    ...(roles.has('capture') && { capture: captureHealth(capture.state(), capture.stall()) }),
    ...(roles.has('delivery') && { delivery: deliveryHealth(dispatcher.stall()) }),
    ...(await cellsHealth(cells, runs.stall)),
  }
}

/** The gauges of `/metrics`; null: a database does not answer in time. */
async function readGauges(parts: Parts): Promise<Gauges> {
  const { config, databases, cells, capture, mappingLost } = parts
  const { outbox, sourceOfCallers } = databases
  const [health, queue, webhooks, slot, openGaps, lost, states] = await Promise.all([
    readHealth(parts),
    within(responseTimeoutMs, readQueue({ cells })).catch(() => null),
    within(responseTimeoutMs, countStates({ cells })).catch(() => null),
    within(responseTimeoutMs, readSlotStatus(sourceOfCallers, config.slotName)).catch(() => null),
    within(responseTimeoutMs, countOpenGaps(outbox, config.slotName)).catch(() => null),
    mappingLost(),
    cells.all().length > 1 ? cells.states() : [],
  ])
  return {
    // A cell that is away does not make the process unready, and is not in order.
    health: Object.fromEntries(
      Object.entries(health).map(([part, { ok, status }]) => [
        part,
        { ok: ok && !(part.startsWith('cell:') && status !== 'working') },
      ]),
    ),
    cells: states.filter(({ name }) => name !== mainCell),
    queue,
    webhooks,
    heldBackBytes: slot?.heldBackBytes ?? null,
    captureState: config.roles.has('capture') ? capture.state().state : null,
    openGaps,
    mappingLost: lost?.length ?? null,
    tables: parts.reloadable.mapping().map(({ table }) => tableKey(table)),
  }
}

/** The only way out to receivers, for deliveries and tests. */
function openDelivery(
  config: Config,
  { nowMs, trace }: { nowMs: () => number; trace: TraceRequests | null },
  opened: Resources,
) {
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
    trace,
  })
  return { guard, deliver }
}

/** The cells, and what this process runs for those besides main. */
function openCells(sharing: Sharing, { outbox, upkeep, openCell }: Connections) {
  const opened = new WeakMap<Outbox, OpenedCell>()
  const cells = createCells({
    main: outbox,
    sealKey: sharing.config.sealKey!,
    open(registered) {
      const connections = openCell(registered)
      opened.set(connections.outbox, { ...connections, registered })
      return connections.outbox
    },
  })
  const connections = (cell: Cell) => opened.get(cell.outbox)
  return { cells, runs: createCellRuns(sharing, { main: upkeep, cells, connections }) }
}
