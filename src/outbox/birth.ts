import type { StoredEvent } from '../domain/event.ts'
import type { TimeId } from '../domain/time-id.ts'
import type { BusyWebhook } from './busy.ts'
import { toSealed } from './secrets.ts'
import type { Shipment } from './shipment.ts'

/**
 * Lanes that an append may lease at once to the process that runs it, which then sends their events without claiming
 * them. `rooms` says for how many lanes of which webhooks.
 */
export type BirthOffer = {
  /** A UUID used for nothing else. */
  readonly lease: string
  readonly leaseMs: number
  readonly rooms: ReadonlyMap<number, number>
  /** Called once the append has ended, however it ended, with what it leased. */
  take(births: readonly Birth[]): void
}

/** A webhook, as it is at the moment of the append, with what it is sent: the first event of each lane leased to it. */
export type Birth = { readonly webhook: BusyWebhook; readonly shipments: readonly Shipment[] }

/** At most so many events of an append are claimed at their birth: those that are kept in memory for it. */
export const mostBorn = 100

/** For each webhook of an offer, the last of `events` whose lane may be leased: it has room for all up to it. */
export function bornUpTo(
  { rooms }: BirthOffer,
  events: readonly StoredEvent[],
): { webhookIds: number[]; eventIds: TimeId[] } {
  const upTo = [...rooms].flatMap(([webhookId, room]) => {
    const last = events[Math.min(room, events.length) - 1]
    return last ? [{ webhookId, eventId: last.id }] : []
  })
  return { webhookIds: upTo.map(each => each.webhookId), eventIds: upTo.map(each => each.eventId) }
}

/** What a row of an append that has leased lanes of a webhook tells. `events` holds those that it names. */
export function toBirth(
  // biome-ignore lint/suspicious/noExplicitAny: as node-postgres gives it
  row: any,
  { lease, events }: { lease: string; events: readonly StoredEvent[] },
): Birth {
  const webhookId: number = row.webhook_id
  const byId = new Map(events.map(event => [event.id, event]))
  const shipments = (row.event_ids as TimeId[]).map(eventId => {
    const { entityType, entityId, actionType, body } = byId.get(eventId)!
    const delivery = {
      webhookId,
      entityType,
      entityId,
      lease,
      eventId,
      attempts: 0,
      isManual: false,
      actionType,
      asNew: false,
      body,
      withPrevious: false,
    }
    return { webhookId, batchId: null, deliveries: [delivery] } as const
  })
  const webhook = {
    id: webhookId,
    url: row.url,
    sealed: toSealed(row),
    mode: 'every',
    batch: null,
    dueInMs: 0,
  } as const
  return { webhook, shipments }
}
