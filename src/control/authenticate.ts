import { createHash, timingSafeEqual } from 'node:crypto'
import { type Failures, fail, networkOf, waitMs } from '../domain/back-off.ts'
import type { Outbox } from '../outbox/database.ts'
import { useToken } from '../outbox/tokens.ts'
import type { Caller } from './control.ts'

export const tokenPrefix = 'whk_'

/** Who calls; or nobody, and how long this address must wait for its next try (0: it need not). */
export type Authenticated =
  | { readonly ok: true; readonly caller: Caller }
  | { readonly ok: false; readonly isHeld: boolean; readonly waitMs: number }

/** What is known of an address is forgotten when so many others have failed since. */
const maxAddresses = 10_000
const maxKnownTokens = 1_000

/**
 * Makes the function that finds who holds a token: the one of the configuration, which always works, or a stored
 * one. Texts are compared by their hashes, in constant time.
 *
 * An address that keeps failing waits, longer each time (`domain/back-off.ts`); meanwhile its tokens are not even
 * looked at, except those that this process has let in before: behind a proxy all have one address, and who guesses
 * must not lock out who works. `onHeld` hears when an address begins to wait.
 */
export function createAuthenticator(options: {
  outbox: Outbox
  admin: { readonly token: string | null; readonly userId: string | null }
  nowMs: () => number
  onHeld?: (address: string, failures: number) => void
}): (token: string, address: string) => Promise<Authenticated> {
  const { outbox, admin, nowMs } = options
  const adminHash = admin.token === null ? null : hashOf(admin.token)
  const failures = new Map<string, Failures>()
  const known = new Set<string>()

  async function holderOf(token: string): Promise<Caller | null> {
    const hash = hashOf(token)
    if (adminHash && timingSafeEqual(adminHash, hash)) return configured(admin.userId)
    const stored = token.startsWith(tokenPrefix) ? await useToken(outbox, hash) : null
    return stored && holder(stored)
  }

  return async (token, address) => {
    const network = networkOf(address)
    const name = hashOf(token).toString('base64')
    const held = waitMs(failures.get(network), nowMs())
    if (held > 0 && !known.has(name)) return { ok: false, isHeld: true, waitMs: held }

    const caller = await holderOf(token)
    known.delete(name)
    if (caller) {
      keepLast(known.add(name), maxKnownTokens)
      return { ok: true, caller }
    }
    const failed = fail(failures.get(network), nowMs())
    failures.delete(network)
    keepLast(failures.set(network, failed), maxAddresses)
    const wait = waitMs(failed, nowMs())
    if (wait > 0) options.onHeld?.(address, failed.count)
    return { ok: false, isHeld: false, waitMs: wait }
  }
}

/** The holder of WALHOOK_ADMIN_TOKEN. */
export function configured(userId: string | null): Caller {
  return { kind: 'configuration', name: 'WALHOOK_ADMIN_TOKEN', tokenId: null, userId, role: 'admin' }
}

export function holder(token: Pick<Caller, 'name' | 'role' | 'userId'> & { readonly id: number }): Caller {
  return { kind: 'token', name: token.name, tokenId: token.id, userId: token.userId, role: token.role }
}

export function hashOf(token: string): Buffer {
  return createHash('sha256').update(token).digest()
}

/** Drops what was put in first. */
function keepLast(kept: Map<string, unknown> | Set<string>, most: number): void {
  if (kept.size > most) kept.delete(kept.keys().next().value!)
}
