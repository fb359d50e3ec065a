import type pg from 'pg'
import type { Entity } from '../../domain/event/entity.ts'
import type { ReplayJob } from '../../domain/event/replay-job.ts'
import type { TimeId } from '../../domain/value/time-id.ts'
import type { Outbox } from '../database/database.ts'
import { fields } from '../database/fields.ts'
import { newId } from '../database/new-ids.ts'
import { moment, now } from '../database/statement.ts'
import { wakeChannel } from '../log/append.ts'
import { replay, type Versions } from './replay.ts'

type NewReplay = {
  readonly webhookId: number
  readonly from: TimeId
  readonly to: TimeId
  readonly triggers: readonly string[] | null
  readonly missed: Versions | null
  /** It continues after this entity, where the earlier replay was stopped. */
  readonly after: Entity | null
  readonly counted: number
  readonly isExact: boolean
  readonly actor: string
  readonly actorTenant: string | null
}

/** The number of finished replays kept per webhook. */
const maxEnded = 100

/** Stores a replay, and deletes old ones. Null: no such webhook, or it is inactive. */
export async function insertReplay(client: pg.PoolClient, of: NewReplay): Promise<ReplayJob | null> {
  const { rows } = await client.query(
    `with its as materialized (
       select id from walhook.webhooks where id = $1 and is_active and disabled_at is null
     )
     insert into walhook.replays
       (webhook_id, from_id, to_id, triggers, from_version, to_version, counted, is_exact, actor, actor_tenant,
        after_type, after_id, id) overriding system value
     select id, $2::bigint, $3::bigint, $4::text[], $5::int, $6::int, $7::int, $8::boolean, $9::text, $10::text, $11::text, $12::text,
            $13::bigint
     from its returning *`,
    [
      ...[of.webhookId, of.from, of.to, of.triggers, of.missed?.from ?? null, of.missed?.to ?? null],
      ...[of.counted, of.isExact, of.actor, of.actorTenant],
      ...[of.after?.entityType ?? null, of.after?.entityId ?? null, await newId(client, 'replays')],
    ],
  )
  await client.query(
    `delete from walhook.replays where webhook_id = $1 and state <> 'running' and id < (
       select id from walhook.replays where webhook_id = $1 order by id desc offset $2 limit 1)`,
    [of.webhookId, maxEnded],
  )
  if (!rows[0]) return null
  await client.query(`select pg_notify('${wakeChannel}', 'replays')`)
  return fields<ReplayJob>(rows[0])
}

/** A webhook's replays, newest first, at most `limit`, before the id `before`. */
export async function listReplays(
  { pool }: Pick<Outbox, 'pool'>,
  webhookId: number,
  page: { limit: number; before: number | null },
): Promise<ReplayJob[]> {
  const { rows } = await pool.query(
    `select * from walhook.replays where webhook_id = $1 and ($2::int is null or id < $2) order by id desc limit $3`,
    [webhookId, page.before, page.limit],
  )
  return rows.map(fields<ReplayJob>)
}

export async function findReplay(
  db: Pick<pg.Pool, 'query'>,
  webhookId: number,
  id: number,
): Promise<ReplayJob | null> {
  const { rows } = await db.query('select * from walhook.replays where webhook_id = $1 and id = $2', [
    webhookId,
    id,
  ])
  return rows[0] ? fields<ReplayJob>(rows[0]) : null
}

/**
 * The last replay of what a webhook missed from a version on. `isSent`: it reached the end; otherwise it was stopped after
 * the entity `after`.
 */
export type MissedReplay = { readonly id: number; readonly isSent: boolean; readonly after: Entity | null }

/** Null: none. */
export async function findMissedReplay(
  db: Pick<pg.Pool | pg.PoolClient, 'query'>,
  webhookId: number,
  fromVersion: number,
): Promise<MissedReplay | null> {
  const { rows } = await db.query(
    `select id, state, after_type, after_id from walhook.replays
     where webhook_id = $1 and from_version = $2 order by id desc limit 1`,
    [webhookId, fromVersion],
  )
  if (!rows[0]) return null
  const { id, state, after_type: entityType, after_id: entityId } = rows[0]
  const isSent = state === 'running' || state === 'done'
  return { id, isSent, after: entityType === null ? null : { entityType, entityId } }
}

/** The rest of the oldest failed replay of missed events, from an earlier inactive time, with events kept since `keptSince`. */
type FailedRest = {
  readonly last: MissedReplay
  readonly from: TimeId
  readonly to: TimeId
  readonly versions: Versions
}

