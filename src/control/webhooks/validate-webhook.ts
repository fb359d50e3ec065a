import { changeHeaders, keepsHeaders } from '../../domain/webhook/custom-headers.ts'
import type { Webhook } from '../../domain/webhook/webhook.ts'
import type { Caller, Control } from '../kit/control.ts'
import type { FieldProblem } from '../kit/result.ts'
import { controlFor } from '../kit/tenants.ts'
import { chooseTenant } from './tenant.ts'
import {
  headerProblems,
  validateFields,
  validateFilterForms,
  validateIdentity,
  type WebhookFields,
} from './validate-fields.ts'

/** The problems of a webhook's fields, new or `stored`. Nothing is written. */
export async function validateWebhook(
  control: Control,
  caller: Caller,
  fields: WebhookFields,
  stored: Webhook | null,
): Promise<readonly FieldProblem[]> {
  const of = stored === null ? chooseTenant(caller, fields.tenant) : { tenant: null, problems: [] }
  const { url, problems } = await validateFields(
    of.tenant === null ? control : controlFor(control, of),
    fields,
  )
  // Stored values are not opened here: a change finds out whether they are readable.
  const names =
    stored !== null && (url === undefined || keepsHeaders(stored.url, url)) ? stored.headerNames : []
  const present = Object.fromEntries(names.map(name => [name, '']))
  const { triggers, filter = null, filterEntering = 'update', filterLeaving = 'nothing' } = fields
  return [
    ...of.problems,
    ...problems,
    ...validateFilterForms({ triggers, filter, filterEntering, filterLeaving } as Parameters<
      typeof validateFilterForms
    >[0]),
    ...headerProblems(changeHeaders(names, present, fields.headers ?? {})),
    ...validateIdentity(fields.clientCertificate, fields.clientKey).problems,
  ]
}
