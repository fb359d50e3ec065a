import type { BirthOffer } from '../outbox/birth.ts'
import type { BusyWebhook } from '../outbox/busy.ts'
import type { ClaimedDelivery, Shipment } from '../outbox/shipment.ts'
import type { Agenda } from './agenda.ts'
import type { Places } from './places.ts'

/** So many webhooks that were sent something are offered to what is captured. */
const mostFamiliar = 32

/**
 * Claims at their birth events that this process captures itself: their append leases new lanes to this process, which
 * sends them at once, with nothing to claim and nothing to read back. Only for a webhook that has room, and nothing due
 * that waits for a turn, so that what is new never overtakes for long what was there before.
 */
export function createBirths(options: {
  agenda: Pick<Agenda, 'isDue'>
  places: Pick<Places, 'reserve' | 'unreserve'>
  newLease: () => string
  leaseMs: number
  deadlineMs: number
  clockMs: () => number
  /** Whether anything new is sent. */
  isSending: () => boolean
  send: (webhook: BusyWebhook, shipments: readonly Shipment[]) => void
  release: (webhookId: number, lanes: readonly ClaimedDelivery[]) => void
  /** Room has become free. */
  onRoom: () => void
}) {
  const { places, leaseMs, clockMs } = options
  /** Webhooks that may be offered, the longest known first. */
  const familiar = new Set<number>()

  return {
    /** A webhook took what it was sent. */
    befriend(webhookId: number) {
      if (familiar.has(webhookId)) return
      if (familiar.size >= mostFamiliar) familiar.delete(familiar.values().next().value!)
      familiar.add(webhookId)
    },

    /** Offers to claim lanes of up to `events` events; null: nothing. Until the append has ended, nobody else gets this room. */
    offer(events: number): BirthOffer | null {
      const askedAtMs = clockMs()
      const rooms = new Map<number, number>()
      for (const id of options.isSending() ? familiar : []) {
        const room = options.agenda.isDue(id, askedAtMs) ? 0 : places.reserve(id, events)
        if (room > 0) rooms.set(id, room)
      }
      if (rooms.size === 0) return null
      return {
        lease: options.newLease(),
        leaseMs,
        rooms,
        take(births) {
          for (const [id, room] of rooms) places.unreserve(id, room)
          for (const { webhook, shipments } of births) {
            // As with any claim: a lease that may end before the attempt does is no lease.
            const isLate = clockMs() - askedAtMs > leaseMs - options.deadlineMs
            if (options.isSending() && !isLate) options.send(webhook, shipments)
            else
              options.release(
                webhook.id,
                shipments.flatMap(({ deliveries }) => deliveries),
              )
          }
          options.onRoom()
        },
      }
    },
  }
}
