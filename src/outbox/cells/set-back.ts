import type pg from 'pg'
import { formatLsn } from '../../domain/value/lsn.ts'
import { type TimeId, timeOf } from '../../domain/value/time-id.ts'
import { transaction } from '../database/database.ts'
import { dayMs, partitionName } from '../days/partitions.ts'
import { noteLost } from '../source/gaps.ts'
import type { Cell } from './cells.ts'
import { clearUp } from './settle-move.ts'

/** A cell whose database was restored to an earlier time, found by its recorded position. */
export type SetBack = {
  readonly toMs: number
  /** Its recorded position. */
  readonly fromMs: number
  /** Days that main has dropped, so that the cell can't copy them again. As 2026-01-31. */
  readonly daysLost: readonly string[]
  /** Webhooks that it has lost. */
  readonly webhooksLost: readonly number[]
  /** Webhooks that reappeared although deleted or moved away: deleted. */
  readonly webhooksLeft: readonly number[]
}

/**
 * Reconciles main and a cell that has less of the log than recorded; null: it has not. Events that can't be copied again become
 * a gap. One of several processes does it.
 */
export async function settleSetBack(main: Cell, cell: Cell, copiedUpTo: TimeId): Promise<SetBack | null> {
  return await transaction(main.outbox.pool, async client => {
    const { rows } = await client.query(
      'select copied_up_to from walhook.cells where name = $1 for no key update',
      [cell.name],
    )
    const noted: TimeId | undefined = rows[0]?.copied_up_to
    if (noted === undefined || copiedUpTo >= noted) return null
    const daysLost = await daysWithoutLog(client, copiedUpTo, noted)
    const webhooks = await compareWebhooks(client, cell)
    for (const id of webhooks.webhooksLeft) await clearUp(cell.outbox, id)
    const found = { toMs: timeOf(copiedUpTo), fromMs: timeOf(noted), daysLost, ...webhooks }
    if (daysLost.length > 0) await recordMailProblem(client, cell, copiedUpTo, found)
    await client.query('update walhook.cells set copied_up_to = $2 where name = $1', [cell.name, copiedUpTo])
    return found
  })
}

/** The days between two events that main has dropped. */
async function daysWithoutLog(client: pg.PoolClient, from: TimeId, to: TimeId): Promise<string[]> {
  const first = Math.floor(timeOf(from) / dayMs)
  const days = Array.from(
    { length: Math.floor(timeOf(to) / dayMs) - first + 1 },
    (_, i) => (first + i) * dayMs,
  )
  const names = days.map(startMs => partitionName('events', startMs))
  const { rows } = await client.query(
    `select array(select relname::text from pg_inherits i join pg_class c on c.oid = i.inhrelid
                  where i.inhparent = 'walhook.events'::regclass and c.relname = any($1)) as there`,
    [names],
  )
  return days
    .filter((_, i) => !rows[0].there.includes(names[i]))
    .map(startMs => new Date(startMs).toISOString().slice(0, 10))
}

/** Main decides where each webhook is. A webhook with an unfinished move is skipped. */
async function compareWebhooks(
  client: pg.PoolClient,
  { name, outbox }: Cell,
): Promise<Pick<SetBack, 'webhooksLost' | 'webhooksLeft'>> {
  const { rows: placed } = await client.query(
    'select webhook_id as id, moving_to from walhook.placements where $1 in (cell, moving_to) order by 1',
    [name],
  )
  const { rows: there } = await outbox.pool.query('select id from walhook.webhooks order by 1')
  const isThere = new Set(there.map(({ id }) => id))
  const isPlaced = new Set(placed.map(({ id }) => id))
  return {
    webhooksLost: placed
      .filter(({ id, moving_to }) => moving_to === null && !isThere.has(id))
      .map(({ id }) => id),
    webhooksLeft: there.filter(({ id }) => !isPlaced.has(id)).map(({ id }) => id),
  }
}

/** Recorded as an ended gap of everything: a resync sends what was lost. */
async function recordMailProblem(
  client: pg.PoolClient,
  { name, outbox }: Cell,
  copiedUpTo: TimeId,
  { toMs, daysLost }: SetBack,
): Promise<void> {
  const { rows: last } = await outbox.pool.query(
    `select commit_lsn - '0/0' as lsn from walhook.events where id <= $1 order by id desc limit 1`,
    [copiedUpTo],
  )
  const fromLsn = BigInt(last[0]?.lsn ?? 0)
  const { rows } = await client.query(
    `insert into walhook.gaps (slot_name, reason, detail, from_lsn, to_lsn)
     select slot_name, 'cell set back', $1::text, $2::pg_lsn, greatest(commit_lsn, $2::pg_lsn) from walhook.positions
     on conflict (slot_name, coalesce(entity_type, ''), coalesce(table_name, '')) where resynced_at is null do update
     set detail = gaps.detail || '; ' || excluded.detail
     returning slot_name`,
    [
      `the cell ${name} was set back to ${new Date(toMs).toISOString()}, and its webhooks lack the events of ${daysLost.join(', ')}, which are no longer in the log`,
      formatLsn(fromLsn),
    ],
  )
  for (const { slot_name: slotName } of rows)
    await noteLost(client, { slotName, reason: 'cell set back', entityType: null, tableName: null })
}
