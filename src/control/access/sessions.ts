import { createHmac, timingSafeEqual } from 'node:crypto'
import { type Bucket, type RatePolicy, take } from '../../domain/access/rate.ts'
import { hourMs } from '../../domain/value/duration.ts'
import { transaction } from '../../outbox/database/database.ts'
import { recordAudit } from '../../outbox/records/audit.ts'
import {
  deleteSession,
  deleteSessionsOf,
  findSession,
  insertSession,
  pruneSessions,
} from '../../outbox/records/sessions.ts'
import type { Caller, Control } from '../kit/control.ts'
import { type Authenticated, configured, holder } from './authenticate.ts'
import { createCredentialJudge, hashOf, newCredential } from './credentials.ts'
import { createLogInAudit } from './log-in-audit.ts'

const sessionMs = 12 * hourMs
/** Of one token. A person needs one, and each is recorded. */
const logInRate: RatePolicy = { quota: 30, windowS: 60 }

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
  nowMs: () => number
}) {
  const { authenticate, admin, nowMs } = options
  const { outbox, sealKey, randomBytes } = options.control
  // Not its hash: unlike our own tokens, the configured one may be guessed by who reads the table.
  const adminMac =
    admin.token === null ? null : createHmac('sha256', sealKey.bytes).update(admin.token).digest()

  const judge = createCredentialJudge(outbox, 'whs_')
  const audit = createLogInAudit({ outbox, nowMs })
  /** By token. */
  const logIns = new Map<number | null, Bucket>()

  function callerOf(owner: NonNullable<Awaited<ReturnType<typeof findSession>>>): Caller | null {
    if (owner.token) return holder(owner.token)
    return adminMac && timingSafeEqual(adminMac, owner.tokenMac) ? configured(admin.userId) : null
  }

  return {
    /** What a text tells without a query. */
    judge: judge.judge,

    /** Starts a session for who has a token; `address` is slowed down by failures as at any call. Both are recorded. */
    async logIn(token: string, address: string): Promise<LoggedIn> {
      const found = await authenticate(token, address)
      if (!found.ok) {
        await audit.refused(address)
        return found
      }
      const { caller } = found
      const { tokenId } = caller
      const taken = take(logIns.get(tokenId), logInRate, nowMs())
      logIns.set(tokenId, taken.bucket)
      if (!taken.isAllowed) return { ok: false, isHeld: true, waitMs: taken.retryAfterS * 1000 }

      const session = await newCredential({ outbox, randomBytes }, 'whs_')
      await pruneSessions(outbox)
      const { expiresAt } = await transaction(outbox.pool, async client => {
        const started = await insertSession(client, {
          hash: hashOf(session),
          tokenId,
          tokenMac: tokenId === null ? adminMac : null,
          forMs: sessionMs,
        })
        await recordAudit(client, caller, 'session.started', { to: { address } })
        return started
      })
      judge.note(session, caller)
      return { ok: true, caller, session, expiresAt }
    },

    /** Whose session it is; null where it has ended or never was. */
    async find(session: string): Promise<Caller | null> {
      if (!(await judge.isWorthAQuery(session))) return null
      const owner = await findSession(outbox, hashOf(session))
      if (!owner) return null
      const caller = callerOf(owner)
      if (caller) judge.note(session, caller)
      return caller
    },

    async logOut(session: string): Promise<void> {
      await deleteSession(outbox, hashOf(session))
    },

    /** Ends every session of the caller's token, on every device. Returns how many there were. */
    async logOutEverywhere(caller: Caller): Promise<number> {
      return await transaction(outbox.pool, async client => {
        const count = await deleteSessionsOf(client, caller.tokenId)
        await recordAudit(client, caller, 'sessions.ended', { to: { count } })
        return count
      })
    },
  }
}
