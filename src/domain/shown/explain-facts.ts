import type { Outcome } from '../delivery/outcome.ts'
import type { ActionType, OfTenant } from '../event/event.ts'
import type { Filter } from '../event/filter.ts'
import type { TimeId } from '../value/time-id.ts'

/** What of a webhook decides whether it wants an event. */
export type WebhookState = {
  /** The admin's switch. */
  readonly isActive: boolean
  /** Why walhook itself had stopped sending, or null. */
  readonly disabledReason: string | null
  readonly triggers: readonly string[]
  readonly updateFields: readonly string[] | null
  /** Null or absent: every entity. */
  readonly filter?: Filter['fields'] | null
  readonly filterEntering?: Filter['entering']
  readonly filterLeaving?: Filter['leaving']
}

/** A request that sent the event, by itself or in a batch. */
export type Try = {
  readonly at: Date
  readonly number: number
  readonly outcome: Outcome
  readonly errorMessage: string | null
}

/** Everything that is known of one event and one webhook. */
export type ExplainFacts = {
  readonly event: {
    readonly id: TimeId
    readonly entityType: string
    readonly actionType: ActionType
    /** The fields that an update changed, where that is known. */
    readonly changed: readonly string[] | null
    /** What a filter judges; absent or null where no webhook has one. */
    readonly body?: string | null
    readonly previous?: string | null
    readonly omitted?: readonly string[] | null
    /** It notes which state each webhook had when it came: where `stateThen` is null, the webhook was made later. */
    readonly isVersioned: boolean
    /** The one webhook that it is for; null: any. */
    readonly onlyWebhookId: number | null
  } & OfTenant
  readonly webhook: WebhookState & {
    readonly id: number
    readonly tenant: string | null
    readonly createdAt: Date
    readonly disabledAt: Date | null
    /** Until when its receiver wants nothing. */
    readonly heldUntil: Date | null
  }
  /** The webhook's state when the event came, or null where that was not recorded. */
  readonly stateThen: WebhookState | null
  /** Set aside: it has a row of its own. */
  readonly waiting: {
    readonly attempts: number
    /** When its entity's next request is due, and what that sends: in flight, where it is held. */
    readonly dueAt: Date
    readonly first: TimeId
    readonly isHeld: boolean
  } | null
  /** It lies in the log beyond the webhook's place; null: the webhook has passed it. */
  readonly ahead: {
    /** Null: no process delivers the events of its share. */
    readonly holderId: number | null
    /** The holder may have begun to send it. */
    readonly maySend: boolean
    /** The webhook is behind, and has a place of its own. */
    readonly isOwnStream: boolean
    /** An older event of its entity that is not settled. */
    readonly older: { readonly eventId: TimeId; readonly dueAt: Date | null } | null
  } | null
  /** When an admin cancelled what waited there. */
  readonly skippedAt: Date | null
  /** How the delivery left the queue, if undelivered. */
  readonly ended: {
    readonly state: 'dead' | 'superseded' | 'cancelled'
    readonly supersededBy: TimeId | null
    readonly attempts: number
    readonly at: Date
  } | null
  readonly lastTry: Try | null
  /** The last try that the receiver accepted. */
  readonly accepted: Try | null
  readonly now: Date
}
