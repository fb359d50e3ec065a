import { createHash } from 'node:crypto'
import type { Lsn } from '../../domain/value/lsn.ts'

/** The entities of which earlier chunks of a transaction have brought a row. May say so of others too. */
export type Arrivals = { has(id: string): boolean; add(id: string): void }

const bits = 2 ** 23

/**
 * Remembers, while a transaction comes in chunks, which entities have got a row in those before: a DELETE that
 * follows may be of another row with the same key, which its statement had not taken away yet. A Bloom filter,
 * made when first needed: what it says of an entity too many costs a look at the table. It takes 1 MB, however large the
 * transaction is.
 */
export function openArrivals() {
  let at: { commitLsn: Lsn; arrivals: Arrivals } | null = null
  return {
    /** What is remembered of a transaction; null where there is nothing to remember. */
    of(commitLsn: Lsn, isWhole: boolean): Arrivals | null {
      if (at?.commitLsn !== commitLsn) at = isWhole ? null : { commitLsn, arrivals: createArrivals() }
      return at?.arrivals ?? null
    },
  }
}

function createArrivals(): Arrivals {
  const filter = new Uint8Array(bits / 8)
  return {
    has: id => placesOf(id).every(place => (filter[place >> 3]! & (1 << (place & 7))) !== 0),
    add(id) {
      for (const place of placesOf(id)) filter[place >> 3]! |= 1 << (place & 7)
    },
  }
}

function placesOf(id: string): number[] {
  const hash = createHash('md5').update(id).digest()
  return [0, 4, 8].map(from => hash.readUInt32BE(from) % bits)
}
