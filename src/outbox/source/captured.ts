import type pg from 'pg'
import type { Captured } from '../../domain/capture/captured.ts'
import { formatLsn, type Lsn, parseLsn } from '../../domain/value/lsn.ts'
import type { Outbox } from '../database/database.ts'

/** A slot's captured tables, and the end of the source's WAL at that time. */
export type Remembered = {
  readonly captured: Captured
  readonly seenLsn: Lsn
  /** Every transaction of the source below this id had ended; null: recorded by an older walhook. */
  readonly seenXid: string | null
}

/** The record of a slot; null: none since an older walhook began. */
export async function readRemembered(outbox: Outbox, slotName: string): Promise<Remembered | null> {
  const { rows } = await outbox.pool.query(
    'select facts, seen_lsn, seen_xid::text as seen_xid from walhook.captured where slot_name = $1',
    [slotName],
  )
  if (!rows[0]) return null
  const { facts, seen_lsn, seen_xid } = rows[0]
  return { captured: facts, seenLsn: parseLsn(seen_lsn), seenXid: seen_xid }
}

/** Replaces the record of a slot. */
export async function remember(
  db: pg.Pool | pg.PoolClient,
  slotName: string,
  { captured, seenLsn, seenXid }: Remembered,
): Promise<void> {
  await db.query(
    `insert into walhook.captured (slot_name, facts, seen_lsn, seen_xid) values ($1, $2, $3, $4)
     on conflict (slot_name) do update
     set facts = excluded.facts, seen_lsn = excluded.seen_lsn, seen_xid = excluded.seen_xid, seen_at = now()`,
    [slotName, JSON.stringify(captured), formatLsn(seenLsn), seenXid],
  )
}

/** Records until when it was valid, unless another process replaced it. */
export async function noteSeen(
  outbox: Outbox,
  slotName: string,
  { captured, seenLsn, seenXid }: Remembered,
): Promise<void> {
  await outbox.pool.query(
    `update walhook.captured set seen_lsn = $3, seen_xid = $4, seen_at = now()
     where slot_name = $1 and facts = $2 and seen_lsn < $3`,
    [slotName, JSON.stringify(captured), formatLsn(seenLsn), seenXid],
  )
}
