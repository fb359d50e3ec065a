/**
 * What a statement of Postgres sees, as `pg_current_snapshot()` writes it: transactions before `xmin` have ended; those
 * from `xmax` on, and those of `running`, are not seen.
 * https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-PG-SNAPSHOT
 */
export type Snapshot = {
  readonly xmin: bigint
  readonly xmax: bigint
  readonly running: ReadonlySet<bigint>
}

/** Reads `10:20:10,14,15`. Throws on anything else. */
export function parseSnapshot(text: string): Snapshot {
  const match = /^(\d+):(\d+):([\d,]*)$/.exec(text)
  if (!match) throw new Error(`${JSON.stringify(text)} is no snapshot`)
  const running = match[3] === '' ? [] : match[3]!.split(',').map(BigInt)
  return { xmin: BigInt(match[1]!), xmax: BigInt(match[2]!), running: new Set(running) }
}

/** Whether a snapshot sees what a transaction did that has committed, given its id in 64 bits. */
export function sees({ xmax, running }: Snapshot, xid: bigint): boolean {
  return xid < xmax && !running.has(xid)
}

const wrap = 2n ** 32n

/** A transaction's id in 64 bits, of which the stream gives the lower 32: the one that is nearest to `near`. */
export function widenXid(xid: number, near: bigint): bigint {
  const wide = near - (near % wrap) + BigInt(xid)
  if (wide - near > wrap / 2n && wide >= wrap) return wide - wrap
  return near - wide > wrap / 2n ? wide + wrap : wide
}
