import type { FailingTime } from '../delivery/health.ts'
import type { Filter } from '../event/filter.ts'
import type { Trigger } from '../event/trigger.ts'
import type { ShownCertificate } from './client-certificate.ts'

/** Whether every event is sent, or only those that lead to an entity's latest state. */
export type Mode = 'every' | 'latest'

/** The requests whose bodies the log stores. */
export const logBodies = ['all', 'failed', 'none'] as const
export type LogBodies = (typeof logBodies)[number]

/** Up to `maxEvents` events (2 to 1,000) per request; none waits longer than `maxWaitMs` (0 to 60,000) for others. */
export type Batching = { readonly maxEvents: number; readonly maxWaitMs: number }

/** An admin's webhook. Its secrets are separate and encrypted: `Sealed`. */
export type Webhook = {
  readonly id: number
  /** Its tenant, for ever; null: none, and it gets the entities of all. */
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
  /** The end of the receiver's Retry-After. */
  readonly heldUntil: Date | null
  readonly triggers: readonly Trigger[]
  /** The recipients of mails about it. */
  readonly alertTo: readonly string[]
  /** Whether bodies contain the values before an update, if known. */
  readonly previous: boolean
  /** Whether requests have the header `traceparent`, if walhook traces. */
  readonly traceparent: boolean
  /** As `user.email`: for an entity type named here, only updates of one of its fields. Null: every update. */
  readonly updateFields: readonly string[] | null
  /** The required values of an entity's fields; null: any. */
  readonly filter: Filter['fields'] | null
  readonly filterEntering: Filter['entering']
  readonly filterLeaving: Filter['leaving']
  readonly mode: Mode
  readonly logBodies: LogBodies
  /** Null: one request per event. */
  readonly batch: Batching | null
  /** The names of the additional headers; in lower case, sorted. */
  readonly headerNames: readonly string[]
  /** The client certificate, if the receiver asks for one; its key is never shown. */
  readonly clientCertificate: ShownCertificate | null
  /** When the secret before the last rotation expires; null: none, or expired. */
  readonly previousSecretExpiresAt: Date | null
  /** The file that `walhook apply` takes it from; null: it is changed by hand. */
  readonly managedBy: string | null
  /** Counts the changes by admins, from 1. */
  readonly version: number
  readonly createdAt: Date
  readonly updatedAt: Date
}
