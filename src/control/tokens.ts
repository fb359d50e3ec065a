import { createHash, timingSafeEqual } from 'node:crypto'
import type { Outbox } from '../outbox/database.ts'
import { insertToken, useToken } from '../outbox/tokens.ts'
import type { Caller, Control } from './control.ts'

const prefix = 'whk_'

/** Makes a token with which its holder is the user account `userId`. The text is returned this once. */
export async function createToken(
  control: Pick<Control, 'outbox' | 'randomBytes'>,
  input: { name: string; userId: string | null },
): Promise<string> {
  const token = prefix + control.randomBytes(32).toString('base64url')
  await insertToken(control.outbox, { name: input.name, hash: hashOf(token), userId: input.userId })
  return token
}

/**
 * Makes the function that finds who holds a token: the one of the configuration, which always works, or a
 * stored one. Null for any other. Texts are compared by their hashes, in constant time.
 */
export function createAuthenticator(
  outbox: Outbox,
  admin: { token: string | null; userId: string | null },
): (token: string) => Promise<Caller | null> {
  const adminHash = admin.token === null ? null : hashOf(admin.token)
  return async token => {
    const hash = hashOf(token)
    if (adminHash && timingSafeEqual(adminHash, hash))
      return { name: 'WALHOOK_ADMIN_TOKEN', userId: admin.userId, role: 'admin' }
    const holder = token.startsWith(prefix) ? await useToken(outbox, hash) : null
    return holder && { ...holder, role: 'admin' }
  }
}

function hashOf(token: string): Buffer {
  return createHash('sha256').update(token).digest()
}
