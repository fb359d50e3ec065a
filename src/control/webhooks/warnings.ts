import type { MailProblem } from '../../domain/alert/recipient.ts'
import {
  previousWarnings,
  type Warning,
  type WithoutPrevious,
} from '../../domain/mapping/without-previous.ts'
import { because, reasonInEnglish } from '../../domain/shown/reason.ts'
import type { Webhook } from '../../domain/webhook/webhook.ts'
import type { Control } from '../kit/control.ts'

/** The entity types whose tables record no previous values; none where the source does not answer. */
export async function readWithoutPrevious(
  control: Pick<Control, 'readWithoutPrevious'>,
): Promise<WithoutPrevious> {
  return (await control.readWithoutPrevious?.().catch(() => null)) ?? new Map()
}

/** What emails about a webhook lack: a public URL only where addresses are asked to confirm. */
export function mailProblemOf(
  { mailProblems }: Pick<Control, 'mailProblems'>,
  { tenant }: Pick<Webhook, 'tenant'>,
): MailProblem | null {
  return mailProblems === 'public_url' && tenant === null ? null : mailProblems
}

/** Settings of a webhook that have no effect now. Asks the source only where needed. */
export async function warningsOf(
  control: Pick<Control, 'readWithoutPrevious' | 'mailProblems'>,
  webhook: Pick<Webhook, 'tenant' | 'alertTo' | 'triggers' | 'previous' | 'updateFields'>,
): Promise<Warning[]> {
  const lack = webhook.alertTo.length === 0 ? null : mailProblemOf(control, webhook)
  const ofMail =
    lack === null ? [] : [{ pointer: '/alert_to', detail: reasonInEnglish(because(`mail.${lack}`)) }]
  if (!webhook.previous && webhook.updateFields === null) return ofMail
  return [...ofMail, ...previousWarnings(webhook, await readWithoutPrevious(control))]
}
