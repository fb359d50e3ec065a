import { type Untold, untoldWarnings, type Warning } from '../../domain/mapping/untold.ts'
import type { Webhook } from '../../domain/webhook/webhook.ts'
import type { Control } from '../kit/control.ts'

/** The entity types whose tables record no previous values; none where the source does not answer. */
export async function readUntold(control: Pick<Control, 'readUntold'>): Promise<Untold> {
  return (await control.readUntold?.().catch(() => null)) ?? new Map()
}

/** Settings of a webhook that the tables cannot support. Asks the source only where needed. */
export async function warningsOf(
  control: Pick<Control, 'readUntold'>,
  webhook: Pick<Webhook, 'triggers' | 'previous' | 'updateFields'>,
): Promise<Warning[]> {
  if (!webhook.previous && webhook.updateFields === null) return []
  return untoldWarnings(webhook, await readUntold(control))
}
