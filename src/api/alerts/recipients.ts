import { z } from 'zod'
import { askRecipient, recipientsOf } from '../../control/webhooks/recipients.ts'
import { getWebhook } from '../../control/webhooks/webhooks.ts'
import { maskedAddress } from '../../domain/webhook/mail-address.ts'
import { text, time } from '../kit/fields.ts'
import { answer, route } from '../kit/route.ts'
import { webhookParams } from '../routes/webhooks.ts'

const recipientSchema = z
  .object({
    address: z.string().meta({ description: 'Below the role admin without the part before the @.' }),
    state: z.enum(['pending', 'confirmed', 'stopped']).meta({
      description:
        'Only a `confirmed` address gets alerts. `pending`: its owner has not confirmed it yet. `stopped`: its owner wants none.',
    }),
    asked_at: time().nullable().meta({ description: 'When walhook last asked it to confirm.' }),
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
    answer: { status: 200, what: 'The recipients', schema: recipientsSchema },
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
    summary: 'Asks a pending recipient again to confirm',
    description: 'Sends the email with the link once more, at most every ten minutes.',
    role: 'admin',
    tenants: 'webhook',
    params: webhookParams,
    body: z.strictObject({ address: text().trim().min(1) }).meta({ id: 'AskRecipient' }),
    answer: { status: 204, what: 'walhook asks it', schema: null },
    async handle({ control, params, body }) {
      const webhook = await getWebhook(control, params.id)
      if (!webhook.ok) return webhook
      return answer(await askRecipient(control, webhook.value, body.address), () => null)
    },
  }),
]
