import { createCipheriv, createDecipheriv, createHash } from 'node:crypto'

/**
 * 32 bytes that encrypt secrets at rest, and the short id in their envelopes. `older`, the key before this one, only opens
 * envelopes.
 */
export type SealKey = {
  readonly id: string
  readonly bytes: Buffer
  readonly older?: Pick<SealKey, 'id' | 'bytes'> | null
}

export const nonceBytes = 12
const tagBytes = 16

/** Parses a key of 32 bytes in base64; null: invalid. */
export function parseSealKey(base64: string): SealKey | null {
  const bytes = Buffer.from(base64, 'base64')
  if (bytes.length !== 32 || bytes.toString('base64').replace(/=+$/, '') !== base64.replace(/=+$/, ''))
    return null
  return { id: createHash('sha256').update(bytes).digest('hex').slice(0, 8), bytes }
}

/**
 * Encrypts with AES-256-GCM into `v1:<key id>:<base64 of nonce, ciphertext and tag>`. `nonce` is 12 random bytes, unique per
 * key. Opening needs the same `purpose`, so an envelope can't be moved elsewhere.
 * https://nvlpubs.nist.gov/nistpubs/Legacy/SP/nistspecialpublication800-38d.pdf
 */
export function seal(key: SealKey, purpose: string, text: string, nonce: Uint8Array): string {
  const cipher = createCipheriv('aes-256-gcm', key.bytes, nonce).setAAD(Buffer.from(purpose))
  const sealed = Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()])
  return `v1:${key.id}:${sealed.toString('base64')}`
}

export type Opened =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly reason: string }

/** Opens an envelope, or says why not, without its content. */
export function unseal(key: SealKey, purpose: string, envelope: string): Opened {
  const [, keyId, base64] = /^v1:([0-9a-f]+):([A-Za-z0-9+/]+=*)$/.exec(envelope) ?? []
  const bytes = Buffer.from(base64 ?? '', 'base64')
  if (bytes.length < nonceBytes + tagBytes) return { ok: false, reason: 'it is not a sealed secret' }
  const maker = [key, key.older].find(one => one?.id === keyId)
  if (!maker)
    return {
      ok: false,
      reason: `it was sealed with the key ${keyId}, but WALHOOK_SECRET_KEY is the key ${key.id}: start walhook with the key that it was made with, at least as WALHOOK_SECRET_KEY_OLD`,
    }
  try {
    const decipher = createDecipheriv('aes-256-gcm', maker.bytes, bytes.subarray(0, nonceBytes))
    decipher.setAAD(Buffer.from(purpose)).setAuthTag(bytes.subarray(-tagBytes))
    const text =
      decipher.update(bytes.subarray(nonceBytes, -tagBytes), undefined, 'utf8') + decipher.final('utf8')
    return { ok: true, text }
  } catch {
    return { ok: false, reason: 'it was changed since it was sealed, or belongs to something else' }
  }
}

/** The key id of an envelope; null: no envelope. */
export function keyIdOf(envelope: string): string | null {
  return /^v1:([0-9a-f]+):/.exec(envelope)?.[1] ?? null
}
