import type pg from 'pg'
import type { TimeId } from '../../domain/value/time-id.ts'
import { dissolveBatches } from '../aside/dissolve-batches.ts'
import { type Outbox, transaction } from '../database/database.ts'
import { asHolder, lockHolderAlone, lockJoining } from '../database/fence.ts'
import { fields } from '../database/fields.ts'
import { oldestOfS } from '../database/row-keys.ts'
import { timelineOf } from '../database/session-settings.ts'
import { wakeChannel } from '../log/append.ts'

/**
 * A holder is a process that delivers. Its row lives as long as it does:
 *
 * | state | seen by | who moves it on |
 * |---|---|---|
 * | alive | its beat grows | itself: a beat each second |
 * | silent | the same beat for some seconds of another one's clock, the fewer where its session has ended | its next beat, or a takeover |
 * | gone | no row | nobody: what it still settles is logged, and changes nothing (it is fenced); it joins again |
 *
 * One that meets another timeline than its row has is fenced too, and becomes silent: it joins again.
 */
export type Holder = {
  readonly id: number
  readonly beat: bigint
  /** Its session exists: it was not killed, and its host answers. */
  readonly hasSession: boolean
  /** It stops: it gives its shares up one by one, claims none, and finishes its requests in flight. */
  readonly isLeaving: boolean
}

/** A share and its position: everything up to it is delivered, set aside or unwanted. */
type HeldShare = {
  readonly share: number
  readonly settledUpTo: TimeId
}

/** Becomes a holder: none of its requests is in flight `aliveMs` after its last beat. */
export async function join(
  outbox: Outbox,
  { aliveMs }: { aliveMs: number },
): Promise<{ readonly holderId: number }> {
  return await transaction(outbox.pool, async client => {
    await lockJoining(client)
    const { rows } = await client.query(
      `insert into walhook.holders (alive_until, timeline) values (clock_timestamp() + $1 * interval '1 ms', $2) returning id`,
      [aliveMs, timelineOf(client)],
    )
    // The others beat at once: one that was alone may have rested.
    await notifyShares(client)
    return { holderId: rows[0].id }
  })
}

const claimSharesStatement = `
with free as materialized (
  select share from walhook.shares where holder_id is null order by share limit $2 for update skip locked
)
update walhook.shares s
set holder_id = $1
from free f
where s.share = f.share`

/**
 * Claims up to `max` free shares. Returns all its shares, including those of a claim whose answer was lost; none if it is
 * fenced.
 */
export async function claimShares(
  outbox: Outbox,
  { holderId, max }: { holderId: number; max: number },
): Promise<readonly HeldShare[]> {
  const held = await asHolder(outbox, holderId, async client => {
    if (max > 0) await client.query(claimSharesStatement, [holderId, max])
    const { rows } = await client.query(
      'select share, settled_up_to from walhook.shares where holder_id = $1 order by share',
      [holderId],
    )
    return rows.map(fields<HeldShare>)
  })
  return held ?? []
}

/**
 * Gives shares back, for any holder to claim. Their progress must be saved, and deliveries in flight set aside as taken: it is
 * settled afterwards as before. Whoever stops says so here, and others count on it for no share.
 */
export async function releaseShares(
  outbox: Outbox,
  {
    holderId,
    shares,
    isLeaving = false,
  }: { holderId: number; shares: readonly number[]; isLeaving?: boolean },
): Promise<void> {
  if (shares.length === 0) return
  await transaction(outbox.pool, async client => {
    // Running settlements rely on holding them.
    await lockHolderAlone(client, holderId)
    await client.query(
      'update walhook.shares set holder_id = null where holder_id = $1 and share = any($2::smallint[])',
      [holderId, shares],
    )
    if (isLeaving)
      await client.query('update walhook.holders set is_leaving = true where id = $1', [holderId])
    await notifyShares(client)
  })
}

/** Once this has committed, the others beat at once: they claim what is free, and see who has come. */
export async function notifyShares(client: pg.ClientBase): Promise<void> {
  await client.query(`select pg_notify('${wakeChannel}', 'shares')`)
}

/**
 * Stops being a holder, after all is settled and saved. Its shares become free; rows that it still has may be in flight, and
 * become due when that is over.
 */
export async function leave(outbox: Outbox, { holderId }: { holderId: number }): Promise<void> {
  await transaction(outbox.pool, async client => {
    await lockHolderAlone(client, holderId)
    const { rows } = await client.query('select alive_until from walhook.holders where id = $1 for update', [
      holderId,
    ])
    if (rows.length === 0) return
    await freeTaken(client, { holderId, notBefore: rows[0].alive_until })
    await client.query('update walhook.shares set holder_id = null where holder_id = $1', [holderId])
    await client.query('delete from walhook.holders where id = $1', [holderId])
    await notifyShares(client)
  })
}

/**
 * An older row requested by hand may precede a taken one, which waits for it even if due. Until then these shares' rows are
 * not made due earlier.
 */
const freeRowsStatement = `
with freed as (
  update walhook.deliveries
  set due_at = case when due_at = 'infinity' then $2 else greatest(due_at, $2) end, taken_by = null
  where taken_by = $1
  returning webhook_id, entity_type, entity_id, share
), waiting as (
  update walhook.shares set wait_until = greatest(wait_until, $2) where share = any(select share from freed)
), oldest as materialized (
  select distinct o.ctid, o.due_at, o.batch_id
  from freed s
  cross join ${oldestOfS('ctid, due_at, batch_id, taken_by')} o
  where o.taken_by is null
)
update walhook.deliveries d set due_at = $2
from oldest o
where d.ctid = o.ctid and (o.due_at = 'infinity' or o.due_at < $2) and o.batch_id is null`

const freeBatchesStatement = `
with freed as (
  update walhook.batches set due_at = greatest(due_at, $2), taken_by = null where taken_by = $1 returning webhook_id, share
), waiting as (
  update walhook.shares set wait_until = greatest(wait_until, $2) where share = any(select share from freed)
)
select webhook_id from freed`

/** Makes a holder's rows due when none can be in flight. */
export async function freeTaken(
  client: pg.ClientBase,
  { holderId, notBefore }: { holderId: number; notBefore: Date },
): Promise<void> {
  await client.query(freeRowsStatement, [holderId, notBefore])
  const { rows } = await client.query(freeBatchesStatement, [holderId, notBefore])
  await dissolveBatches(
    client,
    rows.map(row => row.webhook_id),
  )
}
