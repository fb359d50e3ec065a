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
import { createCredentialJudge, hashOf, macOf } from './credentials.ts'
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
 * role may at that moment. One that begins at a provider may do what its claims said then, and ends when another provider or
 * another mapping of claims is configured. Only the SHA-256 of its id is stored.
 */
export function createSessions(options: {
  control: Pick<Control, 'outbox' | 'sealKey' | 'randomBytes'>
  authenticate: (token: string, address: string) => Promise<Authenticated>
  admin: { readonly token: string | null; readonly userId: string | null }
  /** By what the provider and the mapping of claims are known; null: there is none. */
  providerMac?: Buffer | null
  nowMs: () => number
}) {
  const { authenticate, admin, providerMac = null, nowMs } = options
  const { outbox, sealKey } = options.control
  const adminMac = macOf(sealKey, admin.token)

  const judge = createCredentialJudge(outbox, 'whs_')
  const audit = createLogInAudit({ outbox, nowMs })
  /** By token. */
  const logIns = new Map<number | null, Bucket>()

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

      const { session, expiresAt } = await start(options.control, {
        ...{ caller, address },
        session: { tokenMac: tokenId === null ? adminMac : null, forMs: sessionMs, person: null },
      })
      judge.note(session, caller)
      return { ok: true, caller, session, expiresAt }
    },

    /** Starts a session for whoever comes by a link, which is used up then. Null: it was, or has ended, or never was. */
    async enter(text: string, address: string): Promise<Entered | null> {
      const entered = await enterBy(options.control, adminMac, text, address)
      if (entered) judge.note(entered.session, entered.caller)
      return entered
    },

    /** Starts a session for whoever the provider has told of; `endsAtMs` is the latest that it may end. */
    async signedIn(user: SignedInUser, idToken: string, endsAtMs: number, address: string) {
      const forMs = endsAtMs - nowMs()
      const started = await startByProvider(options.control, { user, idToken, providerMac, forMs, address })
      judge.note(started.session, started.caller)
      return started
    },

    /** Records that somebody was not let in. */
    refused: audit.refused,

    /** With what a browser ends the session at the provider; null: there is nothing of it. */
    idTokenOf: (session: string) => readIdToken(options.control, session),

    /** Whose session it is; null where it has ended or never was. */
    async find(session: string): Promise<Caller | null> {
      if (!(await judge.isWorthAQuery(session))) return null
      const owner = await findSession(outbox, hashOf(session))
      if (!owner) return null
      const caller = callerOf(owner, { adminMac, providerMac, userId: admin.userId })
      if (caller) judge.note(session, caller)
      return caller
    },

    async logOut(session: string): Promise<void> {
      await deleteSession(outbox, hashOf(session))
    },

    logOutEverywhere: (caller: Caller) => endAll(outbox, caller, providerMac),
  }
}

/** Who a session is; null where what it began by is not configured any more. */
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

/** Ends every session of the same holder, on every device. Returns how many there were. */
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
