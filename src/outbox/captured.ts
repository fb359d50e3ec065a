import type pg from 'pg'
import type { Captured } from '../domain/captured.ts'
import { formatLsn, type Lsn, parseLsn } from '../domain/lsn.ts'
import type { Outbox } from './database.ts'

/** What a slot captures, and where the source's WAL ended when that was last seen. */
export type Remembered = { readonly captured: Captured; readonly seenLsn: Lsn }

/** What is remembered of a slot; null where an older walhook began to capture it, and nobody has looked since. */
export async function readRemembered(outbox: Outbox, slotName: string): Promise<Remembered | null> {
  const { rows } = await outbox.pool.query(
    'select facts, seen_lsn from walhook.captured where slot_name = $1',
    [slotName],
  )
  return rows[0] ? { captured: rows[0].facts, seenLsn: parseLsn(rows[0].seen_lsn) } : null
}

/** Remembers what a slot captures, in place of what was remembered before. */
export async function remember(
  db: pg.Pool | pg.PoolClient,
  slotName: string,
  { captured, seenLsn }: Remembered,
): Promise<void> {
  await db.query(
    `insert into walhook.captured (slot_name, facts, seen_lsn) values ($1, $2, $3)
     on conflict (slot_name) do update set facts = excluded.facts, seen_lsn = excluded.seen_lsn, seen_at = now()`,
    [slotName, JSON.stringify(captured), formatLsn(seenLsn)],
  )
}

/** Notes until when what is remembered was so, unless another process remembers something else by now. */
export async function noteSeen(
  outbox: Outbox,
  slotName: string,
  { captured, seenLsn }: Remembered,
): Promise<void> {
  await outbox.pool.query(
    'update walhook.captured set seen_lsn = $3, seen_at = now() where slot_name = $1 and facts = $2 and seen_lsn < $3',
    [slotName, JSON.stringify(captured), formatLsn(seenLsn)],
  )
}
