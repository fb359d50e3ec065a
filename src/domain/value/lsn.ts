/**
 * A position in the write-ahead log: a 64-bit byte offset, bigint inside and `16/B374D848` outside.
 * https://www.postgresql.org/docs/current/datatype-pg-lsn.html
 */
export type Lsn = bigint

const pattern = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/

/** Parses `16/B374D848`, with or without leading zeros. Throws a RangeError on any other text. */
export function parseLsn(text: string): Lsn {
  const match = pattern.exec(text)
  if (!match) throw new RangeError(`not an LSN: ${JSON.stringify(text)}; it looks like 16/B374D848`)
  return (BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`)
}

/** Formats an LSN like Postgres: two upper-case hexadecimal halves without leading zeros. */
export function formatLsn(lsn: Lsn): string {
  return `${(lsn >> 32n).toString(16)}/${(lsn & 0xffff_ffffn).toString(16)}`.toUpperCase()
}

export function earliest(first: Lsn, ...others: readonly Lsn[]): Lsn {
  let earliest = first
  for (const lsn of others) if (lsn < earliest) earliest = lsn
  return earliest
}
