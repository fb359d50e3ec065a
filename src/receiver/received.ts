import type { SignatureVerdict } from './verify.ts'

/** A request to the receiver. */
export type Received = {
  /** Counts this receiver's requests from 1. */
  readonly number: number
  readonly receivedAt: Date
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly signature: SignatureVerdict
  readonly webhookId: string | null
  /** How often the same `webhook-id` had come before. */
  readonly earlierArrivals: number
  /** From the body, as text; null if absent. */
  readonly entityType: string | null
  readonly entityId: string | null
  readonly actionType: string | null
  readonly answeredStatus: number
}
