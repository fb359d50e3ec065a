import type { EntityMapping } from '../../domain/mapping/mapping.ts'
import type { Queryable } from '../source/source.ts'
import { isTimeout, lockedProblem, readLockHolders, SourceLocked } from '../source/source-locks.ts'
import type { SourceFacts } from '../verdict/preflight-verdict.ts'
import { createPublication } from '../verdict/publication-verdict.ts'

const lockTimeoutMs = 5_000

/**
 * Creates the publication, which waits for every open ALTER TABLE. Throws `SourceLocked` after a short wait, since waiting
 * for a lock blocks others.
 */
export async function publish(
  client: Queryable,
  publicationName: string,
  mapping: readonly EntityMapping[],
  facts: Pick<SourceFacts, 'serverVersion'>,
): Promise<void> {
  await client.query(`set lock_timeout = ${lockTimeoutMs}`)
  try {
    await client.query(createPublication(publicationName, mapping, facts))
  } catch (error) {
    if (!isTimeout(error)) throw error
    const what = `publication ${publicationName}, which needs a lock of its tables`
    throw new SourceLocked(lockedProblem(what, await readLockHolders(client, null)))
  } finally {
    await client.query('set lock_timeout = 0').catch(() => {})
  }
}
