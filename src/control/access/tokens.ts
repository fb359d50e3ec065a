import type { Role } from '../../domain/access/role.ts'
import { because } from '../../domain/shown/reason.ts'
import { databaseNow } from '../../outbox/database/clock.ts'
import { transaction } from '../../outbox/database/database.ts'
import { recordAudit } from '../../outbox/records/audit.ts'
import type { Token } from '../../outbox/records/tokens.ts'
import * as tokens from '../../outbox/records/tokens.ts'
import type { Caller, Control } from '../kit/control.ts'
import { firstOf, type Page } from '../kit/page.ts'
import { invalid, notFound, type Result, wrongField } from '../kit/result.ts'
import { mayKnow, tenantAsked } from '../kit/tenants.ts'
import { chooseTenant } from '../webhooks/tenant.ts'
import { hashOf, newCredential } from './credentials.ts'

export type { Token }

type TokenControl = Pick<Control, 'outbox' | 'randomBytes'>

/**
 * Creates a token for the user account `userId` with the rights of `role`, valid until `expiresAt` (null: for ever). The
 * result contains its text, once.
 */
export async function createToken(
  control: TokenControl,
  caller: Caller,
  input: {
    name: string
    role: Role
    userId: string | null
    expiresAt: Date | null
    /** Absent: the caller's own. */
    tenant?: string | null | undefined
  },
): Promise<Result<{ token: Token; text: string }>> {
  const { tenant, problems } = chooseTenant(caller, input.tenant)
  if (problems.length > 0) return invalid(...problems)
  if (input.expiresAt !== null && input.expiresAt.getTime() <= (await databaseNow(control.outbox)))
    return invalid(wrongField('/expires_at', because('token.past', { at: input.expiresAt.toISOString() })))
  const text = await newCredential(control, 'whk_')
  const token = await transaction(control.outbox.pool, async client => {
    const made = await tokens.insertToken(client, { ...input, tenant, hash: hashOf(text) })
    await recordAudit(client, caller, 'token.created', { id: made.id, tenant, to: described(made) })
    return made
  })
  return { ok: true, value: { token, text } }
}

/**
 * The caller's tokens, or one tenant's, in ascending order of id, revoked and expired ones too, at most `limit`, after the id
 * `after`.
 */
export async function listTokens(
  control: TokenControl,
  caller: Pick<Caller, 'tenant'>,
  page: { limit: number; after: number; tenant?: string | null | undefined },
): Promise<Page<Token, number>> {
  const tenant = tenantAsked(caller, page.tenant)
  const found = await tokens.listTokens(control.outbox, { ...page, tenant, limit: page.limit + 1 })
  return firstOf(found, page.limit)
}

/** Revokes a token and its sessions at once. A token that has ended stays as it is. */
export async function revokeToken(control: TokenControl, caller: Caller, id: number): Promise<Result<Token>> {
  return await transaction(control.outbox.pool, async client => {
    const token = await tokens.lockToken(client, id)
    if (!token || !mayKnow(caller, token)) return notFound('token', id)
    if (token.revokedAt !== null) return { ok: true, value: token }
    const revoked = await tokens.revokeToken(client, id)
    await recordAudit(client, caller, 'token.revoked', { id, tenant: token.tenant, from: described(token) })
    return { ok: true, value: revoked }
  })
}

const described = ({ name, role, tenant, userId, expiresAt }: Token) => ({
  name,
  role,
  tenant,
  userId,
  expiresAt,
})
