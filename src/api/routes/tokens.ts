import { z } from 'zod'
import { createToken, listTokens, revokeToken } from '../../control/access/tokens.ts'
import { roles } from '../../domain/access/role.ts'
import { id, idCursor, limit, name, page, pageOf, text, time } from '../kit/fields.ts'
import { respond, route } from '../kit/route.ts'
import { tenantAsked, tenantField, tenantGiven, tenantOf } from '../kit/tenant-fields.ts'

const role = z.enum(roles, `must be one of ${roles.join(', ')}`).meta({
  description:
    'A viewer reads; an operator also tests, resends and cancels; an admin also changes webhooks and tokens, and sees signing secrets.',
})
const newToken = z
  .strictObject({
    name: name(),
    role,
    tenant: tenantField(),
    user_id: z
      .union([text().min(1).max(200), z.int()], 'must be the id of a user account')
      .nullable()
      .default(null)
      .meta({ description: 'The user account of its holder, whose data their tests send.' }),
    expires_at: z.iso
      .datetime({ offset: true, error: 'must be a time such as 2026-12-31T23:59:59Z' })
      .nullable()
      .default(null)
      .meta({ asJson: { type: ['string', 'null'], format: 'date-time' } }),
  })
  .meta({ id: 'NewToken' })

const tokenFields = {
  id: z.int(),
  name: z.string(),
  role,
  tenant: tenantOf(),
  user_id: z.string().nullable(),
  created_at: time(),
  expires_at: time().nullable().meta({ description: 'Null: it never expires.' }),
  last_used_at: time().nullable().meta({ description: 'To the minute.' }),
  revoked_at: time().nullable(),
}
const tokenSchema = z.object(tokenFields).meta({ id: 'Token' })
const createdSchema = z
  .object({ ...tokenFields, token: z.string().meta({ description: '`whk_…`: shown only once.' }) })
  .meta({ id: 'CreatedToken' })

const tag = 'Tokens'

export const tokenRoutes = [
  route({
    method: 'post',
    path: '/api/tokens',
    id: 'createToken',
    tag,
    summary: 'Creates a token',
    role: 'admin',
    tenants: 'own',
    body: newToken,
    response: { status: 201, what: 'The token', schema: createdSchema },
    async handle({ control, caller, body }) {
      const created = await createToken(control, caller, {
        ...body,
        tenant: tenantGiven(body.tenant),
        userId: body.userId === null ? null : String(body.userId),
        expiresAt: body.expiresAt === null ? null : new Date(body.expiresAt),
      })
      return respond(created, ({ token, text }) => ({ ...token, token: text }))
    },
  }),
  route({
    method: 'get',
    path: '/api/tokens',
    id: 'listTokens',
    tag,
    summary: 'Lists the tokens by id, including revoked and expired ones',
    description: 'Without the token in WALHOOK_ADMIN_TOKEN.',
    role: 'admin',
    tenants: 'own',
    query: z.strictObject({ limit: limit(100, 50), cursor: idCursor(), tenant: tenantAsked() }),
    response: { status: 200, what: 'A page of tokens', schema: page(tokenSchema) },
    async handle({ control, caller, query: { limit, cursor, tenant } }) {
      const tokens = await listTokens(control, caller, { limit, after: cursor, tenant })
      return { ok: true, value: pageOf(tokens, token => token) }
    },
  }),
  route({
    method: 'delete',
    path: '/api/tokens/{id}',
    id: 'revokeToken',
    tag,
    summary: 'Revokes a token and ends its sessions at once',
    description: 'It stays in the list. Revoking it again changes nothing.',
    role: 'admin',
    tenants: 'own',
    params: z.strictObject({ id: id() }),
    response: { status: 204, what: 'Revoked', schema: null },
    async handle({ control, caller, params }) {
      return respond(await revokeToken(control, caller, params.id), () => null)
    },
  }),
]
