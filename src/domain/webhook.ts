import type { Trigger } from './trigger.ts'

/** What an admin set up. The signing secret is kept apart and encrypted. */
export type Webhook = {
  readonly id: number
  readonly name: string
  readonly url: string
  /** The admin's switch. */
  readonly isActive: boolean
  /** Why walhook itself stopped sending, or null. */
  readonly disabledReason: string | null
  readonly disabledAt: Date | null
  readonly triggers: readonly Trigger[]
  /** Whether bodies carry the values before an update, where they are known. */
  readonly previous: boolean
  /** As `user.email`: of an entity type named here, only updates that change one of its fields. Null: every update. */
  readonly updateFields: readonly string[] | null
  readonly createdAt: Date
  readonly updatedAt: Date
}
