import type { BusyWebhook } from '../outbox/busy.ts'
import type { ClaimedDelivery, Shipment } from '../outbox/shipment.ts'
import type { Places } from './places.ts'

/** What has found no place after so long is given back, in ms: the pace has changed, and others may have one. */
const longestWaitMs = 200

type Waiting = { readonly webhook: BusyWebhook; readonly shipment: Shipment; readonly untilMs: number }

/**
 * Claims a little ahead of the places that are free. A claim takes milliseconds, and attempts end meanwhile: the next one asks
 * for as many more as ended during the last, which then find their places free. Else a fast receiver would have nothing in
 * flight by the time a claim is back. What comes too early waits for the next attempt that ends.
 */
export function createAhead(options: {
  places: Pick<Places, 'room' | 'begin'>
  clockMs: () => number
  /** Sends what has a place. */
  send: (webhook: BusyWebhook, shipment: Shipment) => void
  release: (webhookId: number, lanes: readonly ClaimedDelivery[]) => void
}) {
  const { places, clockMs } = options
  /** Attempts that ended since a webhook's claim began, and that ended during the one before, by webhook. */
  const paces = new Map<number, { ended: number; expected: number }>()
  const waiting = new Map<number, Waiting[]>()
  const timers = new Set<NodeJS.Timeout>()

  function sendWhatHasRoom(webhookId: number) {
    const queue = waiting.get(webhookId)
    while (queue && queue.length > 0 && queue[0]!.untilMs > clockMs() && places.room(webhookId) > 0) {
      const { webhook, shipment } = queue.shift()!
      places.begin(webhook.id, webhook.url)
      options.send(webhook, shipment)
    }
    if (queue?.length === 0) waiting.delete(webhookId)
  }

  /** Gives back what has waited for too long; with `nowMs` = Infinity, all. */
  function giveBack(webhookId: number, nowMs: number) {
    const queue = waiting.get(webhookId) ?? []
    const late = queue.filter(({ untilMs }) => untilMs <= nowMs)
    if (late.length === 0) return
    const left = queue.filter(({ untilMs }) => untilMs > nowMs)
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
      const expected = paces.get(webhookId)?.expected ?? 0
      return Math.max(0, places.room(webhookId, expected) - (waiting.get(webhookId)?.length ?? 0))
    },

    /**
     * A claim begins. Returns what takes in its answer: sends what has a place, and keeps the rest until `sendBeforeMs` at
     * the latest. `isAll`: it got all that it asked for, so there may be more.
     */
    claiming(webhookId: number) {
      const pace = paces.get(webhookId) ?? { ended: 0, expected: 0 }
      pace.ended = 0
      paces.set(webhookId, pace)
      return (
        webhook: BusyWebhook,
        shipments: readonly Shipment[],
        { sendBeforeMs, isAll }: { sendBeforeMs: number; isAll: boolean },
      ) => {
        if (isAll) pace.expected = pace.ended
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
            giveBack(webhookId, clockMs())
          },
          Math.max(0, untilMs - clockMs() + 1),
        )
        timers.add(timer)
      }
    },

    /** An attempt of a webhook has ended, and its place is free. */
    ended(webhookId: number) {
      const pace = paces.get(webhookId)
      if (pace) pace.ended++
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
