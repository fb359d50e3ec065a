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
  readonly createdAt: Date
  readonly updatedAt: Date
}
