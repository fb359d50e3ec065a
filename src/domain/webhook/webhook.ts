import type { FailingTime } from '../delivery/health.ts'
import type { Filter } from '../event/filter.ts'
import type { Trigger } from '../event/trigger.ts'
import type { ShownCertificate } from './client-certificate.ts'

/** Whether every event is sent, or of an entity's waiting events only what tells its latest state. */
export type Mode = 'every' | 'latest'

/** Of which requests the log keeps what was sent and answered. */
export const logBodies = ['all', 'failed', 'none'] as const
export type LogBodies = (typeof logBodies)[number]

/** Up to `maxEvents` events (2 to 1,000) go in one request; none waits longer than `maxWaitMs` (0 to 60,000) for others. */
export type Batching = { readonly maxEvents: number; readonly maxWaitMs: number }

/** What an admin set up. Secrets are kept apart and encrypted: `Sealed`. */
export type Webhook = {
  readonly id: number
  /** The tenant that it belongs to, for ever; null: to none, and it is sent everybody's entities. */
  readonly tenant: string | null
  readonly name: string
  readonly url: string
  /** The admin's switch. */
  readonly isActive: boolean
  /** Why walhook itself stopped sending, or null. */
  readonly disabledReason: string | null
  readonly disabledAt: Date | null
  /** The first failure since the last success, or null; see `decideHealth`. */
  readonly failingSince: Date | null
  readonly failingTime: FailingTime | null
  /** Until when nothing is sent because the receiver asked for it (Retry-After). */
  readonly heldUntil: Date | null
  readonly triggers: readonly Trigger[]
  /** Who gets alerts about it by mail. */
  readonly alertTo: readonly string[]
  /** Whether bodies carry the values before an update, where they are known. */
  readonly previous: boolean
  /** Whether requests have the header `traceparent`, where walhook traces. */
  readonly traceparent: boolean
  /** As `user.email`: of an entity type named here, only updates that change one of its fields. Null: every update. */
  readonly updateFields: readonly string[] | null
  /** Which values the fields of an entity must have; null: any. */
  readonly filter: Filter['fields'] | null
  readonly filterEntering: Filter['entering']
  readonly filterLeaving: Filter['leaving']
  readonly mode: Mode
  readonly logBodies: LogBodies
  /** Null: each event in a request of its own. */
  readonly batch: Batching | null
  /** Of the headers that are sent besides walhook's own; in lower case, sorted. */
  readonly headerNames: readonly string[]
  /** What is sent to a receiver that asks for a client certificate; its key is shown to nobody. */
  readonly clientCertificate: ShownCertificate | null
  /** Until when the secret before the last rotation signs too; null where it does not, or not any more. */
  readonly previousSecretExpiresAt: Date | null
  /** The file that it is written in, which `walhook apply` brings here; null: it is changed by hand. */
  readonly managedBy: string | null
  /** Counts the changes by admins, from 1. */
  readonly version: number
  readonly createdAt: Date
  readonly updatedAt: Date
}
