import type { Config } from './config/config.ts'
import type { CellConnections } from './databases.ts'
import { createAlerts } from './delivery/alerts/alerts.ts'
import { createCopier } from './delivery/cells/copier.ts'
import type { Deliver } from './delivery/sending/deliver.ts'
import { createDispatcher, type DispatcherOptions } from './delivery/turn/dispatcher.ts'
import { createReplays } from './delivery/turn/replays.ts'
import type { Cell, Cells } from './outbox/cells/cells.ts'
import { prepareCell } from './outbox/cells/prepare.ts'
import type { Registered } from './outbox/cells/registry.ts'
import type { SetBack } from './outbox/cells/set-back.ts'
import { settleMoves } from './outbox/cells/settle-move.ts'
import { type Clock, openClock } from './outbox/database/clock.ts'
import type { Outbox } from './outbox/database/database.ts'
import { keepDays } from './outbox/days/upkeep.ts'
import { listenForWakes } from './outbox/log/wake.ts'
import { describeError, type Log } from './runtime/log.ts'
import { type Service, supervise } from './runtime/service.ts'
import { sleep } from './runtime/sleep.ts'

export type Dispatcher = ReturnType<typeof createDispatcher>

/** Shared by the cells of a process: the connections to receivers, their limits, and the observers. */
export type Sharing = {
  readonly config: Config
  readonly deliver: Deliver
  readonly deadlineMs: number
  readonly onSettled: DispatcherOptions['onSettled']
  readonly log: Log
}

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
    /** Main's, which knows the addresses that may get mails. */
    readonly main: Outbox
    readonly clock: Clock
    readonly dispatcher: Dispatcher
    readonly wake: (payload: string | null) => void
  },
): Service[] {
  const { roles, keep } = config
  const { outbox, upkeep, clock, dispatcher } = cell
  const replays = createReplays({ outbox: upkeep, log })
  const wake = (payload: string | null) => {
    if (payload === null || payload === 'replays') replays.wake()
    if (payload !== 'replays') cell.wake(payload)
  }
  return [
    { name: 'days', run: signal => keepDays(upkeep, { clock, keep, log }, signal) },
    ...(roles.has('delivery')
      ? [dispatcher, replays, ...openAlerts(config, { outbox: upkeep, main: cell.main }, log)]
      : []),
    ...(roles.has('capture') || roles.has('delivery')
      ? [{ name: 'wake-ups', run: (signal: AbortSignal) => listenForWakes(outbox, wake, signal) }]
      : []),
  ]
}

