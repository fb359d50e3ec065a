import type { BusyWebhook } from '../outbox/busy.ts'
import type { ClaimedDelivery, Shipment } from '../outbox/shipment.ts'
import type { Places } from './places.ts'

/** What has found no place after so long is given back, in ms: the pace has changed, and others may have one. */
const longestWaitMs = 200
/** Of the attempts that the mean time of one is taken of, roughly. */
const remembered = 16

type Waiting = { readonly webhook: BusyWebhook; readonly shipment: Shipment; readonly untilMs: number }

/**
 * Claims a little ahead of the places that are free. A claim takes milliseconds, and attempts end meanwhile: of those in flight the
 * share that a claim takes of the time of an attempt. So many more are asked for, and find their places free. Else a fast
 * receiver would have nothing in flight by the time a claim is back. What comes too early waits for the next attempt that ends.
 */
export function createAhead(options: {
  places: Pick<Places, 'room'>
  clockMs: () => number
  /** Takes a place, and sends. */
  send: (webhook: BusyWebhook, shipment: Shipment) => void
  release: (webhookId: number, lanes: readonly ClaimedDelivery[]) => void
}) {
  const { places, clockMs } = options
  /** Of webhooks whose last claim got all that it asked for: how long it took, and how long an attempt takes. */
  const paces = new Map<number, { claimMs: number; attemptMs: number | null }>()
  const waiting = new Map<number, Waiting[]>()
  const timers = new Set<NodeJS.Timeout>()

  function sendWhatHasRoom(webhookId: number) {
    const queue = waiting.get(webhookId)
    while (queue && queue.length > 0 && queue[0]!.untilMs > clockMs() && places.room(webhookId) > 0) {
      const { webhook, shipment } = queue.shift()!
      options.send(webhook, shipment)
    }
    if (queue?.length === 0) waiting.delete(webhookId)
  }

  /** Of the attempts in flight, the share that will have ended when a claim is back. */
  function shareEnding(webhookId: number): number {
    const { claimMs, attemptMs } = paces.get(webhookId) ?? { claimMs: 0, attemptMs: null }
    return attemptMs === null || attemptMs >= longestWaitMs ? 0 : Math.min(1, claimMs / attemptMs)
  }

  /** Gives back what waits until then at the latest. */
  function giveBack(webhookId: number, lastMs: number) {
    const queue = waiting.get(webhookId) ?? []
    const late = queue.filter(({ untilMs }) => untilMs <= lastMs)
    if (late.length === 0) return
    const left = queue.filter(({ untilMs }) => untilMs > lastMs)
    if (left.length > 0) waiting.set(webhookId, left)
    else waiting.delete(webhookId)
    options.release(
      webhookId,
      late.flatMap(({ shipment }) => shipment.deliveries),
    )
  }

  return {
    /** How many shipments of a webhook are to be claimed now. */
    wanted(webhookId: number): number {
      const early = waiting.get(webhookId)?.length ?? 0
      return Math.max(0, places.room(webhookId, shareEnding(webhookId)) - early)
    },

    /**
     * A claim begins. Returns what takes in its answer: sends what has a place, and keeps the rest until `sendBeforeMs` at
     * the latest. `isAll`: it got all that it asked for, so there may be more.
     */
    claiming(webhookId: number) {
      const beganMs = clockMs()
      return (
        webhook: BusyWebhook,
        shipments: readonly Shipment[],
        { sendBeforeMs, isAll }: { sendBeforeMs: number; isAll: boolean },
      ) => {
        const attemptMs = paces.get(webhookId)?.attemptMs ?? null
        if (isAll) paces.set(webhookId, { claimMs: clockMs() - beganMs, attemptMs })
        else paces.delete(webhookId)
        const untilMs = Math.min(sendBeforeMs, clockMs() + longestWaitMs)
        const queue = waiting.get(webhookId) ?? []
        queue.push(...shipments.map(shipment => ({ webhook, shipment, untilMs })))
        waiting.set(webhookId, queue)
        sendWhatHasRoom(webhookId)
        if (!waiting.has(webhookId)) return
        const timer = setTimeout(
          () => {
            timers.delete(timer)
            // By its own moment and not by the clock: a timer of a busy process may come early.
            giveBack(webhookId, untilMs)
          },
          Math.max(0, untilMs - clockMs() + 1),
        )
        timers.add(timer)
      }
    },

    /** An attempt of a webhook that took `tookMs` has ended, and its place is free. */
    ended(webhookId: number, tookMs: number) {
      const pace = paces.get(webhookId)
      if (pace)
        pace.attemptMs =
          pace.attemptMs === null ? tookMs : pace.attemptMs + (tookMs - pace.attemptMs) / remembered
      sendWhatHasRoom(webhookId)
    },

    /** Nothing more is sent: what waits is given back. */
    giveUp() {
      for (const timer of timers) clearTimeout(timer)
      timers.clear()
      for (const webhookId of [...waiting.keys()]) giveBack(webhookId, Number.POSITIVE_INFINITY)
    },
  }
}
