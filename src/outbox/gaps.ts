import type pg from 'pg'
import { formatLsn, type Lsn, parseLsn } from '../domain/lsn.ts'
import type { TimeId } from '../domain/time-id.ts'
import type { Outbox } from './database.ts'

/** A range of the WAL whose changes could not be captured. */
export type Gap = {
  readonly id: number
  readonly slotName: string
  readonly reason: string
  readonly detail: string
  readonly fromLsn: Lsn
  /** From here on everything is captured, and a resync tells what was lost; null: it has not begun. */
  readonly toLsn: Lsn | null
  readonly foundAt: Date
  readonly resyncedAt: Date | null
}

/**
 * Records a gap of a slot, unless one is open already; one whose resync is under way is then open again: changes are lost
 * once more. Returns whether that is news.
 */
export async function openGap(
  outbox: Outbox,
  gap: Pick<Gap, 'slotName' | 'reason' | 'detail' | 'fromLsn'>,
): Promise<boolean> {
  const { rowCount } = await outbox.pool.query(
    `insert into walhook.gaps (slot_name, reason, detail, from_lsn) values ($1, $2, $3, $4)
     on conflict (slot_name) where resynced_at is null do update
     set to_lsn = null, reason = excluded.reason, detail = excluded.detail where gaps.to_lsn is not null`,
    [gap.slotName, gap.reason, gap.detail, formatLsn(gap.fromLsn)],
  )
  return rowCount === 1
}

/** A slot's gaps, the newest first. */
export async function listGaps(outbox: Outbox, slotName: string): Promise<Gap[]> {
  const { rows } = await outbox.pool.query(
    'select * from walhook.gaps where slot_name = $1 order by id desc limit 100',
    [slotName],
  )
  return rows.map(row => ({
    id: row.id,
    slotName: row.slot_name,
    reason: row.reason,
    detail: row.detail,
    fromLsn: parseLsn(row.from_lsn),
    toLsn: row.to_lsn === null ? null : parseLsn(row.to_lsn),
    foundAt: row.found_at,
    resyncedAt: row.resynced_at,
  }))
}

/**
 * The entities of a type that receivers know by the events that are still here, those not deleted last, without those that
 * have an event above `upToId`; in pages of at most `pageSize`: read through a cursor
 * inside the client's transaction, so that memory holds one page, whatever is appended meanwhile.
 */
export async function* knownEntityPages(
  client: pg.PoolClient,
  entityType: string,
  options: { upToId: TimeId; pageSize: number },
): AsyncGenerator<string[]> {
  await client.query(
    `declare known_entities no scroll cursor for
     select entity_id from (
       select distinct on (entity_id) entity_id, action_type, id from walhook.events
       where entity_type = $1 order by entity_id, id desc
     ) last where action_type <> 'delete' and id <= $2`,
    [entityType, options.upToId],
  )
  for (;;) {
    const { rows } = await client.query(`fetch ${options.pageSize} from known_entities`)
    if (rows.length === 0) break
    yield rows.map(row => row.entity_id)
  }
  await client.query('close known_entities')
}
