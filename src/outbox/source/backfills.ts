import type pg from 'pg'
import type { Backfill } from '../../domain/capture/backfill.ts'
import type { PageCode } from '../../domain/capture/page-failures.ts'
import type { Outbox } from '../database/database.ts'
import { fields } from '../database/fields.ts'
import { distanceOf } from '../reading/queue-depth.ts'
import type { PageDone } from './paged-work.ts'

type Db = pg.Pool | pg.PoolClient

const toBackfill = ({ rows_done, rows_estimate, ...rest }: pg.QueryResultRow): Backfill => ({
  ...fields<Omit<Backfill, 'rowsDone' | 'rowsEstimate'>>(rest),
  rowsDone: Number(rows_done),
  rowsEstimate: rows_estimate === null ? null : Number(rows_estimate),
})

export type BackfillInput = Pick<
  Backfill,
  'slotName' | 'entityType' | 'webhookId' | 'actionType' | 'rowsPerSecond'
>

/** Stores a backfill. Null: one for the same rows and receivers is open. */
export async function insertBackfill(db: Db, input: BackfillInput): Promise<Backfill | null> {
  const { rows } = await db.query(
    `insert into walhook.backfills (slot_name, entity_type, webhook_id, action_type, rows_per_second)
     values ($1, $2, $3, $4, $5)
     on conflict (slot_name, entity_type, coalesce(webhook_id, 0)) where state in ('waiting', 'running') do nothing
     returning *`,
    [input.slotName, input.entityType, input.webhookId, input.actionType, input.rowsPerSecond],
  )
  return rows[0] ? toBackfill(rows[0]) : null
}

export async function findBackfill(outbox: Outbox, id: number): Promise<Backfill | null> {
  const { rows } = await outbox.pool.query('select * from walhook.backfills where id = $1', [id])
  return rows[0] ? toBackfill(rows[0]) : null
}

/** A slot's backfills, newest first, at most `limit`, before the id `before`. */
export async function listBackfills(
  outbox: Outbox,
  slotName: string,
  page: { limit: number; before: number | null; webhookId?: number },
): Promise<Backfill[]> {
  const { rows } = await outbox.pool.query(
    `select * from walhook.backfills
     where slot_name = $1 and ($2::int is null or id < $2)
       and ($4::int is null or webhook_id is null or webhook_id = $4) order by id desc limit $3`,
    [slotName, page.before, page.limit, page.webhookId ?? null],
  )
  return rows.map(toBackfill)
}

/** Who started each: the audit has it from the same transaction, with an equal time. */
export async function backfillStarters(
  outbox: Outbox,
  of: readonly Backfill[],
): Promise<Map<number, string>> {
  const { rows } = await outbox.pool.query(
    `select b.id, a.actor from walhook.backfills b
     join walhook.audit a on a.at = b.created_at and a.action = 'backfill.started' and a.target_id = b.id::text
     where b.id = any($1)`,
    [of.map(({ id }) => id)],
  )
  return new Map(rows.map(({ id, actor }) => [id, actor]))
}

/** Backfills that failed in the last seven days and were not restarted, newest first. */
export async function failedBackfills(outbox: Outbox, slotName: string): Promise<Backfill[]> {
  const { rows } = await outbox.pool.query({
    name: 'failed_backfills',
    text: `select b.* from walhook.backfills b
           where b.slot_name = $1 and b.state = 'failed' and b.ended_at > now() - interval '7 days'
             and not exists (
               select 1 from walhook.backfills later
               where later.slot_name = b.slot_name and later.entity_type = b.entity_type
                 and later.webhook_id is not distinct from b.webhook_id and later.id > b.id)
           order by b.id desc limit 20`,
    values: [slotName],
  })
  return rows.map(toBackfill)
}

export async function openBackfills(outbox: Outbox, slotName: string): Promise<Backfill[]> {
  const { rows } = await outbox.pool.query({
    name: 'open_backfills',
    text: `select * from walhook.backfills where slot_name = $1 and state in ('waiting', 'running') order by id`,
    values: [slotName],
  })
  return rows.map(toBackfill)
}

/**
 * Moves a backfill past a page, in the transaction of the page's events. False: it is elsewhere or has ended, and the page
 * must be rolled back.
 */
export async function advanceBackfill(db: Db, step: PageDone): Promise<boolean> {
  const { rowCount } = await db.query(
    `update walhook.backfills
     set after_key = coalesce($3, after_key), until_key = coalesce(until_key, $4), rows_done = rows_done + $5,
         rows_estimate = coalesce(rows_estimate, $6), started_at = coalesce(started_at, now()), reason = null, code = null,
         state = case when $7 then 'done' else 'running' end, ended_at = case when $7 then now() end
     where id = $1 and state in ('waiting', 'running') and after_key is not distinct from $2`,
    [step.id, step.fromKey, step.toKey, step.untilKey, step.rows, step.rowsEstimate, step.isLast],
  )
  return rowCount === 1
}

/** Ends an open backfill. Null: it is not open. */
export async function endBackfill(
  db: Db,
  id: number,
  end: { state: 'cancelled' | 'failed'; reason: string; code?: PageCode },
): Promise<Backfill | null> {
  const { rows } = await db.query(
    `update walhook.backfills set state = $2, reason = $3, code = $4, ended_at = now()
     where id = $1 and state in ('waiting', 'running') returning *`,
    [id, end.state, end.reason, end.code ?? null],
  )
  return rows[0] ? toBackfill(rows[0]) : null
}

/** Changes the pace of an open backfill. Null: it is not open. */
export async function paceBackfill(db: Db, id: number, rowsPerSecond: number): Promise<Backfill | null> {
  const { rows } = await db.query(
    `update walhook.backfills set rows_per_second = $2
     where id = $1 and state in ('waiting', 'running') returning *`,
    [id, rowsPerSecond],
  )
  return rows[0] ? toBackfill(rows[0]) : null
}

/** A receiver of a backfill: why it can't get anything, and its backlog. */
export type BackfillReceiver = {
  readonly webhookId: number
  readonly isActive: boolean
  readonly isDisabled: boolean
  readonly hasTrigger: boolean
  /** Its distance: rows, and events beyond its position, wanted or not, each counted up to `countTo`. */
  readonly waiting: number
}

export type WantedReceivers = {
  readonly webhookId: number | null
  readonly trigger: string
  readonly countTo: number
}

/** The named webhook, if it exists; otherwise every active one with the trigger. */
export async function backfillReceivers(
  outbox: Outbox,
  wanted: WantedReceivers,
): Promise<BackfillReceiver[]> {
  const { rows } = await outbox.pool.query({
    name: 'backfill_receivers',
    text: `
      select w.id as webhook_id, w.is_active, w.disabled_at is not null as is_disabled, w.triggers @> array[$2] as has_trigger,
             ${distanceOf('$3')} as waiting
      from walhook.webhooks w
      where case when $1::int is null then w.is_active and w.disabled_at is null and w.triggers @> array[$2]
                 else w.id = $1 end
      order by w.id`,
    values: [wanted.webhookId, wanted.trigger, wanted.countTo],
  })
  return rows.map(fields<BackfillReceiver>)
}
