import type { Outcome } from '../delivery/outcome.ts'
import type { ActionType, OfTenant } from '../event/event.ts'
import type { Filter } from '../event/filter.ts'
import type { TimeId } from '../value/time-id.ts'

/** The settings of a webhook that decide whether it wants an event. */
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

/** A request with the event, single or in a batch. */
export type Try = {
  readonly at: Date
  readonly number: number
  readonly outcome: Outcome
  readonly errorMessage: string | null
}

/** All known facts of one event and one webhook. */
export type ExplainFacts = {
  readonly event: {
    readonly id: TimeId
    readonly entityType: string
    readonly actionType: ActionType
    /** The fields that an update changed; null: unknown. */
    readonly changed: readonly string[] | null
    /** The input of a filter; absent or null if no webhook has one. */
    readonly body?: string | null
    readonly previous?: string | null
    readonly omitted?: readonly string[] | null
    /** It stores the version of the webhooks when it was appended: if `stateThen` is null, the webhook was created later. */
    readonly isVersioned: boolean
    /** The only webhook to send it to; null: any. */
    readonly onlyWebhookId: number | null
  } & OfTenant
  readonly webhook: WebhookState & {
    readonly id: number
    readonly tenant: string | null
    readonly createdAt: Date
    /** Its settings are stored from here on: in another cell, since it was moved there. Absent: since it was created. */
    readonly knownSince?: Date | null
    readonly disabledAt: Date | null
    /** The end of the receiver's Retry-After. */
    readonly heldUntil: Date | null
  }
  /** The webhook's state when the event was appended; null: not stored. */
  readonly stateThen: WebhookState | null
  /** Its row, if it is set aside. */
  readonly waiting: {
    readonly attempts: number
    /** When its entity's next request is due; if the row is held, that request is in flight. */
    readonly dueAt: Date
    readonly first: TimeId
    readonly isHeld: boolean
  } | null
  /** Its state in the log beyond the webhook's position; null: the webhook has passed it. */
  readonly inLog: {
    /** Null: its share has no holder. */
    readonly holderId: number | null
    /** The holder may have begun to send it. */
    readonly maySend: boolean
    /** The webhook lags, and has a stream of its own. */
    readonly isOwnStream: boolean
    /** An unsettled older event of its entity. */
    readonly older: { readonly eventId: TimeId; readonly dueAt: Date | null } | null
  } | null
  /** When an admin cancelled the events there. */
  readonly skippedAt: Date | null
  /** How the delivery ended without success. */
  readonly ended: {
    readonly state: 'dead' | 'superseded' | 'cancelled'
    readonly supersededBy: TimeId | null
    readonly attempts: number
    readonly at: Date
  } | null
  readonly lastTry: Try | null
  /** The last attempt that the receiver accepted. */
  readonly accepted: Try | null
  readonly now: Date
}
