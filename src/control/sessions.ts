import { createHmac, timingSafeEqual } from 'node:crypto'
import { recordAudit } from '../outbox/audit.ts'
import { inTransaction } from '../outbox/database.ts'
import {
  deleteSession,
  deleteSessionsOf,
  findSession,
  insertSession,
  pruneSessions,
} from '../outbox/sessions.ts'
import { type Authenticated, configured, hashOf, holder } from './authenticate.ts'
import type { Caller, Control } from './control.ts'

const prefix = 'whs_'
const sessionMs = 12 * 3_600_000

export type LoggedIn =
  /** `session` is the id that its holder keeps, in a cookie; it is nowhere else. */
  | { readonly ok: true; readonly caller: Caller; readonly session: string; readonly expiresAt: Date }
  | Extract<Authenticated, { ok: false }>

export type Sessions = ReturnType<typeof createSessions>

/**
 * Sessions of the pages. A session begins with a token and ends after 12 hours, at log-out, and with its token: when
 * that is revoked or expires, or, for WALHOOK_ADMIN_TOKEN, when another one is configured. It may do what the token's
 * role may at that moment. Only the SHA-256 of its id is stored.
 */
export function createSessions(options: {
  control: Pick<Control, 'outbox' | 'sealKey' | 'randomBytes'>
  authenticate: (token: string, address: string) => Promise<Authenticated>
  admin: { readonly token: string | null; readonly userId: string | null }
}) {
  const { authenticate, admin } = options
  const { outbox, sealKey, randomBytes } = options.control
  // Not its hash: unlike our own tokens, the configured one may be guessed by who reads the table.
  const adminMac =
    admin.token === null ? null : createHmac('sha256', sealKey.bytes).update(admin.token).digest()

  return {
    /** Starts a session for who has a token; `address` is slowed down by failures as at any call. */
    async logIn(token: string, address: string): Promise<LoggedIn> {
      const found = await authenticate(token, address)
      if (!found.ok) return found
      const session = prefix + randomBytes(32).toString('base64url')
      const { tokenId } = found.caller
      await pruneSessions(outbox)
      const { expiresAt } = await insertSession(outbox, {
        hash: hashOf(session),
        tokenId,
        tokenMac: tokenId === null ? adminMac : null,
        forMs: sessionMs,
      })
      return { ok: true, caller: found.caller, session, expiresAt }
    },

    /** Whose session it is; null where it has ended or never was. */
    async find(session: string): Promise<Caller | null> {
      if (!session.startsWith(prefix)) return null
      const owner = await findSession(outbox, hashOf(session))
      if (!owner) return null
      if (owner.token) return holder(owner.token)
      return adminMac && timingSafeEqual(adminMac, owner.tokenMac) ? configured(admin.userId) : null
    },

    async logOut(session: string): Promise<void> {
      await deleteSession(outbox, hashOf(session))
    },

    /** Ends every session of the caller's token, on every device. Returns how many there were. */
    async logOutEverywhere(caller: Caller): Promise<number> {
      return await inTransaction(outbox, async tx => {
        const count = await deleteSessionsOf(tx.client, caller.tokenId)
        await recordAudit(tx.client, caller, 'sessions.ended', { to: { count } })
        return count
      })
    },
  }
}
