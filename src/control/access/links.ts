import { isOwnPath } from '../../domain/access/own-path.ts'
import type { Role } from '../../domain/access/role.ts'
import { because } from '../../domain/shown/reason.ts'
import { minuteMs } from '../../domain/value/duration.ts'
import { transaction } from '../../outbox/database/database.ts'
import { recordAudit } from '../../outbox/records/audit.ts'
import { insertLink, pruneLinks } from '../../outbox/records/links.ts'
import type { Caller, Control } from '../kit/control.ts'
import { invalid, type Result, wrongField } from '../kit/result.ts'
import { chooseTenant } from '../webhooks/tenant.ts'
import { hashOf, newCredential } from './credentials.ts'

export const defaultLinkMinutes = 5
export const maxLinkMinutes = 60

type LinkInput = {
  /** Absent: the caller's own. */
  readonly tenant: string | null | undefined
  readonly role: Role
  /** A person's name, for the audit. */
  readonly name: string
  readonly userId: string | null
  /** Null: the browser's. */
  readonly language: string | null
  /** The page to open. */
  readonly path: string
  readonly minutes: number
}

/**
 * Creates a link that opens the pages for a tenant, once and within minutes. Its user has the rights of `role` for that
 * tenant only, while the caller's token is valid. Only its SHA-256 is stored.
 */
export async function createLink(
  control: Pick<Control, 'outbox' | 'randomBytes' | 'adminMac' | 'publicUrl'>,
  caller: Caller,
  input: LinkInput,
): Promise<Result<{ url: string; expiresAt: Date }>> {
  const { tenant, problems } = chooseTenant(caller, input.tenant)
  const wrong = [
    ...problems,
    ...(tenant === null && problems.length === 0 ? [wrongField('/tenant', because('link.no_tenant'))] : []),
    ...(isOwnPath(input.path) ? [] : [wrongField('/path', because('link.path', { path: input.path }))]),
  ]
  if (wrong.length > 0 || tenant === null) return invalid(...wrong)
  const text = await newCredential(control, 'whl_')
  const { role, name, userId, language, path, minutes } = input
  const link = { tenant, role, name, userId, language, path }
  const { tokenId } = caller
  const made = await transaction(control.outbox.pool, async client => {
    await pruneLinks(client)
    const stored = await insertLink(client, {
      ...link,
      hash: hashOf(text),
      tokenId,
      tokenMac: tokenId === null ? control.adminMac : null,
      forMs: minutes * minuteMs,
    })
    await recordAudit(client, caller, 'session.linked', { tenant, to: { ...link, ...stored } })
    return stored
  })
  return { ok: true, value: { url: `${control.publicUrl}/enter?link=${text}`, ...made } }
}
