import { z } from 'zod'
import { revealSecret, rotateSecret } from '../../control/webhooks/secrets.ts'
import { respond, route } from '../kit/route.ts'
import { shownTo, tagged, webhookFields } from './webhook-response.ts'
import { webhookParams } from './webhooks.ts'

const secret = (description: string) => z.string().meta({ description })
const rotatedSchema = z
  .object({ ...webhookFields, secret: secret('The new signing secret, `whsec_…`.') })
  .meta({ id: 'RotatedWebhook' })
const rotateRequest = z
  .strictObject({
    overlap_hours: z
      .number()
      .min(0, 'must be from 0 to 168')
      .max(168, 'must be from 0 to 168')
      .default(24)
      .meta({ description: 'Hours in which the old secret signs as well. 0: it expires at once.' }),
  })
  .meta({ id: 'RotateRequest' })
const tag = 'Webhooks'

export const secretRoutes = [
  route({
    method: 'post',
    path: '/api/webhooks/{id}/rotate-secret',
    id: 'rotateSecret',
    tag,
    summary: 'Rotates the signing secret of a webhook',
    description:
      'Both secrets sign until `previous_secret_expires_at`; `webhook-signature` has both signatures, the new one first. A still older secret expires at once.',
    role: 'admin',
    tenants: 'webhook',
    params: webhookParams,
    body: rotateRequest,
    whenNoBody: {},
    response: {
      status: 200,
      what: 'The webhook, with its new secret',
      schema: rotatedSchema,
      headers: ['etag'],
    },
    async handle({ control, caller, params, body }) {
      return respond(
        await rotateSecret(control, caller, params.id, body.overlapHours),
        rotated => ({ ...shownTo(caller.role)(rotated.webhook), secret: rotated.secret }),
        rotated => tagged(rotated.webhook),
      )
    },
  }),
  route({
    method: 'get',
    path: '/api/webhooks/{id}/secret',
    id: 'revealSecret',
    tag,
    summary: "Shows a webhook's signing secret",
    description: 'The audit records who viewed it.',
    role: 'admin',
    tenants: 'webhook',
    params: webhookParams,
    response: {
      status: 200,
      what: 'The secret',
      schema: z.object({ secret: secret('The signing secret, `whsec_…`.') }).meta({ id: 'Secret' }),
    },
    mayConflict: true,
    async handle({ control, caller, params }) {
      return respond(await revealSecret(control, caller, params.id), secret => ({ secret }))
    },
  }),
]