/** Sends alerts to webhooks and by mail. */
function openAlerts(
  { mail, mailLanguage, alertTo = [], publicUrls, mailDomains, sealKey }: Config,
  outboxes: { readonly outbox: Outbox; readonly main: Outbox },
  log: Log,
): Service[] {
  const [first] = publicUrls
  const publicUrl = first ? `${first.protocol}://${first.host}` : null
  const consent = { sealKey: sealKey!, trustedDomains: mailDomains }
  const to = { mail: mail ?? null, language: mailLanguage, toCapture: alertTo, publicUrl }
  return createAlerts({ ...outboxes, ...consent, ...to, log })
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

export type OpenedCell = CellConnections & { readonly registered: Registered }

/** A cell in this process. `problem`: why it is not ready; null: it is. */
type CellState = { dispatcher: Dispatcher | null; wake(): void; problem: string | null }

/** Runs a cell until `signal` is aborted. Until it answers and has its tables, it is prepared again and again. */
async function runCell(
  sharing: Sharing,
  { main, cell, state }: { readonly main: Outbox; readonly cell: OpenedCell; readonly state: CellState },
  signal: AbortSignal,
): Promise<void> {
  const { config } = sharing
  const { name } = cell.registered
  const log = withCell(sharing.log, name)
  const service: Service = {
    name: 'cell',
    async run() {
      const clock = await prepare(main, cell, config, log).catch(error => {
        state.problem = describeError(error)
        throw error
      })
      state.problem = null
      if (signal.aborted) return
      const { queue, outbox, upkeep } = cell
      const dispatcher = openDispatcher({ ...sharing, log }, { queue, nowMs: clock.nowMs })
      const copier = createCopier({
        main,
        cell: { name, outbox: upkeep },
        onCopied: dispatcher.appended,
        onSetBack: found => logSetBack(log, found),
      })
      state.dispatcher = dispatcher
      state.wake = copier.wake
      const parts = { outbox, upkeep, main, clock, dispatcher, wake: dispatcher.wake }
      await runServices([...servicesOf({ config, log }, parts), copier], log, signal)
    },
  }
  await runServices([service], log, signal)
}

function logSetBack(log: Log, found: SetBack): void {
  log.error('cell.set_back', {
    to: new Date(found.toMs).toISOString(),
    from: new Date(found.fromMs).toISOString(),
    days_lost: found.daysLost,
    webhooks_lost: found.webhooksLost,
    webhooks_left: found.webhooksLeft,
  })
}

/** Migrates a cell, and opens its clock. Throws why it is not ready. */
async function prepare(
  main: Outbox,
  { upkeep, registered }: OpenedCell,
  config: Config,
  log: Log,
): Promise<Clock> {
  const clock = await openClock(upkeep)
  const options = { placing: config.placing, nowMs: clock.nowMs() }
  const prepared = await prepareCell(main, upkeep, registered, options)
  if (!prepared.ok)
    throw new Error(
      prepared.problems.map(({ what, found, mend }) => `${what}: ${found}. Fix: ${mend}`).join('; '),
    )
  if (prepared.applied.length > 0) log.info('outbox.migrated', { applied: prepared.applied })
  return clock
}

const pollCellsMs = 10_000

/** `stop`: the cell is elsewhere now, or is no more. */
type Run = CellState & { readonly cell: OpenedCell; stop(): void; readonly ended: Promise<void> }

/**
 * Runs the cells besides main, each by itself: one that is away is tried again and again, and nothing else waits for it. A cell that is
 * added or removed, or whose database has moved, is heard of within seconds.
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
    /** Undefined: main, or a cell whose URL can't be read. */
    readonly connections: (cell: Cell) => OpenedCell | undefined
  },
) {
  const { config, log } = sharing
  const isDelivering = config.roles.has('delivery')
  const running = new Map<string, Run>()

  function start(cell: OpenedCell, signal: AbortSignal): Run {
    const own = new AbortController()
    const state: CellState = { dispatcher: null, wake() {}, problem: null }
    const ended = runCell(sharing, { main, cell, state }, AbortSignal.any([signal, own.signal]))
    return Object.assign(state, { cell, stop: () => own.abort(), ended })
  }

  const runs: Service = {
    name: 'cells',
    async run(signal) {
      for (; !signal.aborted; await sleep(pollCellsMs, signal)) {
        await cells.refresh().catch(error => log.warn('cells.unknown', { reason: describeError(error) }))
        const here = new Set(isDelivering ? cells.all().flatMap(cell => connections(cell) ?? []) : [])
        for (const [name, { cell, stop, ended }] of running)
          if (!here.has(cell)) {
            stop()
            void ended.finally(() => running.delete(name))
          }
        for (const cell of here)
          if (!running.has(cell.registered.name)) running.set(cell.registered.name, start(cell, signal))
      }
      await Promise.all([...running.values()].map(({ ended }) => ended))
    },
  }

  /** A mover may have crashed. By itself: a cell that does not answer holds up a move, and not the taking up of cells. */
  const moves: Service = {
    name: 'moves',
    async run(signal) {
      for (; !signal.aborted; await sleep(pollCellsMs, signal)) {
        const { settled, waiting } = await settleMoves(cells)
        if (settled.length > 0) log.info('cells.moves_settled', { webhook_ids: settled })
        const webhookIds = waiting.map(({ webhookId }) => webhookId)
        if (waiting.length > 0)
          log.warn('cells.moves_wait', { webhook_ids: webhookIds, reason: waiting[0]!.why })
      }
    },
  }

  return {
    services: isDelivering ? [runs, moves] : [runs],
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
  const at =
    (level: keyof Log): Log['info'] =>
    (name, facts) =>
      log[level](name, { cell, ...facts })
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}
