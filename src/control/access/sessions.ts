import { timingSafeEqual } from 'node:crypto'
import type { SignedInUser } from '../../domain/access/claims.ts'
import { type Bucket, type RatePolicy, take } from '../../domain/access/rate.ts'
import { transaction } from '../../outbox/database/database.ts'
import { recordAudit } from '../../outbox/records/audit.ts'
import {
  deleteSession,
  deleteSessionsOf,
  deleteSessionsOfLink,
  deleteSessionsOfSubject,
  findSession,
  type SessionOwner,
} from '../../outbox/records/sessions.ts'
import type { Caller, Control } from '../kit/control.ts'
import { type Authenticated, configured, holder } from './authenticate.ts'
import { createKnownCredentials, hashOf, macOf } from './credentials.ts'
import { createLogInAudit } from './log-in-audit.ts'
import {
  byLink,
  byProvider,
  type Entered,
  enterBy,
  readIdToken,
  sessionMs,
  start,
  startByProvider,
} from './start-session.ts'

/** Per token. A person needs one log-in, and each is recorded. */
const logInRate: RatePolicy = { quota: 30, windowS: 60 }

export type LoggedIn =
  /** `session` is the id in the holder's cookie, which is stored nowhere else. */
  | { readonly ok: true; readonly caller: Caller; readonly session: string; readonly expiresAt: Date }
  | Extract<Authenticated, { ok: false }>

export type Sessions = ReturnType<typeof createSessions>

/**
 * The sessions of the pages. Only the SHA-256 of a session's id is stored.
 *
 * - A session of a token ends after 12 hours, at log-out, or when the token is revoked, expires, or (WALHOOK_ADMIN_TOKEN)
 *   changes. It has the token's present role.
 * - A session of a provider has the rights of its claims at sign-in, and ends when the provider or the mapping of claims
 *   changes.
 */
export function createSessions(options: {
  control: Pick<Control, 'outbox' | 'sealKey' | 'randomBytes'>
  authenticate: (token: string, address: string) => Promise<Authenticated>
  admin: { readonly token: string | null; readonly userId: string | null }
  /** Identifies the provider and the mapping of claims; null: none. */
  providerMac?: Buffer | null
  nowMs: () => number
}) {
  const { authenticate, admin, providerMac = null, nowMs } = options
  const { outbox, sealKey } = options.control
  const adminMac = macOf(sealKey, admin.token)

  const known = createKnownCredentials(outbox, 'whs_')
  const audit = createLogInAudit({ outbox, nowMs })
  /** By token. */
  const logIns = new Map<number | null, Bucket>()

  return {
    /** What a session id's text shows without a query. */
    classify: known.classify,

    /** Starts a session for a token; failures slow down `address` like those of calls. Both are recorded. */
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

      const { session, expiresAt } = await start(options.control, {
        ...{ caller, address },
        session: { tokenMac: tokenId === null ? adminMac : null, forMs: sessionMs, person: null },
      })
      known.note(session, caller)
      return { ok: true, caller, session, expiresAt }
    },

    /** Starts a session for a link, and uses it up. Null: it is used, expired or unknown. */
    async enter(text: string, address: string): Promise<Entered | null> {
      const entered = await enterBy(options.control, adminMac, text, address)
      if (entered) known.note(entered.session, entered.caller)
      return entered
    },

    /** Starts a session for a user of the provider; it ends at `endsAtMs` at the latest. */
    async signedIn(user: SignedInUser, idToken: string, endsAtMs: number, address: string) {
      const forMs = endsAtMs - nowMs()
      const started = await startByProvider(options.control, { user, idToken, providerMac, forMs, address })
      known.note(started.session, started.caller)
      return started
    },

    /** Records a refused sign-in. */
    refused: audit.refused,

    /** The ID token that ends the session at the provider; null: none. */
    idTokenOf: (session: string) => readIdToken(options.control, session),

    /** The caller of a session; null: it has ended or is unknown. */
    async find(session: string): Promise<Caller | null> {
      if (!(await known.isWorthAQuery(session))) return null
      const owner = await findSession(outbox, hashOf(session))
      if (!owner) return null
      const caller = callerOf(owner, { adminMac, providerMac, userId: admin.userId })
      if (caller) known.note(session, caller)
      return caller
    },

    async logOut(session: string): Promise<void> {
      await deleteSession(outbox, hashOf(session))
    },

    logOutEverywhere: (caller: Caller) => endAll(outbox, caller, providerMac),
  }
}

/** The caller of a session; null: its origin is no longer configured. */
function callerOf(
  { person, ...owner }: SessionOwner,
  now: { adminMac: Buffer | null; providerMac: Buffer | null; userId: string | null },
): Caller | null {
  const subject = person?.subject ?? null
  const mac = subject === null ? now.adminMac : now.providerMac
  if (!owner.token && !(mac && timingSafeEqual(mac, owner.tokenMac))) return null
  if (person && subject !== null) return byProvider({ ...person, subject })
  if (person) return byLink(person)
  return owner.token ? holder(owner.token) : configured(now.userId)
}

/** Ends every session of the same holder, on every device. Returns their number. */
async function endAll(
  { pool }: Pick<Control['outbox'], 'pool'>,
  caller: Caller,
  providerMac: Buffer | null,
): Promise<number> {
  const { kind, tenant, role, name, userId, tokenId, subject = null } = caller
  return await transaction(pool, async client => {
    const end = async () => {
      if (subject !== null)
        return providerMac === null ? 0 : await deleteSessionsOfSubject(client, subject, providerMac)
      return kind === 'link'
        ? await deleteSessionsOfLink(client, { tenant, role, name, userId, subject })
        : await deleteSessionsOf(client, tokenId)
    }
    const count = await end()
    await recordAudit(client, caller, 'sessions.ended', { to: { count } })
    return count
  })
}
