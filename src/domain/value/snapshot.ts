/**
 * The visibility of a statement, as `pg_current_snapshot()` writes it: transactions below `xmin` have ended; those from
 * `xmax` on, and those in `running`, are invisible.
 * https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-PG-SNAPSHOT
 */
export type Snapshot = {
  readonly xmin: bigint
  readonly xmax: bigint
  readonly running: ReadonlySet<bigint>
}

/** Parses `10:20:10,14,15`. Throws on anything else. */
export function parseSnapshot(text: string): Snapshot {
  const match = /^(\d+):(\d+):([\d,]*)$/.exec(text)
  if (!match) throw new Error(`${JSON.stringify(text)} is no snapshot`)
  const running = match[3] === '' ? [] : match[3]!.split(',').map(BigInt)
  return { xmin: BigInt(match[1]!), xmax: BigInt(match[2]!), running: new Set(running) }
}

/** Whether a snapshot sees a committed transaction, by its 64-bit id. */
export function sees({ xmax, running }: Snapshot, xid: bigint): boolean {
  return xid < xmax && !running.has(xid)
}

const wrap = 2n ** 32n

/** Extends the lower 32 bits of a transaction id, as in the stream, to the 64-bit id nearest to `near`. */
export function widenXid(xid: number, near: bigint): bigint {
  const wide = near - (near % wrap) + BigInt(xid)
  if (wide - near > wrap / 2n && wide >= wrap) return wide - wrap
  return near - wide > wrap / 2n ? wide + wrap : wide
}
