import type { Client } from 'pg'
import { type Silence, type Table, underUsualKey } from './tables.ts'

export type Row = Readonly<Record<string, unknown>>

/** One row of the journal, with the commit of the transaction that wrote it; with no row, the table was emptied. */
export type Entry = {
  readonly commitLsn: bigint
  readonly table: Table
  readonly old: Row | null
  readonly new: Row | null
  readonly silence?: Silence
}

/** A slot of the test's own: it says which transaction committed when, and is never touched by an operation. */
export const witnessSlot = (database: string) => `${database}_witness`.slice(0, 63)

export async function openWitness(client: Client, database: string): Promise<void> {
  await client.query(`select pg_create_logical_replication_slot($1, 'pgoutput')`, [witnessSlot(database)])
}

/**
 * The journal's entries after a commit, in the order of their commits. Read by hand from pgoutput's messages and not
 * by walhook's decoder, which is under test. A slot goes back when Postgres crashes: what comes again is left away.
 * https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html
 */
export async function readJournal(client: Client, database: string, after: bigint): Promise<Entry[]> {
  const { rows } = await client.query(
    `select data from pg_logical_slot_get_binary_changes($1, null, null,
       'proto_version', '1', 'publication_names', 'chaos_journal')`,
    [witnessSlot(database)],
  )
  const entries: Entry[] = []
  let commitLsn = 0n
  for (const { data } of rows as { data: Buffer }[]) {
    const kind = String.fromCharCode(data[0]!)
    if (kind === 'B') commitLsn = data.readBigUInt64BE(1)
    if (kind !== 'I' || commitLsn <= after) continue
    // Tag, relation, 'N' and the number of columns come before the first column, `seq`.
    const [, entry] = readTuple(data, 8)
    const { old, new: row, ...rest } = JSON.parse(entry!)
    entries.push({ commitLsn, ...rest, old: underUsualKey(old), new: underUsualKey(row) })
  }
  return entries
}

function readTuple(data: Buffer, start: number): string[] {
  const values: string[] = []
  for (let at = start; at < data.length; ) {
    const length = data.readInt32BE(at + 1)
    values.push(data.toString('utf8', at + 5, at + 5 + length))
    at += 5 + length
  }
  return values
}
