import { z } from 'zod'
import { askRecipient, recipientsOf } from '../../control/webhooks/recipients.ts'
import { getWebhook } from '../../control/webhooks/webhooks.ts'
import { askWaits, recipientStates } from '../../domain/alert/recipient.ts'
import { maskedAddress } from '../../domain/webhook/mail-address.ts'
import { text, time } from '../kit/fields.ts'
import { respond, route } from '../kit/route.ts'
import { webhookParams } from '../routes/webhooks.ts'

const recipientSchema = z
  .object({
    address: z.string().meta({ description: 'Below the role admin without the part before the @.' }),
    state: z.enum(recipientStates).meta({
      description:
        'Only a `confirmed` address gets alerts. `asking`: walhook has yet to send the email that asks its owner to confirm. `failed`: the mail server did not accept that email. `asked`: it accepted it. `stopped`: its owner wants no alerts.',
    }),
    waits_for: z.enum(askWaits).nullable().meta({
      description:
        'Why an address is still `asking`: no process has an SMTP server (`WALHOOK_SMTP_URL`), walhook does not know its public URL (`WALHOOK_URL`), or walhook has sent as many such emails as it may in a day. Null: it is its turn.',
    }),
    reason: z.string().nullable().meta({
      description: 'Why the mail server did not accept the email, as codes. Null unless `failed`.',
    }),
    next_at: time().nullable().meta({
      description: 'When walhook retries the email. Null: it does not, or the email did not fail.',
    }),
    asked_at: time().nullable().meta({
      description: 'When the mail server last accepted an email that asks the owner to confirm.',
    }),
  })
  .meta({ id: 'Recipient' })

const recipientsSchema = z.object({ data: z.array(recipientSchema) }).meta({ id: 'Recipients' })

const tag = 'Webhooks'

export const recipientRoutes = [
  route({
    method: 'get',
    path: '/api/webhooks/{id}/recipients',
    id: 'listRecipients',
    tag,
    summary: 'Lists who gets alerts about a webhook by email',
    description:
      'The addresses of `alert_to`. Those of a tenant’s webhook get alerts once their owners have confirmed it, unless they have a domain of `WALHOOK_MAIL_DOMAINS`.',
    role: 'viewer',
    tenants: 'webhook',
    params: webhookParams,
    response: { status: 200, what: 'The recipients', schema: recipientsSchema },
    async handle({ control, caller, params }) {
      const webhook = await getWebhook(control, params.id)
      if (!webhook.ok) return webhook
      const data = (await recipientsOf(control, webhook.value)).map(({ address, ...rest }) => ({
        ...rest,
        address: caller.role === 'admin' ? address : maskedAddress(address),
      }))
      return { ok: true, value: { data } }
    },
  }),
  route({
    method: 'post',
    path: '/api/webhooks/{id}/recipients',
    id: 'askRecipient',
    tag,
    summary: 'Asks a recipient again to confirm',
    description:
      'Sends the email with the link once more, ten minutes after the last one at the earliest. The audit records it.',
    role: 'admin',
    tenants: 'webhook',
    params: webhookParams,
    body: z.strictObject({ address: text().trim().min(1) }).meta({ id: 'AskRecipient' }),
    response: { status: 204, what: 'walhook asks it', schema: null },
    async handle({ control, caller, params, body }) {
      const webhook = await getWebhook(control, params.id)
      if (!webhook.ok) return webhook
      return respond(await askRecipient(control, caller, webhook.value, body.address), () => null)
    },
  }),
]
