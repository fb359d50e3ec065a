import type { TimeId } from '../value/time-id.ts'
import type { ErrorClass, Outcome } from './outcome.ts'

/** One HTTP request, as in the log of attempts. */
export type Attempt = {
  readonly webhookId: number
  /** `schedule`: sent by the queue; `manual`: resent by hand; `test`: the test button. */
  readonly trigger: 'schedule' | 'manual' | 'test'
  /** Null for a test, which has no event, and for a batch. */
  readonly eventId: TimeId | null
  /** The events of a batch, in the order of its body; null for a single event. */
  readonly eventIds: readonly TimeId[] | null
  readonly messageId: string
  /** The event's entity and the action sent; null for a batch, whose events have them. */
  readonly entityType: string | null
  readonly entityId: string | null
  readonly actionType: string | null
  /** Counts the attempts of one shipment from 1. */
  readonly number: number
  readonly request: {
    readonly url: string
    readonly headers: Readonly<Record<string, string>>
    readonly body: string
  }
  readonly startedAt: Date
  readonly durationMs: number
  /** The duration of each phase in ms; absent: it did not happen. */
  readonly phases: Readonly<Partial<Record<Phase, number>>>
  readonly remoteAddress: string | null
  /** Null without a complete response head. */
  readonly response: Response | null
  readonly outcome: Outcome
  readonly errorClass: ErrorClass | null
  readonly errorMessage: string | null
  /** Not stored: it failed before anything left the own network. */
  readonly isOurs?: boolean
  /** Not stored: the id of its span in the trace of its first event; absent: untraced. */
  readonly spanId?: string
}

export type Phase = 'dns' | 'connect' | 'tls' | 'first_byte' | 'body'

export type Response = {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** At most the first 16 KiB, read as UTF-8. */
  readonly body: string
  readonly truncated: boolean
}
