import { timingSafeEqual } from 'node:crypto'
import { judgeCredential } from '../../domain/access/credential.ts'
import { type Bucket, type RatePolicy, take } from '../../domain/access/rate.ts'
import { hourMs } from '../../domain/value/duration.ts'
import { transaction } from '../../outbox/database/database.ts'
import { recordAudit } from '../../outbox/records/audit.ts'
import { readChecksumKey } from '../../outbox/records/checksums.ts'
import { takeLink } from '../../outbox/records/links.ts'
import {
  deleteSession,
  deleteSessionsOf,
  deleteSessionsOfLink,
  findSession,
  insertSession,
  type LinkHolder,
  pruneSessions,
} from '../../outbox/records/sessions.ts'
import type { Caller, Control } from '../kit/control.ts'
import { type Authenticated, configured, holder } from './authenticate.ts'
import { createCredentialJudge, hashOf, macOf, newCredential } from './credentials.ts'
import { createLogInAudit } from './log-in-audit.ts'

const sessionMs = 12 * hourMs
/** Of one token. A person needs one, and each is recorded. */
const logInRate: RatePolicy = { quota: 30, windowS: 60 }

export type LoggedIn =
  /** `session` is the id that its holder keeps, in a cookie; it is nowhere else. */
  | { readonly ok: true; readonly caller: Caller; readonly session: string; readonly expiresAt: Date }
  | Extract<Authenticated, { ok: false }>

export type Entered = Omit<Extract<LoggedIn, { ok: true }>, 'ok'> & {
  /** Null: as the browser asks for. */
  readonly language: string | null
  readonly path: string
}

/** Whoever came by a link. */
function byLink({ tenant, role, name, userId }: LinkHolder): Caller {
  return { kind: 'link', name, tokenId: null, userId, role, tenant }
}

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
  const { outbox, sealKey } = options.control
  const adminMac = macOf(sealKey, admin.token)

  const judge = createCredentialJudge(outbox, 'whs_')
  const audit = createLogInAudit({ outbox, nowMs })
  /** By token. */
  const logIns = new Map<number | null, Bucket>()

  function callerOf(owner: NonNullable<Awaited<ReturnType<typeof findSession>>>): Caller | null {
    const { link, token } = owner
    if (!token && !(adminMac && timingSafeEqual(adminMac, owner.tokenMac))) return null
    if (link) return byLink(link)
    return token ? holder(token) : configured(admin.userId)
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

      const { session, expiresAt } = await start(options.control, caller, adminMac, address)
      judge.note(session, caller)
      return { ok: true, caller, session, expiresAt }
    },

    /** Starts a session for whoever comes by a link, which is used up then. Null: it was, or has ended, or never was. */
    async enter(text: string, address: string): Promise<Entered | null> {
      const entered = await enterBy(options.control, adminMac, text, address)
      if (entered) judge.note(entered.session, entered.caller)
      return entered
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
        const { kind, tenant, role, name, userId, tokenId } = caller
        const count =
          kind === 'link' && tenant !== null
            ? await deleteSessionsOfLink(client, { tenant, role, name, userId })
            : await deleteSessionsOf(client, tokenId)
        await recordAudit(client, caller, 'sessions.ended', { to: { count } })
        return count
      })
    },
  }
}

/** Starts the session of a token. */
async function start(
  { outbox, randomBytes }: Pick<Control, 'outbox' | 'randomBytes'>,
  caller: Caller,
  adminMac: Buffer | null,
  address: string,
): Promise<{ session: string; expiresAt: Date }> {
  const { tokenId } = caller
  const tokenMac = tokenId === null ? adminMac : null
  const session = await newCredential({ outbox, randomBytes }, 'whs_')
  await pruneSessions(outbox)
  const { expiresAt } = await transaction(outbox.pool, async client => {
    const made = { hash: hashOf(session), tokenId, tokenMac, forMs: sessionMs, link: null }
    const started = await insertSession(client, made)
    await recordAudit(client, caller, 'session.started', { to: { address } })
    return started
  })
  return { session, expiresAt }
}

async function enterBy(
  { outbox, randomBytes }: Pick<Control, 'outbox' | 'randomBytes'>,
  adminMac: Buffer | null,
  text: string,
  address: string,
): Promise<Entered | null> {
  if (judgeCredential('whl_', text, await readChecksumKey(outbox)) !== 'ours') return null
  const session = await newCredential({ outbox, randomBytes }, 'whs_')
  await pruneSessions(outbox)
  return await transaction(outbox.pool, async client => {
    const link = await takeLink(client, hashOf(text))
    if (!link || (link.tokenMac && !(adminMac && timingSafeEqual(adminMac, link.tokenMac)))) return null
    const { tokenId, tokenMac, language, path } = link
    const caller = byLink(link)
    const { expiresAt } = await insertSession(client, {
      ...{ hash: hashOf(session), tokenId, tokenMac, forMs: sessionMs, link },
    })
    await recordAudit(client, caller, 'session.started', { to: { address } })
    return { caller, session, expiresAt, language, path }
  })
}
