/**
 * The state of an event at a webhook, in a list of events.
 *
 * - dead: given up after its last attempt
 * - retrying: attempted, and due again
 * - pending: not attempted yet
 * - delivered: accepted by the receiver
 * - cancelled, superseded: no longer sent
 */
export const deliveryStates = ['dead', 'retrying', 'pending', 'delivered', 'cancelled', 'superseded'] as const
export type DeliveryState = (typeof deliveryStates)[number]

export type DeliveryCounts = Readonly<Record<DeliveryState, number>>

/** The filters of a list of events: at least one webhook in this state, or sent to none. */
export const eventStates = [...deliveryStates, 'not_sent'] as const
export type EventState = (typeof eventStates)[number]

export const noDeliveries: DeliveryCounts = {
  dead: 0,
  retrying: 0,
  pending: 0,
  delivered: 0,
  cancelled: 0,
  superseded: 0,
}

export function isInState(counts: DeliveryCounts, state: EventState): boolean {
  return state === 'not_sent' ? deliveryStates.every(each => counts[each] === 0) : counts[state] > 0
}
