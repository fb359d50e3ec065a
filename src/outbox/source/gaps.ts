import type pg from 'pg'
import { formatLsn, type Lsn, parseLsn } from '../../domain/value/lsn.ts'
import type { TimeId } from '../../domain/value/time-id.ts'
import { type Outbox, transaction } from '../database/database.ts'
import { fields } from '../database/fields.ts'
import { noteIncidents } from '../records/incidents.ts'

/** A range of the WAL whose changes were lost. */
export type Gap = {
  readonly id: number
  readonly slotName: string
  /** One entity type's dependence on one table; both null: everything. */
  readonly entityType: string | null
  readonly tableName: string | null
  readonly reason: string
  readonly detail: string
  readonly fromLsn: Lsn
  /**
   * Captured from here on. For everything: a resync sends what was lost. For one table: it is back, with or without a resync.
   * Null: changes are still lost.
   */
  readonly toLsn: Lsn | null
  readonly foundAt: Date
  readonly resyncedAt: Date | null
}

type NewGap = Pick<Gap, 'slotName' | 'reason' | 'detail' | 'fromLsn'>

/** Records a gap of a slot, and the alert about it. Returns whether that is news. */
export async function openGap(outbox: Outbox, gap: NewGap): Promise<boolean> {
  return await transaction(outbox.pool, async client => {
    const isNews = await recordGap(client, gap)
    if (isNews) await noteLost(client, { ...gap, entityType: null, tableName: null })
    return isNews
  })
}

/** Records a slot's gap unless one is open; one that is being resynced opens again. Returns whether that is new. */
export async function recordGap(client: pg.ClientBase, gap: NewGap): Promise<boolean> {
  const { rowCount } = await client.query(
    `insert into walhook.gaps (slot_name, reason, detail, from_lsn) values ($1, $2, $3, $4)
     on conflict (slot_name, coalesce(entity_type, ''), coalesce(table_name, '')) where resynced_at is null do update
     set to_lsn = null, reason = excluded.reason, detail = excluded.detail where gaps.to_lsn is not null`,
    [gap.slotName, gap.reason, gap.detail, formatLsn(gap.fromLsn)],
  )
  return rowCount === 1
}

/** Changes were lost: the alert commits with the gap. */
export async function noteLost(
  client: pg.ClientBase,
  { slotName, reason, entityType, tableName }: Pick<Gap, 'slotName' | 'reason' | 'entityType' | 'tableName'>,
): Promise<void> {
  const code = tableName === null ? 'capture.changes_lost' : 'capture.table_gap'
  const lost = [{ reason, entity_type: entityType, table_name: tableName }]
  await noteIncidents(client, [{ kind: 'capture.lost', of: slotName, facts: { code, lost } }])
}

/** A slot's gaps, open ones first, then the newest. */
export async function listGaps(outbox: Outbox, slotName: string): Promise<Gap[]> {
  const { rows } = await outbox.pool.query(
    `select * from walhook.gaps where slot_name = $1
     order by resynced_at is not null, table_name is not null, id desc limit 100`,
    [slotName],
  )
  return rows.map(toGap)
}

/** A slot's open gaps, those of everything first. */
export async function listOpenGaps(outbox: Outbox, slotName: string): Promise<Gap[]> {
  const { rows } = await outbox.pool.query({
    name: 'open_gaps',
    text: `select * from walhook.gaps where slot_name = $1 and resynced_at is null order by table_name is not null, id`,
    values: [slotName],
  })
  return rows.map(toGap)
}

/** The number of a slot's open gaps: of everything, and of single tables. */
export async function countOpenGaps(
  outbox: Outbox,
  slotName: string,
): Promise<{ ofEverything: number; ofTables: number }> {
  const open = await listOpenGaps(outbox, slotName)
  const ofTables = open.filter(({ tableName }) => tableName !== null).length
  return { ofEverything: open.length - ofTables, ofTables }
}

/** Ends a gap that turned out to have lost nothing. */
export async function withdrawGap(outbox: Outbox, id: number, why: string): Promise<void> {
  await outbox.pool.query(
    `update walhook.gaps set to_lsn = from_lsn, resynced_at = now(), detail = detail || '. Withdrawn: ' || $2
     where id = $1 and resynced_at is null`,
    [id, why],
  )
}

const toGap = (row: pg.QueryResultRow): Gap => ({
  ...fields<Gap>(row),
  fromLsn: parseLsn(row.from_lsn),
  toLsn: row.to_lsn === null ? null : parseLsn(row.to_lsn),
})

/**
 * The entities of a type that receivers know by stored events, not deleted last, and without an event above `upToId`; in
 * pages of at most `pageSize` by a cursor in the client's transaction, so that memory holds one page.
 */
export async function* knownEntityPages(
  client: pg.PoolClient,
  entityType: string,
  options: { upToId: TimeId; pageSize: number },
): AsyncGenerator<{ entityId: string; tenant: string | null }[]> {
  await client.query(
    `declare known_entities no scroll cursor for
     select entity_id, tenant from (
       select distinct on (entity_id) entity_id, action_type, id, tenant from walhook.events
       where entity_type = $1 order by entity_id, id desc
     ) last where action_type <> 'delete' and id <= $2`,
    [entityType, options.upToId],
  )
  for (;;) {
    const { rows } = await client.query(`fetch ${options.pageSize} from known_entities`)
    if (rows.length === 0) break
    yield rows.map(fields<{ entityId: string; tenant: string | null }>)
  }
  await client.query('close known_entities')
}
