import type { TimeId } from '../value/time-id.ts'
import type { ErrorClass, Outcome } from './outcome.ts'

/** One HTTP request as the log keeps it. */
export type Attempt = {
  readonly webhookId: number
  /** `schedule`: the queue's own; `manual`: sent again by hand; `test`: the test button. */
  readonly trigger: 'schedule' | 'manual' | 'test'
  /** Null for a test, which has no event, and for a batch. */
  readonly eventId: TimeId | null
  /** The events of a batch, in the order of its body; null for a request that is not a batch. */
  readonly eventIds: readonly TimeId[] | null
  readonly messageId: string
  /** What the event is about, and the action that was sent; null for a batch, whose events say it. */
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
  /** How long each phase took, in ms; a phase that did not happen is absent. */
  readonly phases: Readonly<Partial<Record<Phase, number>>>
  readonly remoteAddress: string | null
  /** Null when no complete head of an answer came. */
  readonly response: Response | null
  readonly outcome: Outcome
  readonly errorClass: ErrorClass | null
  readonly errorMessage: string | null
  /** Not in the log: it failed before anything left our own network. */
  readonly isOurs?: boolean
  /** Not in the log: the id of its span in the trace of its first event; absent: none of its events is traced. */
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
