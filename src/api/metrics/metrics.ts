import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import packageJson from '../../../package.json' with { type: 'json' }
import { type Outcome, outcomes } from '../../domain/delivery/outcome.ts'
import { timeOf } from '../../domain/value/time-id.ts'
import { countByWebhook } from './of-webhooks.ts'

/** Measured on each request; null: unknown at present. */
export type Gauges = {
  /** The parts of this process, as `/readyz` checks them. */
  readonly health: Readonly<Record<string, { readonly ok: boolean }>>
  readonly queue: {
    readonly deliveries: number
    readonly setAside: number
    readonly lanes: number
    readonly deadDeliveries: number
    readonly streamsBehind: number
    readonly oldestPendingMs: number
  } | null
  /** Every webhook is in one of them. */
  readonly webhooks: Readonly<Record<WebhookState, number>> | null
  readonly heldBackBytes: number | null
  /** Null: this process does not capture. */
  readonly captureState: CaptureStateName | null
  /** How many objects of the mapping the source has dropped; null: it is unavailable. */
  readonly mappingLost: number | null
  /** The tables of the mapping's entities. */
  readonly tables: readonly string[]
  /** The cells besides main. */
  readonly cells?: readonly {
    readonly name: string
    readonly isAway: boolean
    readonly behind: number | null
  }[]
  readonly openGaps: { readonly ofEverything: number; readonly ofTables: number } | null
}

/** The states of capture, one series each. */
const captureStates = ['starting', 'standing by', 'streaming', 'lagging', 'blocked', 'gap', 'lost'] as const
type CaptureStateName = (typeof captureStates)[number]
const reading: readonly (CaptureStateName | null)[] = ['streaming', 'lagging', 'gap']

const webhookStates = ['active', 'failing', 'disabled', 'inactive'] as const
type WebhookState = (typeof webhookStates)[number]

/** From milliseconds without a backlog to an hour of an outage. */
const waits = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600]

type AttemptMeasured = {
  readonly webhookId: number
  readonly trigger: string
  readonly eventId: bigint | null
  readonly eventIds: readonly bigint[] | null
  readonly outcome: Outcome
  readonly startedAt: Date
  readonly durationMs: number
}

