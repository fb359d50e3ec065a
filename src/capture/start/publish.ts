import type { EntityMapping } from '../../domain/mapping/mapping.ts'
import type { SourceFacts } from '../source/preflight-verdict.ts'
import { createPublication } from '../source/publication-verdict.ts'
import type { Queryable } from '../source/source.ts'
import { isTimeout, lockedProblem, readLockHolders, SourceLocked } from '../source/source-locks.ts'

const lockTimeoutMs = 5_000

/**
 * Makes the publication, which needs a lock of each table that an ALTER TABLE holds for as long as it is open. Throws
 * `SourceLocked` where that takes long: whoever waits for a lock is in the way of others.
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
