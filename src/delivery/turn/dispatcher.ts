import { earlyRetries } from '../../domain/delivery/retry.ts'
import type { TimeId } from '../../domain/value/time-id.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import type { LogEvent } from '../../outbox/log/log.ts'
import { tellWake } from '../../outbox/log/wake.ts'
import type { Settlement } from '../../outbox/settle/settle.ts'
import { describeError, type Log } from '../../runtime/log.ts'
import type { Service } from '../../runtime/service.ts'
import { sleep } from '../../runtime/sleep.ts'
import type { Deliver } from '../sending/deliver.ts'
import { createPlaces, type Places } from '../sending/places.ts'
import { createTail } from '../stream/tail.ts'
import { joinHolders } from './membership.ts'
import { createRecoveries } from './recoveries.ts'
import { createSend } from './send.ts'
import { createServing, type Serving } from './serve.ts'
import { createWaker } from './waker.ts'

export type DispatcherOptions = {
  outbox: Outbox
  deliver: Deliver
  /** Waits after the first, second, … failed attempt, in ms. */
  scheduleMs: readonly number[]
  /** Requests in flight at once: for one webhook at the best, and for all of them; see `createPlaces`. */
  maxInFlightPerWebhook: number
  maxInFlight: number
  /** The longest that an attempt may take. */
  deadlineMs: number
  /** How long a shutdown waits for requests in flight before it cuts them off. */
  drainMs: number
  nowMs: () => number
  random: () => number
  log: Log
  onSettled: (settlements: readonly Settlement[]) => void
}

/** What this process has appended itself: of `previousEventId` it is known that nothing is in between. */
export type AppendedEvents = {
  readonly previousEventId: TimeId
  readonly lastEventId: TimeId
  /** Null: too many to be kept in memory. */
  readonly events: readonly LogEvent[] | null
}

/** Longer than any sound statement and pause between two beats takes. */
const stalledAfterMs = 20_000
const afterFailureMs = 1_000

/**
 * The service that delivers: becomes a holder, and serves its shares (`createServing`) until the end, or until somebody has taken over from it: then
 * it begins anew, knowing nothing. `appended` hands over what this process captures itself; `wake` tells that somebody else
 * has changed something: the payload of a notification, or null for all that there may be.
 */
export function createDispatcher(options: DispatcherOptions): Service & {
  wake(told: string | null): void
  appended(events: AppendedEvents): void
  /** At what pace this process sends to a webhook. */
  paceOf: Places['paceOf']
  /** Why nothing is delivered although something may be due, in words; null: all is well. */
  stall(): string | null
} {
  const { outbox, log, deadlineMs } = options
  const clockMs = () => performance.now()
  const now = () => ({ monotonicMs: clockMs(), wallMs: options.nowMs() })
  const waker = createWaker()
  const tail = createTail()
  const places = createPlaces({
    most: options.maxInFlightPerWebhook,
    total: options.maxInFlight,
    nowMs: clockMs,
  })
  const send = createSend({ ...options, places, clockMs })
  let serving: Serving | null = null

  const recoveries = createRecoveries({
    outbox,
    early: earlyRetries(options.scheduleMs),
    log,
    onDue(webhookId) {
      wake(`hand:${webhookId}`)
    },
  })

  function wake(told: string | null) {
    const payload = told || null
    if (payload?.startsWith('forget:')) return forget(JSON.parse(payload.slice('forget:'.length) || 'null'))
    const [, byHand] = /^hand:(\d+)$/.exec(payload ?? '') ?? []
    const queue = byHand === undefined ? undefined : serving?.machine.queues.get(Number(byHand))
    if (queue) {
      serving!.machine.blocked(queue)
      serving!.machine.due(queue, clockMs())
    }
    if (payload === null || (byHand !== undefined && !queue)) serving?.reader.lookForAside()
    if (payload === null || payload === 'webhooks' || byHand !== undefined) serving?.reader.lookForSettings()
    if (payload !== null && /^\d+$/.test(payload)) serving?.reader.noteHead(BigInt(payload))
    else serving?.reader.lookForHead()
    waker.wake()
  }

  /** Null: its name is too long to be told; no key of a table is. */
  function forget(names: [entityType: string, entityId: string] | null) {
    if (names === null) return
    const [entityType, entityId] = names
    tail.forget({ entityType, entityId })
    serving?.reader.readAgain()
    serving?.machine.forgetEntity({ entityType, entityId })
  }

  return {
    name: 'delivery',
    wake,
    paceOf: places.paceOf,

    appended({ previousEventId, lastEventId, events }) {
      if (!serving) return
      if (!tail.push(events, previousEventId, lastEventId)) serving.reader.noteHead(lastEventId)
      waker.wake()
    },

    stall() {
      if (!serving) return null
      const nowMs = clockMs()
      const silentMs = nowMs - serving.heardAtMs()
      const settlingMs = nowMs - (serving.settlingSinceMs() ?? nowMs)
      if (Math.max(silentMs, settlingMs) < stalledAfterMs) return null
      const what =
        silentMs > settlingMs ? 'the outbox has not answered' : 'what was sent could not be settled'
      return `${what} for ${Math.round(Math.max(silentMs, settlingMs) / 1000)} s`
    },

    async run(signal) {
      while (!signal.aborted) {
        try {
          const membership = await joinHolders({ outbox, deadlineMs, now })
          serving = createServing({
            ...options,
            membership,
            tail,
            places,
            waker,
            send,
            clockMs,
            onRecovered: id => void recoveries.recovered(id),
          })
          await serving.run(signal)
          if (!signal.aborted) log.warn('delivery.taken_over_from', { holder: membership.holderId })
        } catch (error) {
          log.error('delivery.failed', { reason: describeError(error), next_in_ms: afterFailureMs })
          await sleep(afterFailureMs, signal)
        }
      }
      // What it has left is for another process.
      await tellWake(outbox).catch(() => {})
    },
  }
}
