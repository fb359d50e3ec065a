import { createHash, createHmac } from 'node:crypto'
import {
  type Claim,
  type CredentialPrefix,
  judgeCredential,
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

/** Old ones are read again at most so often, however many texts are tried. */
const oldKeptMs = 1_000

const mostKnown = 10_000

/** Under what the calls of a token's holder count, by the API and by pages together: those of a tenant as one. */
export function holderKey({ tokenId, tenant, subject }: Pick<Caller, 'tokenId' | 'tenant' | 'subject'>) {
  if (tenant !== null) return `tenant ${tenant}`
  return subject === undefined ? `token ${tokenId ?? 'of the configuration'}` : `subject ${subject}`
}

/** The SHA-256 of a token or a session's id: all that is stored of it. */
export function hashOf(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

/** By what a configured token is known, without being stored: unlike our own tokens, it may be guessed by who reads the table. */
export function macOf(sealKey: SealKey, adminToken: string | null): Buffer | null {
  return adminToken === null ? null : createHmac('sha256', sealKey.bytes).update(adminToken).digest()
}

/** Makes a new token, id of a session, or link. */
export async function newCredential(
  { outbox, randomBytes }: Pick<Control, 'outbox' | 'randomBytes'>,
  prefix: CredentialPrefix,
): Promise<string> {
  return writeCredential(prefix, randomBytes(randomBytesOfCredential), await readChecksumKey(outbox))
}

export type CredentialJudge = {
  /** Whether it may be one of ours, and whose it was found to be before. */
  readonly judge: (text: string) => Claim
  /** It was found to be the holder's: from now on all of theirs count as one. */
  readonly note: (text: string, holder: Pick<Caller, 'tokenId' | 'tenant' | 'subject'>) => void
  /** Whether it is worth a query: it has our checksum, or it is one of those that have none. */
  readonly isWorthAQuery: (text: string) => Promise<boolean>
}

/**
 * Tells tokens or sessions that walhook has made from those that somebody makes up, at the price of a hash. Those without
 * a checksum, made by a version before, are known by their hashes, which are read once in a second at most.
 */
export function createCredentialJudge(outbox: Outbox, prefix: CredentialPrefix): CredentialJudge {
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

  /** By the text: whose it is. Forgotten ones count by themselves until they are found again. */
  const known = new Map<string, string>()

  return {
    judge(text) {
      const verdict = key === null ? 'perhaps old' : judgeCredential(prefix, text, key)
      if (verdict === 'not ours' || !text.startsWith(prefix)) return { is: 'invented' }
      const holder = known.get(text)
      if (holder !== undefined) return { is: 'holder', key: holder }
      return verdict === 'ours' ? { is: 'holder', key: text } : { is: 'perhaps' }
    },

    note(text, holder) {
      known.delete(text)
      known.set(text, holderKey(holder))
      if (known.size > mostKnown) known.delete(known.keys().next().value!)
    },

    async isWorthAQuery(text) {
      if (!text.startsWith(prefix)) return false
      const verdict = judgeCredential(prefix, text, await readKey())
      if (verdict !== 'perhaps old') return verdict === 'ours'
      return (await oldHashes()).has(hashOf(text).toString('base64'))
    },
  }
}