/** The metrics for Prometheus. https://prometheus.io/docs/practices/naming/ */
export function createMetrics(readGauges: () => Promise<Gauges>) {
  const registry = new Registry()
  const registers = [registry]
  const counter = (name: string, help: string, labelNames: readonly string[] = []) =>
    new Counter({ name, help, labelNames, registers })
  const gauge = (name: string, help: string, labelNames: readonly string[] = []) =>
    new Gauge({ name, help, labelNames, registers })
  const changes = counter('walhook_changes_total', 'Row changes read from the write-ahead log and stored')
  const events = counter('walhook_events_total', 'Events appended to the outbox')
  const parked = counter(
    'walhook_parked_changes_total',
    'Changes that could not become an event: see walhook.parked_changes',
  )
  const truncated = counter(
    'walhook_truncated_tables_total',
    'Tables emptied by TRUNCATE, for which no deletes could be sent',
    ['table'],
  )
  const attempts = counter('walhook_attempts_total', 'HTTP attempts by outcome, without tests', ['outcome'])
  const duration = new Histogram({
    name: 'walhook_attempt_duration_seconds',
    help: 'Duration of attempts, from DNS to the end of the response',
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15],
    registers,
  })
  const delivered = new Histogram({
    name: 'walhook_delivery_duration_seconds',
    help: 'From the commit of an event in the outbox to the end of the request that delivered it; for a batch, of its oldest event. Without deliveries requested by hand',
    buckets: waits,
    registers,
  })
  const captured = new Histogram({
    name: 'walhook_capture_duration_seconds',
    help: 'From the commit of a change in the source to its commit in the outbox, for the last change of each commit',
    buckets: waits,
    registers,
  })
  const ofWebhooks = countByWebhook(registry, () => performance.now())
  const lag = gauge(
    'walhook_capture_lag_seconds',
    'From the commit of the last stored change in the source to its commit in the outbox',
  )
  const waiting = gauge(
    'walhook_deliveries_waiting',
    'Pending deliveries, set aside or in the log; an estimate if there are many',
  )
  const setAside = gauge(
    'walhook_deliveries_set_aside',
    'Deliveries set aside: failed, behind one that failed, requested by hand, or in a batch; an estimate above 10,000',
  )
  const lanes = gauge(
    'walhook_lanes_waiting',
    'Entities of a webhook with deliveries set aside; an estimate above 10,000',
  )
  const behind = gauge('walhook_webhooks_behind', 'Webhooks with a backlog in the event log')
  const webhooks = gauge(
    'walhook_webhooks',
    'Webhooks by state: `active`; `failing`: active, but the last requests failed; `disabled` by walhook; `inactive`: set by an admin',
    ['state'],
  )
  const oldest = gauge(
    'walhook_oldest_pending_seconds',
    'Age of the oldest pending event of an active webhook; 0: none is pending',
  )
  const dead = gauge(
    'walhook_deliveries_dead',
    'Dead letters: deliveries whose last attempt failed. At most 10,000 are counted',
  )
  const heldBack = gauge(
    'walhook_wal_held_back_bytes',
    'WAL that the source retains for the replication slot',
  )
  const capturing = gauge('walhook_capturing', '1 if this process reads the replication slot')

  const ready = gauge(
    'walhook_ready',
    '1 if `/readyz` finds the part healthy. Parts that this process does not run are absent',
    ['part'],
  )
  const cellsAway = gauge(
    'walhook_cell_away',
    '1 if a cell does not respond: its webhooks wait. No series without cells besides main',
    ['cell'],
  )
  const cellsBehind = gauge(
    'walhook_cell_events_behind',
    'Events of the log that a cell lacks, up to 10,000. No series without cells besides main',
    ['cell'],
  )
  const stateOfCapture = gauge(
    'walhook_capture_state',
    '1 for the present state of capture. blocked, gap and lost need an operator. Absent if this process does not capture',
    ['state'],
  )
  const gaps = gauge(
    'walhook_gaps_open',
    'Ranges of lost changes that still need a resync, of everything or of single tables',
    ['of'],
  )

  const mappingLost = gauge(
    'walhook_mapping_lost',
    'Mapped tables and columns that were dropped in the source',
  )

  gauge('walhook_build_info', 'Always 1; the labels name the versions', ['version', 'node']).set(
    { version: packageJson.version, node: process.version },
    1,
  )
  // Of the process: CPU, memory, open files, and event loop lag. Each of its samples wakes the process: at 50 a second they took half of
  // the CPU of an idle one. In ms; also what an idle process shows as its lag.
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 100 })

  const set = (target: Gauge, value: number | null | undefined) => target.set(value ?? Number.NaN)

  return {
    contentType: registry.contentType,

    onStored(stored: {
      changes: number
      events: number
      parked: readonly unknown[]
      truncated: readonly string[]
      lagMs: number
    }) {
      changes.inc(stored.changes)
      events.inc(stored.events)
      parked.inc(stored.parked.length)
      for (const table of stored.truncated) truncated.inc({ table })
      lag.set(stored.lagMs / 1000)
      captured.observe(Math.max(0, stored.lagMs) / 1000)
    },

    /** Counts the attempts of a commit together: to find a series by its labels costs more than the rest. */
    onAttempts(all: readonly AttemptMeasured[]) {
      for (const [outcome, { length }] of Map.groupBy(all, attempt => attempt.outcome))
        attempts.inc({ outcome }, length)
      ofWebhooks.onAttempts(all)
      for (const { outcome, durationMs, trigger, startedAt, eventIds, eventId } of all) {
        duration.observe(durationMs / 1000)
        const firstId = eventIds?.[0] ?? eventId
        if (outcome === 'delivered' && trigger === 'schedule' && firstId !== null)
          delivered.observe(Math.max(0, startedAt.getTime() + durationMs - timeOf(firstId)) / 1000)
      }
    },

    /** Every metric, for the reference. */
    describe() {
      return registry.getMetricsAsArray().map(metric => {
        // Missing in prom-client's types.
        const { labelNames = [] } = metric as unknown as { labelNames?: readonly string[] }
        const { name, help, type } = metric as unknown as { name: string; help: string; type?: string }
        return { name, help, labels: labelNames, type }
      })
    },

    async read(): Promise<string> {
      const gauges = await readGauges()
      ofWebhooks.turn()
      // Prometheus sees a counter rise only where it has seen it before: each begins at 0. https://prometheus.io/docs/practices/instrumentation/#avoid-missing-metrics
      for (const table of gauges.tables) truncated.inc({ table }, 0)
      for (const outcome of outcomes) attempts.inc({ outcome }, 0)
      for (const [part, { ok }] of Object.entries(gauges.health)) ready.set({ part }, ok ? 1 : 0)
      for (const { name: cell, isAway, behind } of gauges.cells ?? []) {
        cellsAway.set({ cell }, isAway ? 1 : 0)
        cellsBehind.set({ cell }, behind ?? Number.NaN)
      }
      for (const state of webhookStates) webhooks.set({ state }, gauges.webhooks?.[state] ?? Number.NaN)
      set(waiting, gauges.queue?.deliveries)
      set(setAside, gauges.queue?.setAside)
      set(lanes, gauges.queue?.lanes)
      set(behind, gauges.queue?.streamsBehind)
      set(oldest, gauges.queue && gauges.queue.oldestPendingMs / 1000)
      set(dead, gauges.queue?.deadDeliveries)
      set(heldBack, gauges.heldBackBytes)
      capturing.set(reading.includes(gauges.captureState) ? 1 : 0)
      stateOfCapture.reset()
      if (gauges.captureState !== null)
        for (const state of captureStates)
          stateOfCapture.set({ state }, state === gauges.captureState ? 1 : 0)
      gaps.set({ of: 'everything' }, gauges.openGaps?.ofEverything ?? Number.NaN)
      gaps.set({ of: 'tables' }, gauges.openGaps?.ofTables ?? Number.NaN)
      set(mappingLost, gauges.mappingLost)
      return await registry.metrics()
    },
  }
}

export type Metrics = ReturnType<typeof createMetrics>
