import type pg from 'pg'
import { formatLsn, type Lsn } from '../../domain/value/lsn.ts'
import { type Gap, noteLost } from './gaps.ts'

/**
 * Records a gap of one table for one entity type; an open one grows up to `toLsn`, and its resync starts again. Returns
 * whether it is new.
 */
export async function openTableGap(
  client: pg.PoolClient,
  gap: Pick<Gap, 'slotName' | 'reason' | 'detail' | 'fromLsn' | 'toLsn'> & {
    readonly entityType: string
    readonly tableName: string
  },
): Promise<boolean> {
  const { rows } = await client.query(
    `insert into walhook.gaps (slot_name, entity_type, table_name, reason, detail, from_lsn, to_lsn)
     values ($1, $2, $3, $4, $5, $6, $7)
     on conflict (slot_name, coalesce(entity_type, ''), coalesce(table_name, '')) where resynced_at is null do update
     set reason = excluded.reason, detail = excluded.detail, to_lsn = excluded.to_lsn
     where (gaps.reason, gaps.to_lsn) is distinct from (excluded.reason, excluded.to_lsn)
     returning id, xmax = 0 as is_opened`,
    [
      gap.slotName,
      gap.entityType,
      gap.tableName,
      gap.reason,
      gap.detail,
      formatLsn(gap.fromLsn),
      gap.toLsn === null ? null : formatLsn(gap.toLsn),
    ],
  )
  if (rows.length === 0) return false
  if (rows[0].is_opened) await noteLost(client, gap)
  await client.query(
    `update walhook.resyncs r
     set state = 'waiting', phase = 'rows', reason = null, code = null, known_up_to = p.last_event_id, after_key = null,
         until_key = null, rows_done = 0, deletes_done = 0, rows_estimate = null
     from walhook.positions p
     where p.slot_name = r.slot_name and r.slot_name = $1 and r.state in ('waiting', 'running') and $2 = any(r.gap_ids)`,
    [gap.slotName, rows[0].id],
  )
  return true
}

/**
 * Records unreadable changes of one table up to `toLsn`, as a gap or a part of the open one. Returns whether a gap was
 * opened.
 */
export async function addToTableGap(
  client: pg.PoolClient,
  gap: Parameters<typeof openTableGap>[1] & { readonly toLsn: Lsn },
): Promise<boolean> {
  const { rows } = await client.query(
    `select to_lsn from walhook.gaps
     where slot_name = $1 and entity_type = $2 and table_name = $3 and resynced_at is null for update`,
    [gap.slotName, gap.entityType, gap.tableName],
  )
  if (rows.length > 0 && rows[0].to_lsn === null) return false
  await openTableGap(client, gap)
  return rows.length === 0
}

/** Ends the growing gaps of tables that are captured again, at `toLsn`. */
export async function closeTableGaps(
  client: pg.PoolClient,
  slotName: string,
  captured: { tableNames: readonly string[]; toLsn: Lsn },
): Promise<void> {
  await client.query(
    `update walhook.gaps set to_lsn = $3
     where slot_name = $1 and table_name = any($2) and to_lsn is null and resynced_at is null`,
    [slotName, captured.tableNames, formatLsn(captured.toLsn)],
  )
}
