import { createHmac, timingSafeEqual } from 'node:crypto'

/** The prefixes of tokens, session ids and links. */
export type CredentialPrefix = 'whk_' | 'whs_' | 'whl_'

/**
 * What a credential's text shows without a query. None of these means that it is valid.
 *
 * - `holder`: walhook issued it; all its requests count under `key`
 * - `perhaps`: an older version may have issued it
 * - `invented`: walhook never issued it
 */
export type Claim =
  | { readonly is: 'holder'; readonly key: string }
  | { readonly is: 'perhaps' }
  | { readonly is: 'invented' }

export const randomBytesOfCredential = 26
const checksumBytes = 6

/** A token or session id: its prefix, 208 random bits and their checksum, in 43 characters. */
export function writeCredential(prefix: CredentialPrefix, random: Buffer, checksumKey: Buffer): string {
  const start = prefix + random.toString('base64url')
  return start + checksumOf(start, checksumKey).toString('base64url')
}

/** Classifies a credential by its text alone, never its validity. */
export function classifyCredential(
  prefix: CredentialPrefix,
  text: string,
  checksumKey: Buffer,
): 'ours' | 'perhaps old' | 'not ours' {
  if (text.length !== prefix.length + 43 || !text.startsWith(prefix) || !/^[\w-]+$/.test(text))
    return 'not ours'
  const found = Buffer.from(text.slice(-8), 'base64url')
  return timingSafeEqual(found, checksumOf(text.slice(0, -8), checksumKey)) ? 'ours' : 'perhaps old'
}

function checksumOf(text: string, key: Buffer): Buffer {
  return createHmac('sha256', key).update(text).digest().subarray(0, checksumBytes)
}
