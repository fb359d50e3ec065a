import { type Untold, untoldWarnings, type Warning } from '../domain/untold.ts'
import type { Webhook } from '../domain/webhook.ts'
import type { Control } from './control.ts'

/** The entity types whose updates do not tell what they changed; none where the source can't be asked. */
export async function readUntold(control: Pick<Control, 'readUntold'>): Promise<Untold> {
  return (await control.readUntold?.().catch(() => null)) ?? new Map()
}

/** What of a webhook's settings promises more than the tables give. Asks the source only where something may. */
export async function warningsOf(
  control: Pick<Control, 'readUntold'>,
  webhook: Pick<Webhook, 'triggers' | 'previous' | 'updateFields'>,
): Promise<Warning[]> {
  if (!webhook.previous && webhook.updateFields === null) return []
  return untoldWarnings(webhook, await readUntold(control))
}
