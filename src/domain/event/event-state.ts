/**
 * What an event is at a webhook, in a list of events.
 *
 * - dead:                   given up after its last attempt
 * - retrying:               it was tried, and is tried again
 * - pending:                it was not tried yet
 * - delivered:              the receiver has accepted it
 * - cancelled, superseded:  it is not sent any more
 */
export const deliveryStates = ['dead', 'retrying', 'pending', 'delivered', 'cancelled', 'superseded'] as const
export type DeliveryState = (typeof deliveryStates)[number]

/** To how many webhooks an event is in each state. */
export type DeliveryCounts = Readonly<Record<DeliveryState, number>>

/** What a list of events may be asked for: those that at least one webhook has in this state, or those that none was sent. */
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
