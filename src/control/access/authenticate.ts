import { timingSafeEqual } from 'node:crypto'
import type { Claim } from '../../domain/access/credential.ts'
import { type Failures, fail, networkOf, waitMs } from '../../domain/value/back-off.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import { useToken } from '../../outbox/records/tokens.ts'
import type { Caller } from '../kit/control.ts'
import { createKnownCredentials, hashOf, holderKey } from './credentials.ts'

/** The caller; or none, and how long this address must wait before its next attempt (0: no wait). */
export type Authenticated =
  | { readonly ok: true; readonly caller: Caller }
  | { readonly ok: false; readonly isHeld: boolean; readonly waitMs: number }

export type Authenticator = {
  (token: string, address: string): Promise<Authenticated>
  /** What a token's text shows without a query. */
  readonly classify: (token: string) => Claim
}

/** The number of addresses with stored failures; the oldest are dropped first. */
const maxAddresses = 10_000

/**
 * Creates the function that finds a token's caller: the configured token, which always works, or a stored one. Hashes are
 * compared, in constant time; a token that walhook never issued costs no query.
 *
 * A valid token always passes: behind a proxy all callers have one address, and guessing must not lock out the others. Only
 * the refusal slows down, the longer an address keeps failing (`domain/value/back-off.ts`). Tokens have 208 random bits.
 * `onHeld` is called when an address begins to wait.
 */
export function createAuthenticator(options: {
  outbox: Outbox
  admin: { readonly token: string | null; readonly userId: string | null }
  nowMs: () => number
  onHeld?: (address: string, failures: number) => void
}): Authenticator {
  const { outbox, admin, nowMs } = options
  const adminHash = admin.token === null ? null : hashOf(admin.token)
  const failures = new Map<string, Failures>()
  const known = createKnownCredentials(outbox, 'whk_')
  const isAdmins = (token: string) => adminHash !== null && timingSafeEqual(adminHash, hashOf(token))

  async function holderOf(token: string): Promise<Caller | null> {
    if (isAdmins(token)) return configured(admin.userId)
    const stored = (await known.isWorthAQuery(token)) ? await useToken(outbox, hashOf(token)) : null
    if (!stored) return null
    const caller = holder(stored)
    known.note(token, caller)
    return caller
  }

  async function authenticate(token: string, address: string): Promise<Authenticated> {
    const caller = await holderOf(token)
    if (caller) return { ok: true, caller }
    const network = networkOf(address)
    const held = waitMs(failures.get(network), nowMs())
    if (held > 0) return { ok: false, isHeld: true, waitMs: held }
    const failed = fail(failures.get(network), nowMs())
    failures.delete(network)
    keepLast(failures.set(network, failed), maxAddresses)
    const wait = waitMs(failed, nowMs())
    if (wait > 0) options.onHeld?.(address, failed.count)
    return { ok: false, isHeld: false, waitMs: wait }
  }

  return Object.assign(authenticate, {
    classify: (token: string): Claim =>
      isAdmins(token) ? { is: 'holder', key: holderKey(configured(null)) } : known.classify(token),
  })
}

/** The holder of WALHOOK_ADMIN_TOKEN. */
export function configured(userId: string | null): Caller {
  return {
    kind: 'configuration',
    name: 'WALHOOK_ADMIN_TOKEN',
    tokenId: null,
    userId,
    role: 'admin',
    tenant: null,
  }
}

export function holder(
  token: Pick<Caller, 'name' | 'role' | 'userId' | 'tenant'> & { readonly id: number },
): Caller {
  const { name, id, userId, role, tenant } = token
  return { kind: 'token', name, tokenId: id, userId, role, tenant }
}

function keepLast(kept: Map<string, unknown>, max: number): void {
  if (kept.size > max) kept.delete(kept.keys().next().value!)
}
