import { timingSafeEqual } from 'node:crypto'
import type { SignedInUser } from '../../domain/access/claims.ts'
import { classifyCredential } from '../../domain/access/credential.ts'
import { hourMs } from '../../domain/value/duration.ts'
import { nonceBytes, seal, unseal } from '../../domain/webhook/seal.ts'
import { transaction } from '../../outbox/database/database.ts'
import { recordAudit } from '../../outbox/records/audit.ts'
import { readChecksumKey } from '../../outbox/records/checksums.ts'
import { takeLink } from '../../outbox/records/links.ts'
import { findIdToken, insertSession, type Person, pruneSessions } from '../../outbox/records/sessions.ts'
import type { Caller, Control } from '../kit/control.ts'
import { hashOf, newCredential } from './credentials.ts'

export const sessionMs = 12 * hourMs

/** A session from a link; `session` is the id in the cookie. */
export type Entered = {
  readonly caller: Caller
  readonly session: string
  readonly expiresAt: Date
  /** Null: the browser's. */
  readonly language: string | null
  readonly path: string
}

export function byLink({ tenant, role, name, userId }: Omit<Person, 'subject'>): Caller {
  return { kind: 'link', name, tokenId: null, userId, role, tenant }
}

export function byProvider({ subject, tenant, role, name, userId }: Person & { subject: string }): Caller {
  return { kind: 'oidc', name, tokenId: null, userId, role, tenant, subject }
}

/** A longer ID token is not stored: the session at the provider ends by itself. */
const longestIdToken = 16_384
const idTokenPurpose = 'id token of a session'

export async function startByProvider(
  control: Pick<Control, 'outbox' | 'randomBytes' | 'sealKey'>,
  begun: {
    user: SignedInUser
    idToken: string
    providerMac: Buffer | null
    forMs: number
    address: string
  },
): Promise<{ caller: Caller; session: string; expiresAt: Date }> {
  const { user, idToken, providerMac, forMs, address } = begun
  const { subject, role, tenant } = user
  const caller = byProvider(user)
  const isKept = idToken.length <= longestIdToken
  const started = await start(control, {
    ...{ caller, address },
    session: { tokenMac: providerMac, forMs, person: user },
    idToken: isKept ? seal(control.sealKey, idTokenPurpose, idToken, control.randomBytes(nonceBytes)) : null,
    facts: { subject, role, tenant },
  })
  return { caller, ...started }
}

/** The ID token of a session; null: none, or it can't be opened. */
export async function readIdToken(
  { outbox, sealKey }: Pick<Control, 'outbox' | 'sealKey'>,
  session: string,
): Promise<string | null> {
  const sealed = await findIdToken(outbox, hashOf(session))
  const opened = sealed === null ? null : unseal(sealKey, idTokenPurpose, sealed)
  return opened?.ok ? opened.text : null
}

export async function start(
  { outbox, randomBytes }: Pick<Control, 'outbox' | 'randomBytes'>,
  begun: {
    caller: Caller
    address: string
    session: Pick<Parameters<typeof insertSession>[1], 'tokenMac' | 'forMs' | 'person'>
    idToken?: string | null
    /** For the audit, beside the address. */
    facts?: object
  },
): Promise<{ session: string; expiresAt: Date }> {
  const { caller, address, idToken = null, facts } = begun
  const { tokenId } = caller
  const session = await newCredential({ outbox, randomBytes }, 'whs_')
  await pruneSessions(outbox)
  const { expiresAt } = await transaction(outbox.pool, async client => {
    const made = { ...begun.session, hash: hashOf(session), tokenId, idToken }
    const started = await insertSession(client, made)
    await recordAudit(client, caller, 'session.started', { to: { address, ...facts } })
    return started
  })
  return { session, expiresAt }
}

const personOf = ({ tenant, role, name, userId }: Omit<Person, 'subject'>) => ({ tenant, role, name, userId })

export async function enterBy(
  { outbox, randomBytes }: Pick<Control, 'outbox' | 'randomBytes'>,
  adminMac: Buffer | null,
  text: string,
  address: string,
): Promise<Entered | null> {
  if (classifyCredential('whl_', text, await readChecksumKey(outbox)) !== 'ours') return null
  const session = await newCredential({ outbox, randomBytes }, 'whs_')
  await pruneSessions(outbox)
  return await transaction(outbox.pool, async client => {
    const link = await takeLink(client, hashOf(text))
    if (!link || (link.tokenMac && !(adminMac && timingSafeEqual(adminMac, link.tokenMac)))) return null
    const { tokenId, tokenMac, language, path } = link
    const caller = byLink(link)
    const { expiresAt } = await insertSession(client, {
      ...{ hash: hashOf(session), tokenId, tokenMac, forMs: sessionMs },
      person: { ...personOf(link), subject: null },
    })
    await recordAudit(client, caller, 'session.started', { to: { address } })
    return { caller, session, expiresAt, language, path }
  })
}
