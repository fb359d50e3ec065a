import type pg from 'pg'
import type { TimeId } from '../domain/time-id.ts'
import { column } from './binary-array.ts'
import { type Outbox, transaction } from './database.ts'
import { lockHolder, standing } from './fence.ts'

/** The place of a webhook that is behind, in one share. One that keeps up has none: the share's place is its own. */
export type OwnStream = {
  readonly webhookId: number
  readonly share: number
  /** Everything up to here that the webhook wants is delivered or set aside. */
  readonly settledUpTo: TimeId
  /** Nothing newer has been sent. */
  readonly maySendUpTo: TimeId
}

/** The places of the webhooks that are behind in these shares. */
export async function readStreams(outbox: Outbox, shares: readonly number[]): Promise<OwnStream[]> {
  const { rows } = await outbox.pool.query({
    name: 'read_streams',
    text: `select webhook_id, share, settled_up_to, may_send_up_to from walhook.streams
           where share = any($1::smallint[])`,
    values: [shares],
  })
  return rows.map(row => ({
    webhookId: row.webhook_id,
    share: row.share,
    settledUpTo: row.settled_up_to,
    maySendUpTo: row.may_send_up_to,
  }))
}

const saveMainStatement = `
update walhook.shares s
set settled_up_to = greatest(s.settled_up_to, p.settled_up_to)
from unnest($2::smallint[], $3::bigint[]) as p (share, settled_up_to)
where s.share = p.share and s.holder_id = $1`

/** It counts as a beat: who judges this holder by an older one has not seen up to where it may send now. */
const saveMaySendStatement = `
update walhook.holders set may_send_up_to = greatest(may_send_up_to, $2), beat = beat + 1 where id = $1`

/** Of a webhook that was deleted meanwhile nothing is left. */
const saveStreamsStatement = `
insert into walhook.streams as t (webhook_id, share, settled_up_to, may_send_up_to)
select webhook_id, share, settled_up_to, greatest(settled_up_to, may_send_up_to)
from unnest($2::int[], $3::smallint[], $4::bigint[], $5::bigint[]) as p (webhook_id, share, settled_up_to, may_send_up_to)
where exists (select from walhook.webhooks w where w.id = p.webhook_id)
  and exists (select from walhook.shares s where s.share = p.share and s.holder_id = $1)
on conflict (webhook_id, share) do update
  set settled_up_to = greatest(t.settled_up_to, excluded.settled_up_to),
      may_send_up_to = greatest(t.may_send_up_to, excluded.may_send_up_to)`

const endStreamsStatement = `
delete from walhook.streams t
using unnest($2::int[], $3::smallint[]) as g (webhook_id, share)
where t.webhook_id = g.webhook_id and t.share = g.share
  and exists (select from walhook.shares s where s.share = g.share and s.holder_id = $1)`

/** How far a holder has come. */
export type Progress = {
  readonly holderId: number
  /** Of the webhooks that keep up, in the shares that it serves. */
  readonly main: readonly { readonly share: number; readonly settledUpTo: TimeId }[]
  /** Up to where it may send to those; null: as before. */
  readonly maySendUpTo: TimeId | null
  /** Webhooks that are behind, or fall behind now. */
  readonly streams: readonly OwnStream[]
  /** Webhooks that have caught up: from now on the share's place is theirs. */
  readonly gone: readonly { readonly webhookId: number; readonly share: number }[]
}

/**
 * Saves how far a holder has come, in one commit; places only move on. Nothing newer than what is saved here may be sent
 * before it has returned. False: the holder is fenced, and nothing is saved.
 */
export async function saveProgress(outbox: Outbox, progress: Progress): Promise<boolean> {
  const { holderId, main, maySendUpTo, streams, gone } = progress
  return await transaction(outbox.pool, async client => {
    const [, held] = await Promise.all([lockHolder(client, holderId), standing(client, holderId)])
    if (held === null) return false
    const statements: pg.QueryConfig[] = []
    if (maySendUpTo !== null)
      statements.push({
        name: 'save_may_send',
        text: saveMaySendStatement,
        values: [holderId, maySendUpTo],
      })
    if (main.length > 0)
      statements.push({
        name: 'save_main',
        text: saveMainStatement,
        values: [
          holderId,
          column('smallint', main, each => each.share),
          column('bigint', main, each => each.settledUpTo),
        ],
      })
    if (streams.length > 0)
      statements.push({
        name: 'save_streams',
        text: saveStreamsStatement,
        values: [
          holderId,
          column('int', streams, each => each.webhookId),
          column('smallint', streams, each => each.share),
          column('bigint', streams, each => each.settledUpTo),
          column('bigint', streams, each => each.maySendUpTo),
        ],
      })
    if (gone.length > 0)
      statements.push({
        name: 'end_streams',
        text: endStreamsStatement,
        values: [
          holderId,
          column('int', gone, each => each.webhookId),
          column('smallint', gone, each => each.share),
        ],
      })
    await Promise.all(statements.map(statement => client.query(statement)))
    return true
  })
}
