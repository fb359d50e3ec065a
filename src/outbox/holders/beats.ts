import type pg from 'pg'
import type { ShareOf } from '../../domain/delivery/share-plan.ts'
import type { TimeId } from '../../domain/value/time-id.ts'
import { type Outbox, onConnection } from '../database/database.ts'
import { isOfTimeline } from '../database/fence.ts'
import { fields } from '../database/fields.ts'
import { timelineOf } from '../database/session-settings.ts'
import { moment, now, statement } from '../database/statement.ts'
import type { Holder } from './holders.ts'
import { sessionLocks } from './session.ts'

/** A beat's view of the other holders, at one moment. */
export type Beat = {
  readonly holders: readonly Holder[]
  readonly shares: readonly ShareOf[]
  readonly webhooksVersion: number
  /** The newest event of the log. */
  readonly head: TimeId
}

const everyBeat = `
select (select json_agg(json_build_object('id', id, 'beat', beat::text, 'isLeaving', is_leaving,
                                                    'hasSession', id in (select holder_id from sessions)) order by id)
        from walhook.holders) as holders,
       (select json_agg(json_build_object('share', share, 'holderId', holder_id) order by share) from walhook.shares)
         as shares,
       (select version from walhook.webhooks_version) as webhooks_version,
       (select coalesce(max(last_event_id), 0) from walhook.positions) as head
from mine`

const sessions = `
sessions as materialized (
  select objid::bigint as holder_id from pg_locks
  where locktype = 'advisory' and classid = ${sessionLocks}::bigint::oid and objsubid = 2 and granted
    and database = (select oid from pg_database where datname = current_database())
)`

/** The others' rows are as of the statement's start; of this holder, the beat before. */
const beatStatement = statement(
  'beat',
  { holderId: 'int', timeline: 'text', aliveMs: 'float8', maySendUpTo: 'bigint' },
  p => `
with ${moment}, ${sessions}, mine as (
  update walhook.holders
  set beat = beat + 1, alive_until = ${now} + ${p.aliveMs} * interval '1 ms',
      may_send_up_to = greatest(may_send_up_to, ${p.maySendUpTo})
  where id = ${p.holderId} and ${isOfTimeline(p.timeline)}
  returning id
)
${everyBeat}`,
)

const hearStatement = statement(
  'hear',
  { holderId: 'int', timeline: 'text' },
  p => `
with ${sessions}, mine as (
  select id from walhook.holders where id = ${p.holderId} and ${isOfTimeline(p.timeline)}
)
${everyBeat}`,
)

/**
 * Extends the life by `aliveMs` from the call, and permits sending up to `maySendUpTo`. Returns the others' beats; null: it
 * is fenced. It waits for no settlement.
 */
export async function beat(
  outbox: Outbox,
  given: { holderId: number; aliveMs: number; maySendUpTo: TimeId },
): Promise<Beat | null> {
  return toBeat(
    await onConnection(outbox.pool, client =>
      beatStatement(client, { ...given, timeline: timelineOf(client) }),
    ),
  )
}

/** A beat's view without a beat: it writes nothing. */
export async function hear(outbox: Outbox, given: { holderId: number }): Promise<Beat | null> {
  return toBeat(
    await onConnection(outbox.pool, client =>
      hearStatement(client, { ...given, timeline: timelineOf(client) }),
    ),
  )
}

const noteLastReach = statement(
  'note_last_reach',
  { holderId: 'int', aliveMs: 'float8', maySendUpTo: 'bigint' },
  p => `
with ${moment}
update walhook.holders
set alive_until = greatest(alive_until, ${now} + ${p.aliveMs} * interval '1 ms'),
    may_send_up_to = greatest(may_send_up_to, ${p.maySendUpTo})
where id = ${p.holderId}`,
)

/** The requests in flight of an ending holder, for its successor. They count in a restored outbox, too. */
export async function noteReach(
  outbox: Outbox,
  given: { holderId: number; aliveMs: number; maySendUpTo: TimeId },
): Promise<void> {
  await noteLastReach(outbox.pool, given)
}

function toBeat({ rows: [row] }: pg.QueryResult): Beat | null {
  if (!row) return null
  const holders = (row.holders as (Omit<Holder, 'beat'> & { beat: string })[]).map(each => ({
    ...each,
    beat: BigInt(each.beat),
  }))
  return { ...fields<Beat>(row), holders }
}
