import type { TimeId } from '../../domain/value/time-id.ts'
import type { Outbox } from '../database/database.ts'
import { asHolder } from '../database/fence.ts'
import { fields } from '../database/fields.ts'
import { rows, statement } from '../database/statement.ts'

/** The position of a webhook that lags, in one share. Webhooks that keep up share the share's position. */
export type OwnPosition = {
  readonly webhookId: number
  readonly share: number
  /** Every wanted event up to here is delivered or set aside. */
  readonly settledUpTo: TimeId
  /** No later event was sent. */
  readonly maySendUpTo: TimeId
}

/** The positions of webhooks that lag in these shares. */
export async function readStreams(outbox: Outbox, shares: readonly number[]): Promise<OwnPosition[]> {
  const { rows } = await outbox.pool.query({
    name: 'read_streams',
    text: `select webhook_id, share, settled_up_to, may_send_up_to from walhook.streams
           where share = any($1::smallint[])`,
    values: [shares],
  })
  return rows.map(fields<OwnPosition>)
}

type Share = { readonly share: number; readonly settledUpTo: TimeId }
const ofStream = { webhookId: 'int', share: 'smallint' } as const
type ChangedPosition = { readonly webhookId: number; readonly share: number }

const saveMain = statement(
  'save_main',
  { holderId: 'int', positions: rows<Share>({ share: 'smallint', settledUpTo: 'bigint' }) },
  p => `
update walhook.shares s
set settled_up_to = greatest(s.settled_up_to, p.settled_up_to)
from ${p.positions('p')}
where s.share = p.share and s.holder_id = ${p.holderId}`,
)

/** A deleted webhook has none. */
const saveStreams = statement(
  'save_streams',
  {
    holderId: 'int',
    streams: rows<OwnPosition>({ ...ofStream, settledUpTo: 'bigint', maySendUpTo: 'bigint' }),
  },
  p => `
with p as materialized (
  select webhook_id, share, settled_up_to, greatest(settled_up_to, may_send_up_to) as may_send_up_to
  from ${p.streams('p')}
  where exists (select 1 from walhook.webhooks w where w.id = p.webhook_id offset 0)
    and exists (select 1 from walhook.shares s where s.share = p.share and s.holder_id = ${p.holderId} offset 0)
)
insert into walhook.streams as t (webhook_id, share, settled_up_to, may_send_up_to)
select webhook_id, share, settled_up_to, may_send_up_to from p
on conflict (webhook_id, share) do update
  set settled_up_to = greatest(t.settled_up_to, excluded.settled_up_to),
      may_send_up_to = greatest(t.may_send_up_to, excluded.may_send_up_to)`,
)

const endStreams = statement(
  'end_streams',
  { holderId: 'int', gone: rows<ChangedPosition>(ofStream) },
  p => `
with gone as materialized (
  select t.ctid
  from ${p.gone('g')}
  cross join lateral (
    select ctid from walhook.streams where webhook_id = g.webhook_id and share = g.share limit 1
  ) t
  where exists (select 1 from walhook.shares s where s.share = g.share and s.holder_id = ${p.holderId} offset 0)
)
delete from walhook.streams t using gone where t.ctid = gone.ctid`,
)

type Progress = {
  readonly holderId: number
  /** The positions of its main streams. */
  readonly main: readonly Share[]
  /** The positions of webhooks that lag, or begin to. */
  readonly streams: readonly OwnPosition[]
  /** Webhooks that caught up: the share's position is theirs now. */
  readonly gone: readonly ChangedPosition[]
}

/**
 * Saves a holder's progress in one commit; positions only rise. Later events than saved here may only be sent after it
 * returns. False: it is fenced, and nothing was saved.
 */
export async function saveProgress(outbox: Outbox, progress: Progress): Promise<boolean> {
  const { holderId, main, streams, gone } = progress
  const saved = await asHolder(outbox, holderId, client =>
    Promise.all([
      main.length > 0 && saveMain(client, { holderId, positions: main }),
      streams.length > 0 && saveStreams(client, { holderId, streams }),
      gone.length > 0 && endStreams(client, { holderId, gone }),
    ]),
  )
  return saved !== null
}
