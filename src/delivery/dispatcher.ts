import { isOverdue } from '../domain/health.ts'
import { isPressed, judgeAnswer } from '../domain/pace.ts'
import { earlyRetries, longestRetryAfterMs, parseRetryAfter } from '../domain/retry.ts'
import { decideNextOfShipment } from '../domain/shipment.ts'
import { timeOf } from '../domain/time-id.ts'
import type { BirthOffer } from '../outbox/birth.ts'
import type { BusyWebhook } from '../outbox/busy.ts'
import { busyWebhooks } from '../outbox/busy.ts'
import { claim } from '../outbox/claim.ts'
import type { Outbox } from '../outbox/database.ts'
import { createDueFloors } from '../outbox/due-floors.ts'
import { release } from '../outbox/lanes.ts'
import { type LeftLane, type Settlement, settle } from '../outbox/settle.ts'
import type { ClaimedDelivery, Shipment } from '../outbox/shipment.ts'
import { tellWake } from '../outbox/wake.ts'
import { describeError, type Log } from '../runtime/log.ts'
import type { Service } from '../runtime/service.ts'
import { sleep } from '../runtime/sleep.ts'
import { createAgenda } from './agenda.ts'
import { createAhead } from './ahead.ts'
import { createBirths } from './births.ts'
import type { Deliver } from './deliver.ts'
import { createLeases } from './leases.ts'
import { messageOf } from './message.ts'
import { createPlaces, type Places } from './places.ts'
import { createRecoveries } from './recoveries.ts'
import { createSettler } from './settler.ts'
import { tellAttempt } from './tell-attempt.ts'
import { createWaker } from './waker.ts'

export type DispatcherOptions = {
  outbox: Outbox
  deliver: Deliver
  /** Waits after the first, second, … failed attempt, in ms. */
  scheduleMs: readonly number[]
  /** Requests in flight at once: for one webhook at the best, and for all of them; see `createPlaces`. */
  maxInFlightPerWebhook: number
  maxInFlight: number
  /** How long a claimed lane is ours: longer than an attempt may take (`deadlineMs`), by what a settlement may. */
  leaseMs: number
  deadlineMs: number
  /** How long a shutdown waits for requests in flight before it cuts them off. */
  drainMs: number
  newLease: () => string
  nowMs: () => number
  random: () => number
  log: Log
  onSettled: (settlements: readonly Settlement[]) => void
}

/** The safety net under the wake-ups: nothing that is due waits longer for a wake-up that got lost. */
const slowPollMs = 5_000
/** How long a webhook that has more than it may have in flight is not asked about again before each claim. */
const trustMs = 200
const settleWithinMs = 5_000
/** Longer than any sound statement and pause between two turns takes. */
const stalledAfterMs = 20_000
const afterFailureMs = 1_000

/**
 * The service that sends what is due. A turn asks which webhooks have due lanes (`createAgenda` knows about whom to
 * ask), and claims for each as many as it has room for in flight (`createPlaces`). Every claimed lane is sent at
 * once and settled when it ends. An attempt that ends makes room, and is the next turn's wake-up, as are a
 * settlement that leaves a lane due, a commit to the outbox (`wake`) and the moment when the next lane is due.
 *
 * What this process captures itself it may claim at its birth (`createBirths`).
 *
 * On shutdown: claims no more, lets requests finish for `drainMs`, cuts off the rest (settled as `cancelled`,
 * due at once for another process), settles everything, and gives back what was claimed and not sent.
 */
