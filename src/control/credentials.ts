import { createHash } from 'node:crypto'
import {
  type CredentialPrefix,
  judgeCredential,
  randomBytesOfCredential,
  writeCredential,
} from '../domain/credential.ts'
import { readChecksumKey, sessionsWithoutChecksum, tokensWithoutChecksum } from '../outbox/checksums.ts'
import type { Outbox } from '../outbox/database.ts'
import { shared } from '../runtime/shared.ts'
import type { Control } from './control.ts'

/** Old ones are read again at most so often, however many texts are tried. */
const oldKeptMs = 1_000

/** The SHA-256 of a token or a session's id: all that is stored of it. */
export function hashOf(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

/** Makes a new token or id of a session. */
export async function newCredential(
  { outbox, randomBytes }: Pick<Control, 'outbox' | 'randomBytes'>,
  prefix: CredentialPrefix,
): Promise<string> {
  return writeCredential(prefix, randomBytes(randomBytesOfCredential), await readChecksumKey(outbox))
}

export type CredentialJudge = {
  /** Whether it may be one of ours, as far as can be told without a query. */
  readonly isPlausible: (text: string) => boolean
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

  return {
    isPlausible: text =>
      key === null ? text.startsWith(prefix) : judgeCredential(prefix, text, key) !== 'not ours',

    async isWorthAQuery(text) {
      if (!text.startsWith(prefix)) return false
      const verdict = judgeCredential(prefix, text, await readKey())
      if (verdict !== 'perhaps old') return verdict === 'ours'
      return (await oldHashes()).has(hashOf(text).toString('base64'))
    },
  }
}
