import { createHmac, timingSafeEqual } from 'node:crypto'

/** What tokens, the ids of sessions and links begin with. */
export type CredentialPrefix = 'whk_' | 'whs_' | 'whl_'

/**
 * What a token or the id of a session tells without a query: `holder`, it is ours, and all that its holder asks counts under
 * `key`; `perhaps`, it may be one of a version before; `invented`, it is none of ours. None of it says that it is valid.
 */
export type Claim =
  | { readonly is: 'holder'; readonly key: string }
  | { readonly is: 'perhaps' }
  | { readonly is: 'invented' }

export const randomBytesOfCredential = 26
const checksumBytes = 6

/** A token or the id of a session: its prefix, 208 random bits and their checksum, in 43 characters. */
export function writeCredential(prefix: CredentialPrefix, random: Buffer, checksumKey: Buffer): string {
  const start = prefix + random.toString('base64url')
  return start + checksumOf(start, checksumKey).toString('base64url')
}

/**
 * What a text is, by itself: one that walhook made; one that it may have made before there were checksums; or nothing of
 * walhook's. It says nothing about whether it is valid.
 */
export function judgeCredential(
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
