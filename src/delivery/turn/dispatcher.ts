import { earlyRetries } from '../../domain/delivery/retry.ts'
import type { TimeId } from '../../domain/value/time-id.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import type { LogEvent } from '../../outbox/log/log.ts'
import { notifyWake } from '../../outbox/log/wake.ts'
import type { Settlement } from '../../outbox/settle/settle.ts'
import { describeError, type Log } from '../../runtime/log.ts'
import { createPatientClock } from '../../runtime/patient-clock.ts'
import type { Service } from '../../runtime/service.ts'
import { sleep } from '../../runtime/sleep.ts'
import { type Capacity, createCapacity } from '../sending/capacity.ts'
import type { Deliver } from '../sending/deliver.ts'
import { noteHead } from '../stream/reader.ts'
import { forgetEntity } from '../stream/settings.ts'
import { createTail, type Tail } from '../stream/tail.ts'
import { blocked, due } from '../stream/tasks.ts'
import { joinHolders } from './membership.ts'
import { createRecoveries } from './recoveries.ts'
import { createSend } from './send.ts'
import { drain, openServing, serve } from './serve.ts'
import type { Serving } from './serving.ts'
import { createWaker } from './waker.ts'
import { wantBeat } from './write-down.ts'

export type DispatcherOptions = {
  outbox: Outbox
  deliver: Deliver
  /** Waits after the first, second, … failed attempt, in ms. */
  scheduleMs: readonly number[]
  /** The maximum requests in flight, per webhook and in all; see `createCapacity`. */
  maxInFlightPerWebhook: number
  maxInFlight: number
  /** The time limit of an attempt. */
  deadlineMs: number
  /** How long a shutdown waits for requests in flight. */
  drainMs: number
  nowMs: () => number
  random: () => number
  log: Log
  onSettled: (settlements: readonly Settlement[]) => void
}

/** This process' own appends: there is no event between `previousEventId` and the first. */
export type AppendedEvents = {
  readonly previousEventId: TimeId
  readonly lastEventId: TimeId
  /** Null: too many to keep in memory. */
  readonly events: readonly LogEvent[] | null
}

/** Longer than any healthy statement or pause between beats. */
const stalledAfterMs = 20_000
const afterFailureMs = 1_000
const forgetPrefix = 'forget:'

/**
 * The service that delivers: becomes a holder and serves its shares (`serve`) until the end, or until another process takes
 * over or the outbox has gone back; then it starts again from scratch, while its requests in flight end. `appended` passes this process' appends; `wake` passes notifications, or null for
 * possible changes of any kind.
 */
export function createDispatcher(options: DispatcherOptions): Service & {
  wake(payload: string | null): void
  appended(events: AppendedEvents): void
  /** This process' pace of a webhook. */
  paceOf: Capacity['paceOf']
  /** Why nothing is delivered although deliveries may be due, in words; null: all is well. */
  stall(): string | null
} {
  const { outbox, log, deadlineMs } = options
  const clockMs = () => performance.now()
  // The host's own time: the outbox's runs by the monotonic clock, which stands still while a machine is suspended.
  const now = () => ({ monotonicMs: clockMs(), wallMs: Date.now() })
  const patience = createPatientClock(clockMs)
  const waker = createWaker()
  const tail = createTail()
  const capacity = createCapacity({
    max: options.maxInFlightPerWebhook,
    total: options.maxInFlight,
    nowMs: patience.nowMs,
  })
  const send = createSend({ ...options, capacity, clockMs: patience.nowMs })
  let serving: Serving | null = null

  const recoveries = createRecoveries({
    outbox,
    early: earlyRetries(options.scheduleMs),
    log,
    onDue(webhookId) {
      if (serving) noteRows(serving, webhookId)
      waker.wake()
    },
  })

  function wake(payload: string | null) {
    if (payload?.startsWith(forgetPrefix)) return forget(payload.slice(forgetPrefix.length), tail, serving)
    if (serving) heed(serving, payload || null)
    waker.wake()
  }

  return {
    name: 'delivery',
    wake,
    paceOf: capacity.paceOf,

    appended({ previousEventId, lastEventId, events }) {
      if (!serving) return
      if (!tail.push(events, previousEventId, lastEventId)) noteHead(serving.reader, lastEventId)
      waker.wake()
    },

    stall: () => serving && stallOf(serving, clockMs()),

    async run(signal) {
      const drains = createDrains()
      while (!signal.aborted) {
        try {
          const membership = await joinHolders({ outbox, deadlineMs, now })
          // An outbox that has gone back has other events.
          tail.begin(0n)
          const parts = { membership, tail, capacity, waker, send, clockMs, patience }
          const onRecovered = (id: number) => void recoveries.recovered(id)
          serving = openServing({ ...options, ...parts, onRecovered })
          await serve(serving, signal)
          if (!serving.isFenced) continue
          log.warn('delivery.taken_over_from', { holder: membership.holderId })
          drains.begin(serving)
        } catch (error) {
          log.error('delivery.failed', { reason: describeError(error), next_in_ms: afterFailureMs })
          await sleep(afterFailureMs, signal)
        }
      }
      await drains.ended()
      // Its pending work is for another process.
      await notifyWake(outbox).catch(() => {})
    },
  }
}

/** An empty payload: the name is too long for one, and for a key of the table. */
function forget(payload: string, tail: Tail, serving: Serving | null): void {
  if (payload === '') return
  const [entityType, entityId] = JSON.parse(payload)
  tail.forget({ entityType, entityId })
  if (serving) forgetEntity(serving.machine, { entityType, entityId })
}

/** The lives that were fenced, until their requests have ended. */
function createDrains() {
  const all = new Set<Promise<void>>()
  return {
    begin(serving: Serving): void {
      const drained = drain(serving).finally(() => all.delete(drained))
      all.add(drained)
    },
    ended: () => Promise.all(all),
  }
}

function stallOf({ heardAtMs, settler }: Serving, nowMs: number): string | null {
  const silentMs = nowMs - heardAtMs
  const settlingMs = nowMs - (settler.settlingSinceMs() ?? nowMs)
  if (Math.max(silentMs, settlingMs) < stalledAfterMs) return null
  const what = silentMs > settlingMs ? 'the outbox has not answered' : 'sent deliveries could not be settled'
  return `${what} for ${Math.round(Math.max(silentMs, settlingMs) / 1000)} s`
}

/** Another process changed something; null: anything may have changed. */
function heed(serving: Serving, payload: string | null): void {
  if (payload === 'shares') {
    wantBeat(serving)
    return
  }
  const { reader } = serving
  const [, byHand] = /^hand:(\d+)$/.exec(payload ?? '') ?? []
  const isUnknown = byHand !== undefined && !noteRows(serving, Number(byHand))
  if (payload === null || isUnknown) reader.wanted.aside = true
  if (payload === null || payload === 'webhooks' || byHand !== undefined) reader.wanted.settings = true
  if (payload !== null && /^\d+$/.test(payload)) noteHead(reader, BigInt(payload))
  else reader.wanted.head = true
}

/** A webhook has rows that are due. False: it is unknown. */
function noteRows({ machine, clockMs }: Serving, webhookId: number): boolean {
  const queue = machine.queues.get(webhookId)
  if (!queue) return false
  blocked(queue)
  due(machine, queue, clockMs())
  return true
}