export function createDispatcher(options: DispatcherOptions): Service & {
  wake(): void
  offerBirths(events: number): BirthOffer | null
  paceOf: Places['paceOf']
  /** Why nothing is delivered although something may be due, in words; null: all is well. */
  stall(): string | null
} {
  const { outbox, log, leaseMs, deadlineMs } = options
  const waker = createWaker()
  const clockMs = () => performance.now()
  const floors = createDueFloors(clockMs)
  const leases = createLeases({
    newLease: options.newLease,
    leaseMs,
    now: () => ({ monotonicMs: clockMs(), wallMs: options.nowMs() }),
  })
  const agenda = createAgenda({ slowPollMs })
  const places = createPlaces({
    most: options.maxInFlightPerWebhook,
    total: options.maxInFlight,
    nowMs: clockMs,
  })
  /** Webhooks whose last claim got all that it asked for, as they were a moment ago. */
  const known = new Map<number, { webhook: BusyWebhook; askedAtMs: number }>()
  /** Webhooks whose events wait for company, and until when nobody looks again whether enough has come. */
  const restsUntilMs = new Map<number, number>()
  const restOf = (webhookId: number) => restsUntilMs.get(webhookId) ?? Number.NEGATIVE_INFINITY
  /** Cuts off what is sent. */
  const cutOff = new AbortController()
  /** Whether anything new is sent. */
  let isSending = false
  /** When the outbox has last said what is due, and given what was claimed. */
  let turnedAtMs = clockMs()
  /** How often lanes are being given back at this moment. */
  let givingBack = 0
  const isIdle = () => places.unsettled() === 0 && givingBack === 0
  let onIdle: (() => void) | null = null

  const recoveries = createRecoveries({
    outbox,
    early: earlyRetries(options.scheduleMs),
    log,
    onDue(webhookId) {
      agenda.note(webhookId, clockMs())
      waker.wake()
    },
  })

  const settler = createSettler({
    log,
    clockMs,
    async settle(settlements) {
      const left: LeftLane[] = []
      const recovered = new Set<number>()
      await settle(outbox, settlements, {
        disabled: ({ webhookId, reason }) => log.warn('webhook.disabled', { webhook_id: webhookId, reason }),
        recovered: webhookId => recovered.add(webhookId),
        left: lane => left.push(lane),
      })
      for (const { shipment } of settlements)
        if (places.takeRecovery(shipment.webhookId)) recovered.add(shipment.webhookId)
      for (const webhookId of recovered) void recoveries.recovered(webhookId)
      return left
    },
    onSettled(settlements, left) {
      for (const { shipment } of settlements) places.settled(shipment.webhookId)
      for (const { webhookId, dueInMs } of left) agenda.note(webhookId, clockMs() + dueInMs)
      if (isIdle()) onIdle?.()
      options.onSettled(settlements)
      waker.wake()
    },
  })

  const births = createBirths({
    agenda,
    places,
    newLease: leases.take,
    leaseMs,
    deadlineMs,
    clockMs,
    isSending: () => isSending,
    send(webhook, shipments) {
      for (const shipment of shipments) begin(webhook, shipment)
    },
    release: letGo,
    onRoom: waker.wake,
  })

  const ahead = createAhead({ places, clockMs, send: begin, release: letGo })

  /** Gives back lanes that were claimed and not tried. Where that fails, their lease ends by itself. */
  function letGo(webhookId: number, lanes: readonly ClaimedDelivery[]) {
    givingBack++
    release(outbox, lanes)
      .then(
        () => {
          agenda.note(webhookId, clockMs())
          waker.wake()
        },
        () => {},
      )
      .finally(() => {
        givingBack--
        if (isIdle()) onIdle?.()
      })
  }

  /** Gives a shipment its place, and sends it. */
  function begin(webhook: BusyWebhook, shipment: Shipment) {
    places.begin(webhook.id, webhook.url)
    void send(webhook, shipment)
  }

  /** Starts what is due and has room. Returns how long, in ms, nothing else will be due. */
  async function turn(): Promise<number> {
    for (const { webhook, askedAtMs } of shuffled(await askWhatIsDue(), options.random)) {
      if (webhook.dueInMs > 0 || restOf(webhook.id) > clockMs()) continue
      const wanted = ahead.wanted(webhook.id)
      if (wanted > 0) await claimAndSend(webhook, askedAtMs, wanted)
    }
    return agenda.quietMs(clockMs(), id => Math.max(places.roomAtMs(id), restOf(id)))
  }

  async function askWhatIsDue(): Promise<{ webhook: BusyWebhook; askedAtMs: number }[]> {
    const asked = { atMs: clockMs(), version: agenda.version() }
    const due = agenda.question(asked.atMs)
    // Where a webhook has no room, the attempt whose end makes some is the wake-up.
    const wanted = due === 'all' ? due : due.filter(id => ahead.wanted(id) > 0 && restOf(id) <= asked.atMs)
    const trusted = [...known.values()].filter(
      one => wanted !== 'all' && wanted.includes(one.webhook.id) && asked.atMs - one.askedAtMs < trustMs,
    )
    const question =
      wanted === 'all' ? wanted : wanted.filter(id => !trusted.some(({ webhook }) => webhook.id === id))
    if (question.length === 0) return trusted
    try {
      const webhooks = await busyWebhooks(outbox, question, floors)
      agenda.answer(question, webhooks, { ...asked, nowMs: clockMs() })
      for (const { id, url } of webhooks) places.meet(id, url)
      return [...trusted, ...webhooks.map(webhook => ({ webhook, askedAtMs: asked.atMs }))]
    } catch (error) {
      agenda.unanswered(question)
      throw error
    }
  }

  async function claimAndSend(webhook: BusyWebhook, askedAtMs: number, wanted: number): Promise<void> {
    const leasedAtMs = clockMs()
    const claimed = ahead.claiming(webhook.id)
    const isTrusted = known.delete(webhook.id)
    const version = agenda.version()
    const { shipments, lookAgainInMs } = await claim(outbox, {
      webhookId: webhook.id,
      mode: webhook.mode,
      batch: webhook.batch,
      limit: wanted,
      lease: leases.take(),
      leaseMs,
      dueFrom: floors.of(webhook.id),
    })
    const isAll = shipments.length === wanted
    if (isAll) known.set(webhook.id, { webhook, askedAtMs })
    // What was not asked about in this turn is asked about in the next: when something will be due is not known.
    else if (!isTrusted) agenda.drained(webhook.id, version, leasedAtMs)
    if (lookAgainInMs !== null) agenda.note(webhook.id, clockMs() + lookAgainInMs)
    // Each commit is a wake-up: looks take a quarter of the time at most.
    if (shipments.length === 0 && lookAgainInMs !== null && lookAgainInMs > 0)
      restsUntilMs.set(webhook.id, clockMs() + Math.min(lookAgainInMs, 3 * (clockMs() - leasedAtMs)))
    else restsUntilMs.delete(webhook.id)
    // A lease that may end before the attempt does is no lease: two processes would send at once.
    claimed(webhook, shipments, { sendBeforeMs: leasedAtMs + leaseMs - deadlineMs, isAll })
  }

  async function send(webhook: BusyWebhook, shipment: Shipment): Promise<void> {
    const message = messageOf(shipment)
    const startedAtMs = clockMs()
    const committedAtMs = timeOf(shipment.deliveries[0].eventId)
    const attempt = await options.deliver(
      { webhookId: webhook.id, url: webhook.url, sealed: webhook.sealed },
      message,
      cutOff.signal,
      () => shipment.deliveries.every(({ lease }) => leases.isHeld(lease)),
    )
    const status = attempt.response?.status ?? null
    const retryAfter = attempt.response?.headers['retry-after']
    const retryAfterMs = retryAfter === undefined ? null : parseRetryAfter(retryAfter, options.nowMs())
    const isFailing = places.end(webhook.id, webhook.url, {
      answer: judgeAnswer({ outcome: attempt.outcome, status, errorClass: attempt.errorClass }),
      startedAtMs,
      retryAfterMs,
    })
    if (attempt.outcome === 'delivered') births.befriend(webhook.id)
    ahead.ended(webhook.id, attempt.durationMs)
    waker.wake()
    const next = decideNextOfShipment({
      outcome: attempt.outcome,
      status,
      size: shipment.deliveries.length,
      number: attempt.number,
      retryAfterMs,
      scheduleMs: options.scheduleMs,
      random: options.random(),
      isAskedToWait: isPressed(status) && retryAfterMs !== null,
      isOutdated: places.hasRecoveredSince(webhook.id, startedAtMs),
      ageMs: options.nowMs() - committedAtMs,
    })
    const isGone = attempt.response?.status === 410 && attempt.outcome === 'refused'
    settler.push({
      shipment,
      attempt,
      next,
      disable: isGone ? attempt.errorMessage : null,
      isFailing,
      isOverdue: isFailing && isOverdue(committedAtMs, options.nowMs(), options.scheduleMs),
      holdMs: isPressed(status) ? Math.min(retryAfterMs ?? 0, longestRetryAfterMs) : 0,
    })
    tellAttempt(log, attempt, next)
  }

  return {
    name: 'delivery',
    offerBirths: births.offer,
    paceOf: places.paceOf,
    stall() {
      const now = clockMs()
      const turnedMs = isSending ? now - turnedAtMs : 0
      const settlingMs = now - (settler.settlingSinceMs() ?? now)
      if (Math.max(turnedMs, settlingMs) < stalledAfterMs) return null
      const what = turnedMs > settlingMs ? 'nothing could be claimed' : 'what was sent could not be settled'
      return `${what} for ${Math.round(Math.max(turnedMs, settlingMs) / 1000)} s`
    },
    wake() {
      agenda.lookSoon()
      waker.wake()
    },

    async run(signal) {
      isSending = true
      turnedAtMs = clockMs()
      while (!signal.aborted) {
        try {
          const quietMs = await turn()
          turnedAtMs = clockMs()
          await waker.wait(quietMs, signal)
        } catch (error) {
          // Without the database nothing can be claimed; what is in flight goes on and settles when it is back.
          log.error('delivery.claim_failed', { reason: describeError(error), next_in_ms: afterFailureMs })
          await sleep(afterFailureMs, signal)
        }
      }
      isSending = false
      ahead.giveUp()
      await idleWithin(options.drainMs)
      cutOff.abort()
      await idleWithin(settleWithinMs)
      settler.giveUp()
      // What it has left is due at once, for another process.
      await tellWake(outbox).catch(() => {})
    },
  }

  async function idleWithin(ms: number): Promise<void> {
    if (isIdle()) return
    const waited = new AbortController()
    onIdle = () => waited.abort()
    await sleep(ms, waited.signal)
  }
}

/** So that no webhook comes first every time. */
function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const from = Math.floor(random() * items.length)
  return [...items.slice(from), ...items.slice(0, from)]
}
