import { timingSafeEqual } from 'node:crypto'
import type { Claim } from '../../domain/access/credential.ts'
import { type Failures, fail, networkOf, waitMs } from '../../domain/value/back-off.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import { useToken } from '../../outbox/records/tokens.ts'
import type { Caller } from '../kit/control.ts'
import { createCredentialJudge, hashOf, holderKey } from './credentials.ts'

/** The caller; or none, and how long this address must wait before its next try (0: no wait). */
export type Authenticated =
  | { readonly ok: true; readonly caller: Caller }
  | { readonly ok: false; readonly isHeld: boolean; readonly waitMs: number }

export type Authenticator = {
  (token: string, address: string): Promise<Authenticated>
  /** What a text tells without a query. */
  readonly judge: (token: string) => Claim
}

/** Failures of so many addresses are kept; the oldest are dropped first. */
const maxAddresses = 10_000

/**
 * Makes the function that finds who holds a token: the one of the configuration, which always works, or a stored
 * one. Texts are compared by their hashes, in constant time; one that walhook can't have made costs no query.
 *
 * A right token is always let in: behind a proxy all have one address, and who guesses must not lock out who works. What
 * waits is the refusal: an address that keeps failing is told to come back later, longer each time
 * (`domain/value/back-off.ts`). Tokens of ours have 208 random bits, so nobody guesses one in the time between two refusals.
 * `onHeld` hears when an address begins to wait.
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
  const judge = createCredentialJudge(outbox, 'whk_')
  const isAdmins = (token: string) => adminHash !== null && timingSafeEqual(adminHash, hashOf(token))

  async function holderOf(token: string): Promise<Caller | null> {
    if (isAdmins(token)) return configured(admin.userId)
    const stored = (await judge.isWorthAQuery(token)) ? await useToken(outbox, hashOf(token)) : null
    if (!stored) return null
    const caller = holder(stored)
    judge.note(token, caller)
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
    judge: (token: string): Claim =>
      isAdmins(token) ? { is: 'holder', key: holderKey(configured(null)) } : judge.judge(token),
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

/** Drops the oldest entry above `most`. */
function keepLast(kept: Map<string, unknown>, most: number): void {
  if (kept.size > most) kept.delete(kept.keys().next().value!)
}
