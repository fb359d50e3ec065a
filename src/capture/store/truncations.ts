import type { PoolClient } from 'pg'
import type { TimeId } from '../../domain/value/time-id.ts'
import { knownEntityPages } from '../../outbox/source/gaps.ts'
import type { Emptied } from '../map/map.ts'
import type { EventText } from '../map/write-event.ts'

const pageSize = 1_000

/**
 * What the TRUNCATEs of one transaction of the source leave to do at its end: a `delete` for every entity that is
 * known by its events, and has none of this transaction after the TRUNCATE. (What came before it in the same chunk was
 * folded together with it.) An entity that the transaction then inserts again is `new`, without a `delete` before.
 */
export function createTruncations() {
  const pending = new Map<string, { emptied: Emptied; upToId: TimeId }>()
  return {
    isPending: () => pending.size > 0,
    /** `upToId`: the last event before the chunk that held the TRUNCATE. */
    add(all: readonly Emptied[], upToId: TimeId) {
      for (const emptied of all) pending.set(emptied.entityType, { emptied, upToId })
    },
    /** The deletes, in pages; `client` is in the transaction that holds the events so far. */
    async *deletions(client: PoolClient): AsyncGenerator<EventText[]> {
      for (const [entityType, { emptied, upToId }] of pending)
        for await (const known of knownEntityPages(client, entityType, { upToId, pageSize }))
          yield known.map(emptied.deletionOf)
      pending.clear()
    },
  }
}

export type Truncations = ReturnType<typeof createTruncations>
