import { createHash, createHmac } from 'node:crypto'
import {
  type Claim,
  type CredentialPrefix,
  classifyCredential,
  randomBytesOfCredential,
  writeCredential,
} from '../../domain/access/credential.ts'
import type { SealKey } from '../../domain/webhook/seal.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import {
  readChecksumKey,
  sessionsWithoutChecksum,
  tokensWithoutChecksum,
} from '../../outbox/records/checksums.ts'
import { shared } from '../../runtime/shared.ts'
import type { Caller, Control } from '../kit/control.ts'

/** Old hashes are read again at most once per interval, however many tokens are tried. */
const oldKeptMs = 1_000

const maxKnown = 10_000

/** The key of a caller's rate limit, for API and pages together: all callers of a tenant share one. */
export function holderKey({ tokenId, tenant, subject }: Pick<Caller, 'tokenId' | 'tenant' | 'subject'>) {
  if (tenant !== null) return `tenant ${tenant}`
  return subject === undefined ? `token ${tokenId ?? 'of the configuration'}` : `subject ${subject}`
}

/** The SHA-256 of a token or session id, the only stored form. */
export function hashOf(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

/** The stored form of the configured token, keyed: unlike walhook's own tokens, it might be guessed from a plain hash. */
export function macOf(sealKey: SealKey, adminToken: string | null): Buffer | null {
  return adminToken === null ? null : createHmac('sha256', sealKey.bytes).update(adminToken).digest()
}

/** Creates a token, session id or link. */
export async function newCredential(
  { outbox, randomBytes }: Pick<Control, 'outbox' | 'randomBytes'>,
  prefix: CredentialPrefix,
): Promise<string> {
  return writeCredential(prefix, randomBytes(randomBytesOfCredential), await readChecksumKey(outbox))
}

type KnownCredentials = {
  /** What the text shows: possibly one of ours, and its last known holder. */
  readonly classify: (text: string) => Claim
  /** Stores that a text belongs to a holder: from now on it counts as theirs. */
  readonly note: (text: string, holder: Pick<Caller, 'tokenId' | 'tenant' | 'subject'>) => void
  /** Whether a text is worth a query: it has our checksum, or may be an old one without. */
  readonly isWorthAQuery: (text: string) => Promise<boolean>
}

/**
 * Separates issued tokens and session ids from invented ones, for the price of a hash. Old ones without a checksum are known
 * by their hashes, which are read at most once a second.
 */
export function createKnownCredentials(outbox: Outbox, prefix: CredentialPrefix): KnownCredentials {
  const readOld = prefix === 'whk_' ? tokensWithoutChecksum : sessionsWithoutChecksum
  const oldHashes = shared(
    oldKeptMs,
    () => performance.now(),
    async () => new Set((await readOld(outbox)).map(hash => hash.toString('base64'))),
  )
  let key: Buffer | null = null
  const readKey = shared(
    Number.POSITIVE_INFINITY,
    () => 0,
    async () => {
      key = await readChecksumKey(outbox)
      return key
    },
  )

  /** Holder by text. Evicted texts count alone until they are found again. */
  const known = new Map<string, string>()

  return {
    classify(text) {
      const verdict = key === null ? 'perhaps old' : classifyCredential(prefix, text, key)
      if (verdict === 'not ours' || !text.startsWith(prefix)) return { is: 'invented' }
      const holder = known.get(text)
      if (holder !== undefined) return { is: 'holder', key: holder }
      return verdict === 'ours' ? { is: 'holder', key: text } : { is: 'perhaps' }
    },

    note(text, holder) {
      known.delete(text)
      known.set(text, holderKey(holder))
      if (known.size > maxKnown) known.delete(known.keys().next().value!)
    },

    async isWorthAQuery(text) {
      if (!text.startsWith(prefix)) return false
      const verdict = classifyCredential(prefix, text, await readKey())
      if (verdict !== 'perhaps old') return verdict === 'ours'
      return (await oldHashes()).has(hashOf(text).toString('base64'))
    },
  }
}
