import { createHash } from 'node:crypto'
import type { Lsn } from '../../domain/value/lsn.ts'

/** The entities with a row in earlier chunks of a transaction. False positives are possible. */
export type Arrivals = { has(id: string): boolean; add(id: string): void }

const bits = 2 ** 23

/**
 * Records which entities got a row in earlier chunks of a transaction: a later DELETE may be of another row with the same
 * key, from before the statement. A Bloom filter of 1 MB, created on demand; a false positive costs one read of the table.
 */
export function openArrivals() {
  let at: { commitLsn: Lsn; arrivals: Arrivals } | null = null
  return {
    /** The record of a transaction; null: not needed. */
    of(commitLsn: Lsn, isWhole: boolean): Arrivals | null {
      if (at?.commitLsn !== commitLsn) at = isWhole ? null : { commitLsn, arrivals: createArrivals() }
      return at?.arrivals ?? null
    },
  }
}

function createArrivals(): Arrivals {
  const filter = new Uint8Array(bits / 8)
  return {
    has: id => bitsOf(id).every(bit => (filter[bit >> 3]! & (1 << (bit & 7))) !== 0),
    add(id) {
      for (const bit of bitsOf(id)) filter[bit >> 3]! |= 1 << (bit & 7)
    },
  }
}

function bitsOf(id: string): number[] {
  const hash = createHash('md5').update(id).digest()
  return [0, 4, 8].map(from => hash.readUInt32BE(from) % bits)
}