/** `lastOff`: the version in which the last inactive time began. A stopped continuation counts as sent. */
export async function findFailedRest(
  { pool }: Pick<Outbox, 'pool'>,
  webhookId: number,
  { lastOff, keptSince }: { lastOff: number; keptSince: TimeId },
): Promise<FailedRest | null> {
  const { rows } = await pool.query(
    `select id, from_id, to_id, from_version, to_version, after_type, after_id from walhook.replays r
     where webhook_id = $1 and state = 'failed' and from_version <> $2 and to_id > $3
       and id = (select max(id) from walhook.replays where webhook_id = $1 and from_version = r.from_version)
     order by id limit 1`,
    [webhookId, lastOff, keptSince],
  )
  if (!rows[0]) return null
  const { id, from_id: from, to_id: to, from_version, to_version, after_type, after_id } = rows[0]
  const after = after_type === null ? null : { entityType: after_type, entityId: after_id }
  return { last: { id, isSent: false, after }, from, to, versions: { from: from_version, to: to_version } }
}

/** Records why a replay pauses. The next committed page clears it. */
export async function noteProblem(
  { pool }: Pick<Outbox, 'pool'>,
  id: number,
  problem: string,
): Promise<void> {
  await pool.query(`update walhook.replays set problem = left($2, 500) where id = $1 and state = 'running'`, [
    id,
    problem,
  ])
}

/** Ends a running replay. Null: it is not running. */
export async function endReplay(
  db: Pick<pg.Pool | pg.PoolClient, 'query'>,
  id: number,
  state: 'done' | 'cancelled' | 'failed',
): Promise<ReplayJob | null> {
  const { rows } = await db.query(
    `update walhook.replays set state = $2, ended_at = now(), problem = null where id = $1 and state = 'running' returning *`,
    [id, state],
  )
  return rows[0] ? fields<ReplayJob>(rows[0]) : null
}

type Taken = { readonly job: ReplayJob; readonly after: Entity | null; readonly missed: Versions | null }

/** Takes the replay that waited longest, with a lease of `leaseMs`; null: none. */
export async function takeReplay({ pool }: Pick<Outbox, 'pool'>, leaseMs: number): Promise<Taken | null> {
  const { rows } = await pool.query(
    `with ${moment}
     update walhook.replays set taken_until = ${now} + $1::float8 * interval '1 ms'
     where id = (
       select id from walhook.replays where state = 'running' and taken_until < ${now}
       order by taken_until limit 1 for update skip locked)
     returning *`,
    [leaseMs],
  )
  if (!rows[0]) return null
  const { after_type: entityType, after_id: entityId, from_version: from, to_version: to } = rows[0]
  return {
    job: fields<ReplayJob>(rows[0]),
    after: entityType === null ? null : { entityType, entityId },
    missed: from === null ? null : { from, to },
  }
}

/**
 * Queues a replay's events page by page, until `isTimeOver`. A page and the replay's progress commit together: another
 * process continues after it, and one of two simultaneous workers queues nothing.
 */
export async function workOnReplay(
  outbox: Outbox,
  { job, after, missed }: Taken,
  { pageEvents, leaseMs, isTimeOver }: { pageEvents: number; leaseMs: number; isTimeOver: () => boolean },
): Promise<void> {
  const { id, webhookId, fromId: from, toId: to, triggers } = job
  let cursor = after
  const done = await replay(
    outbox,
    { webhookId, source: { of: 'range', from, to, triggers, missed }, onlyWanted: true, after, pageEvents },
    {
      isTimeOver,
      async onPage(client, page) {
        const { rowCount } = await client.query(
          `with ${moment}
           update walhook.replays
           set looked_at = looked_at + $4, queued = queued + $5, after_type = $6, after_id = $7, problem = null,
               taken_until = ${now} + $8::float8 * interval '1 ms'
           where id = $1 and state = 'running' and after_type is not distinct from $2 and after_id is not distinct from $3`,
          [
            ...[id, cursor?.entityType ?? null, cursor?.entityId ?? null, page.lookedAt, page.queued],
            ...[page.after.entityType, page.after.entityId, leaseMs],
          ],
        )
        cursor = page.after
        return rowCount === 1
      },
    },
  )
  if (done.state === 'inactive') await endReplay(outbox.pool, id, 'failed')
  if (done.state !== 'queued') return
  if (done.next === null) await endReplay(outbox.pool, id, 'done')
  else
    await outbox.pool.query(`with ${moment} update walhook.replays set taken_until = ${now} where id = $1`, [
      id,
    ])
}
