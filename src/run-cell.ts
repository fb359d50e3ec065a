import type { Config } from './config.ts'
import type { CellConnections } from './databases.ts'
import { createAlerts } from './delivery/alerts/alerts.ts'
import { createCopier } from './delivery/cells/copier.ts'
import type { Deliver } from './delivery/sending/deliver.ts'
import { createDispatcher, type DispatcherOptions } from './delivery/turn/dispatcher.ts'
import { createReplays } from './delivery/turn/replays.ts'
import type { Cells } from './outbox/cells/cells.ts'
import { prepareCell } from './outbox/cells/prepare.ts'
import { mainCell, type Registered } from './outbox/cells/registry.ts'
import { type Clock, openClock } from './outbox/database/clock.ts'
import type { Outbox } from './outbox/database/database.ts'
import { keepDays } from './outbox/days/upkeep.ts'
import { listenForWakes } from './outbox/log/wake.ts'
import { describeError, type Log } from './runtime/log.ts'
import { type Service, supervise } from './runtime/service.ts'
import { sleep } from './runtime/sleep.ts'

export type Dispatcher = ReturnType<typeof createDispatcher>

/** What the cells of a process share: the way out to receivers, its limits, and who is told. */
export type Sharing = {
  readonly config: Config
  readonly deliver: Deliver
  readonly deadlineMs: number
  readonly onSettled: DispatcherOptions['onSettled']
  readonly log: Log
}

/** The dispatcher of a cell. */
export function openDispatcher(
  { config, deliver, deadlineMs, onSettled, log }: Sharing,
  { queue, nowMs }: { readonly queue: Outbox; readonly nowMs: () => number },
): Dispatcher {
  return createDispatcher({
    outbox: queue,
    deliver,
    scheduleMs: config.scheduleMs,
    maxInFlightPerWebhook: config.maxInFlightPerWebhook,
    maxInFlight: 5 * config.maxInFlightPerWebhook,
    deadlineMs,
    drainMs: 5_000,
    nowMs,
    random: Math.random,
    log,
    onSettled,
  })
}

/** What a process runs for a cell that has its tables. `wake` gets the notifications of the cell. */
export function servicesOf(
  { config, log }: Pick<Sharing, 'config' | 'log'>,
  cell: {
    readonly outbox: Outbox
    readonly upkeep: Outbox
    readonly clock: Clock
    readonly dispatcher: Dispatcher
    readonly wake: (told: string | null) => void
  },
): Service[] {
  const { roles, keep } = config
  const { outbox, upkeep, clock, dispatcher, wake } = cell
  return [
    { name: 'days', run: signal => keepDays(upkeep, { clock, keep, log }, signal) },
    ...(roles.has('delivery')
      ? [dispatcher, createReplays({ outbox: upkeep, log }), ...openAlerts(config, upkeep, log)]
      : []),
    ...(roles.has('capture') || roles.has('delivery')
      ? [{ name: 'wake-ups', run: (signal: AbortSignal) => listenForWakes(outbox, wake, signal) }]
      : []),
  ]
}

/** Sends alerts to webhooks and by mail. */
function openAlerts({ mail, alertTo = [], publicUrls }: Config, outbox: Outbox, log: Log): Service[] {
  const [first] = publicUrls
  const publicUrl = first ? `${first.protocol}://${first.host}` : null
  return createAlerts({ outbox, mail: mail ?? null, toCapture: alertTo, publicUrl, log })
}

/** Keeps services running, each restarted when it fails, until `signal` is aborted. */
export async function runServices(
  services: readonly Service[],
  log: Log,
  signal: AbortSignal,
): Promise<void> {
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

const lookForCellsMs = 10_000

/**
 * Runs the cells besides main, each by itself: one that is away is tried again and again, and nothing else waits for it. A cell that is
 * added is taken up within seconds.
 */
export function createCellRuns(
  sharing: Sharing,
  {
    main,
    cells,
    connections,
  }: {
    readonly main: Outbox
    readonly cells: Cells
    readonly connections: (
      name: string,
    ) => (CellConnections & { readonly registered: Registered }) | undefined
  },
) {
  const { config, log } = sharing
  const running = new Map<string, { dispatcher: Dispatcher | null; wake(): void; problem: string | null }>()

  /** Until it is ready, why it is not. */
  async function prepare(name: string, signal: AbortSignal) {
    const cell = connections(name)!
    const clock = await openClock(cell.upkeep)
    const options = { placing: config.placing, nowMs: clock.nowMs() }
    const prepared = await prepareCell(main, cell.upkeep, cell.registered, options)
    if (!prepared.ok)
      throw new Error(
        prepared.problems.map(({ what, found, mend }) => `${what}: ${found}. Fix: ${mend}`).join('; '),
      )
    if (prepared.applied.length > 0) log.info('outbox.migrated', { cell: name, applied: prepared.applied })
    if (signal.aborted) return null
    return { ...cell, clock }
  }

  async function run(name: string, signal: AbortSignal): Promise<void> {
    const logOfCell = withCell(log, name)
    const state: { dispatcher: Dispatcher | null; wake(): void; problem: string | null } = {
      dispatcher: null,
      wake: () => {},
      problem: null,
    }
    running.set(name, state)
    const service: Service = {
      name: 'cell',
      async run() {
        const ready = await prepare(name, signal).catch(error => {
          state.problem = describeError(error)
          throw error
        })
        state.problem = null
        if (!ready) return
        const { queue, outbox, upkeep, clock } = ready
        const dispatcher = openDispatcher({ ...sharing, log: logOfCell }, { queue, nowMs: clock.nowMs })
        const cell = { name, outbox: upkeep }
        const copier = createCopier({ main, cell, onCopied: dispatcher.appended })
        state.dispatcher = dispatcher
        state.wake = copier.wake
        const parts = { outbox, upkeep, clock, dispatcher, wake: dispatcher.wake }
        await runServices([...servicesOf({ config, log: logOfCell }, parts), copier], logOfCell, signal)
      },
    }
    await runServices([service], logOfCell, signal)
  }

  const service: Service = {
    name: 'cells',
    async run(signal) {
      const runs: Promise<void>[] = []
      while (!signal.aborted) {
        await cells.refresh().catch(error => log.warn('cells.unknown', { reason: describeError(error) }))
        for (const { name } of cells.all())
          if (config.roles.has('delivery') && name !== mainCell && !running.has(name))
            runs.push(run(name, signal))
        await sleep(lookForCellsMs, signal)
      }
      await Promise.all(runs)
    },
  }

  return {
    service,
    /** The log has something new. */
    wake() {
      for (const { wake } of running.values()) wake()
    },
    /** Of whichever cell the webhook is in. */
    paceOf(webhookId: number) {
      for (const { dispatcher } of running.values()) {
        const pace = dispatcher?.paceOf(webhookId)
        if (pace) return pace
      }
      return null
    },
    /** Why nothing of a cell is delivered here; null: all is well, or the cell is not run here. */
    stall(name: string): string | null {
      const state = running.get(name)
      return state ? (state.problem ?? state.dispatcher?.stall() ?? null) : null
    },
  }
}

export type CellRuns = ReturnType<typeof createCellRuns>

/** Names the cell in every line. */
function withCell(log: Log, cell: string): Log {
  const told =
    (level: keyof Log): Log['info'] =>
    (name, facts) =>
      log[level](name, { cell, ...facts })
  return { debug: told('debug'), info: told('info'), warn: told('warn'), error: told('error') }
}
