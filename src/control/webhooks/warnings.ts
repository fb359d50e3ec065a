import {
  previousWarnings,
  type Warning,
  type WithoutPrevious,
} from '../../domain/mapping/without-previous.ts'
import type { Webhook } from '../../domain/webhook/webhook.ts'
import type { Control } from '../kit/control.ts'

/** The entity types whose tables record no previous values; none where the source does not answer. */
export async function readWithoutPrevious(
  control: Pick<Control, 'readWithoutPrevious'>,
): Promise<WithoutPrevious> {
  return (await control.readWithoutPrevious?.().catch(() => null)) ?? new Map()
}

/** Settings of a webhook that the tables cannot support. Asks the source only where needed. */
export async function warningsOf(
  control: Pick<Control, 'readWithoutPrevious'>,
  webhook: Pick<Webhook, 'triggers' | 'previous' | 'updateFields'>,
): Promise<Warning[]> {
  if (!webhook.previous && webhook.updateFields === null) return []
  return previousWarnings(webhook, await readWithoutPrevious(control))
}
