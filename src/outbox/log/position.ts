import type pg from 'pg'
import { formatLsn, type Lsn, parseLsn } from '../../domain/value/lsn.ts'
import type { TimeId } from '../../domain/value/time-id.ts'
import type { Outbox } from '../database/database.ts'
import { fields } from '../database/fields.ts'

/** The stored progress of a slot. */
export type Position = {
  /** The captured Postgres cluster: changes of another one can't follow. */
  readonly systemIdentifier: string
  /** Every transaction up to this commit is in the outbox. */
  readonly commitLsn: Lsn
  /** The furthest confirmed position of the slot; null: an older walhook did not record it. */
  readonly confirmedLsn: Lsn | null
  readonly lastEventId: TimeId
  /** The end of the WAL when events last took values from tables; null: never. */
  readonly readLsn: Lsn | null
}

/** The position of a slot, or null: never captured into this outbox. */
export async function readPosition(outbox: Outbox, slotName: string): Promise<Position | null> {
  const { rows } = await outbox.pool.query(
    `select system_identifier, commit_lsn, confirmed_lsn, last_event_id, read_lsn from walhook.positions where slot_name = $1`,
    [slotName],
  )
  const [row] = rows
  const orNull = (lsn: string | null) => (lsn === null ? null : parseLsn(lsn))
  return row
    ? {
        ...fields<Position>(row),
        commitLsn: parseLsn(row.commit_lsn),
        confirmedLsn: orNull(row.confirmed_lsn),
        readLsn: orNull(row.read_lsn),
      }
    : null
}

/** The newest event that an outbox has, or has left out; 0: none. */
export async function headOf({ pool }: Pick<Outbox, 'pool'>): Promise<TimeId> {
  const { rows } = await pool.query('select coalesce(max(last_event_id), 0) as head from walhook.positions')
  return rows[0].head
}

/** Whether a slot was captured into this outbox, which may be unmigrated. */
export async function hasPosition(db: pg.Pool, slotName: string): Promise<boolean> {
  const { rows } = await db.query(`select to_regclass('walhook.positions') is not null as exists`)
  if (!rows[0].exists) return false
  return (await db.query('select 1 from walhook.positions where slot_name = $1', [slotName])).rowCount === 1
}

/**
 * Records the start of a slot's capture. An existing position stays; another slot's is refused by `positions_only_one`: one
 * process appends to an outbox, so that ids rise in commit order.
 */
export async function createPosition(
  db: pg.Pool | pg.PoolClient,
  slotName: string,
  start: { systemIdentifier: string; commitLsn: Lsn },
): Promise<void> {
  await db.query(
    `insert into walhook.positions (slot_name, system_identifier, commit_lsn, confirmed_lsn) values ($1, $2, $3, $3)
     on conflict (slot_name) do nothing`,
    [slotName, start.systemIdentifier, formatLsn(start.commitLsn)],
  )
}

/**
 * Records that the slot is confirmed at most up to `confirmedLsn`, if the position is `commitLsn`. False: another process
 * captures now.
 */
export async function noteConfirmed(
  outbox: Outbox,
  slotName: string,
  at: { commitLsn: Lsn; confirmedLsn: Lsn },
): Promise<boolean> {
  const { rowCount } = await outbox.pool.query(
    `update walhook.positions set confirmed_lsn = $3, updated_at = now()
     where slot_name = $1 and commit_lsn = $2`,
    [slotName, formatLsn(at.commitLsn), formatLsn(at.confirmedLsn)],
  )
  return rowCount === 1
}

/** Restarts a slot's position at `commitLsn` in this cluster. Ids continue to rise. */
export async function restartPosition(
  db: pg.PoolClient,
  slotName: string,
  start: { systemIdentifier: string; commitLsn: Lsn },
): Promise<TimeId> {
  const { rows } = await db.query(
    `update walhook.positions
     set system_identifier = $2, commit_lsn = $3, confirmed_lsn = $3, read_lsn = null, updated_at = now()
     where slot_name = $1 returning last_event_id`,
    [slotName, start.systemIdentifier, formatLsn(start.commitLsn)],
  )
  return rows[0].last_event_id
}

/** The other slots captured into this outbox. */
export async function otherSlots(db: pg.Pool | pg.PoolClient, slotName: string): Promise<string[]> {
  const { rows } = await db.query(
    'select slot_name from walhook.positions where slot_name <> $1 order by 1',
    [slotName],
  )
  return rows.map(row => row.slot_name)
}

/** Resets the confirmed position to `lsn`, since the WAL after it was replaced. */
export async function takeBackNote(outbox: Outbox, slotName: string, lsn: Lsn): Promise<void> {
  await outbox.pool.query(
    'update walhook.positions set confirmed_lsn = $2 where slot_name = $1 and confirmed_lsn > $2',
    [slotName, formatLsn(lsn)],
  )
}

/** Renames a slot in the outbox, with its position and records. */
export async function renameSlot(client: pg.PoolClient, from: string, to: string): Promise<void> {
  for (const table of ['positions', 'gaps', 'backfills', 'resyncs'])
    await client.query(`update walhook.${table} set slot_name = $2 where slot_name = $1`, [from, to])
}
