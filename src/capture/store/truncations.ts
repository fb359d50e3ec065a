import type { PoolClient } from 'pg'
import type { TimeId } from '../../domain/value/time-id.ts'
import { knownEntityPages } from '../../outbox/source/gaps.ts'
import type { Emptied } from '../map/map.ts'
import type { EventText } from '../map/write-event.ts'

const pageSize = 1_000

/**
 * The deletes at the end of a transaction with TRUNCATE: one for every entity known from events without an event after the
 * TRUNCATE. (Earlier changes in the same chunk are folded with it.) An entity that is then inserted again is `new`, without a
 * `delete`.
 */
export function createTruncations() {
  const pending = new Map<string, { emptied: Emptied; upToId: TimeId }>()
  return {
    isPending: () => pending.size > 0,
    /** `upToId`: the last event before the TRUNCATE's chunk. */
    add(all: readonly Emptied[], upToId: TimeId) {
      for (const emptied of all) pending.set(emptied.entityType, { emptied, upToId })
    },
    /** The deletes, in pages; `client` is in the transaction of the events so far. */
    async *deletions(client: PoolClient): AsyncGenerator<EventText[]> {
      for (const [entityType, { emptied, upToId }] of pending)
        for await (const known of knownEntityPages(client, entityType, { upToId, pageSize }))
          yield known.map(emptied.deletionOf)
      pending.clear()
    },
  }
}

export type Truncations = ReturnType<typeof createTruncations>
