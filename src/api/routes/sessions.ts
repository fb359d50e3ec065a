import { z } from 'zod'
import { createLink, defaultLinkMinutes, maxLinkMinutes } from '../../control/access/links.ts'
import { languageCodes } from '../../domain/access/language.ts'
import { roles } from '../../domain/access/role.ts'
import { name, text, time } from '../kit/fields.ts'
import { respond, route } from '../kit/route.ts'
import { tenantField, tenantGiven } from '../kit/tenant-fields.ts'

const newSession = z
  .strictObject({
    tenant: tenantField(),
    role: z
      .enum(roles, `must be one of ${roles.join(', ')}`)
      .meta({ description: 'The role of the session, for its tenant.' }),
    name: name().meta({ description: 'The person who uses the link. The audit shows this name.' }),
    user_id: z
      .union([text().min(1).max(200), z.int()], 'must be the id of a user account')
      .nullable()
      .default(null)
      .meta({ description: 'The user account of that person, whose data their tests send.' }),
    language: z
      .enum(languageCodes, `must be one of ${languageCodes.join(', ')}`)
      .nullable()
      .default(null)
      .meta({ description: 'The language of the pages. Null: the one of the browser.' }),
    path: text().min(1).max(2_000).default('/couplings').meta({
      description: 'The page that it opens, such as `/couplings/new`.',
      pattern: '^/([!-.0-\\[\\]-~][!-~]*)?$',
    }),
    valid_minutes: z
      .int()
      .min(1)
      .max(maxLinkMinutes)
      .default(defaultLinkMinutes)
      .meta({ description: 'How long the link works, in minutes.' }),
  })
  .meta({ id: 'NewSession' })

const sessionSchema = z
  .object({
    url: z.string().meta({ description: 'Opens the pages, once. Shown only once.' }),
    expires_at: time().meta({ description: 'The link works until then.' }),
  })
  .meta({ id: 'SessionLink' })

export const sessionRoutes = [
  route({
    method: 'post',
    path: '/api/sessions',
    id: 'createSession',
    tag: 'Sessions',
    summary: 'Creates a link that opens the pages for a tenant',
    description:
      'Open it in a browser, or in a frame (`WALHOOK_FRAME_ANCESTORS`). Its session ends after 12 hours, or earlier with the token that created the link.',
    role: 'admin',
    tenants: 'own',
    body: newSession,
    response: { status: 201, what: 'The link', schema: sessionSchema },
    async handle({ control, caller, body }) {
      const made = await createLink(control, caller, {
        ...body,
        tenant: tenantGiven(body.tenant),
        userId: body.userId === null ? null : String(body.userId),
        minutes: body.validMinutes,
      })
      return respond(made, link => link)
    },
  }),
]
