import type { TimeId } from '../../domain/value/time-id.ts'
import type { Outbox } from '../database/database.ts'
import { asHolder } from '../database/fence.ts'
import { fields } from '../database/fields.ts'
import { ofEvent, rowOfS } from '../database/row-keys.ts'
import { rows, statement } from '../database/statement.ts'
import { dueInMs } from './aside.ts'
import { waitForStreamMs, waitingForStream, waitsForStream } from './pulled.ts'
import { type Delivery, deliveryColumns, fromRow, itsEvent } from './shipment.ts'
import { isTaken } from './taken.ts'

/**
 * Takes rows that are due. Each share's are read in their order, so that nothing has to be sorted but what may be taken. One that
 * has changed in the moment before it was locked is not where it was found, and is left to the next time.
 */
const takeDue = statement(
  'take_due',
  { holderId: 'int', webhookId: 'int', shares: 'smallint[]', most: 'int' },
  p => `
with ${waitingForStream(p.webhookId)}, due as materialized (
  select d.*
  from unnest(${p.shares}) as s (share)
  cross join lateral (
    select ctid, due_at from walhook.deliveries d
    where webhook_id = ${p.webhookId} and share = s.share and due_at <= now() and taken_by is null and due_at < 'infinity'
      and not ${waitsForStream('d')}
    order by due_at limit ${p.most}
  ) d
  order by d.due_at limit ${p.most}
), locked as materialized (
  select l.ctid
  from due
  cross join lateral (
    select ctid from walhook.deliveries where ctid = due.ctid and taken_by is null for no key update skip locked
  ) l
)
update walhook.deliveries d
set taken_by = ${p.holderId}
from locked
where d.ctid = locked.ctid
returning d.entity_type, d.entity_id, d.event_id`,
)

type Key = { readonly entityType: string; readonly entityId: string; readonly eventId: TimeId }
const keys = rows<Key>(ofEvent)

/**
 * Puts back what is behind an older row of its entity, or behind one that is under way: an event was sent by its stream while the row
 * waited, and has a row of its own since then, with the holder that sends it. A statement of its own, which sees what was ended until the
 * rows were locked. Whoever ends the other one waits for this, and makes the row due then.
 */
const putBackBehind = statement(
  'put_back_behind',
  { webhookId: 'int', keys },
  p => `
with s as materialized (
  select * from ${p.keys('s')}
), behind as materialized (
  select d.ctid
  from s
  cross join ${rowOfS('ctid', p.webhookId)} d
  where exists (
    select 1 from walhook.deliveries o
    where o.webhook_id = ${p.webhookId} and o.entity_type = s.entity_type and o.entity_id = s.entity_id
      and (o.event_id < s.event_id or o.event_id > s.event_id and ${isTaken('o')} and not exists (
        select 1 from s taken
        where taken.entity_type = o.entity_type and taken.entity_id = o.entity_id and taken.event_id = o.event_id
      ))
    offset 0
  )
)
update walhook.deliveries d
set taken_by = null, due_at = 'infinity'
from behind
where d.ctid = behind.ctid`,
)

const readTaken = statement(
  'read_taken',
  { webhookId: 'int', holderId: 'int', keys },
  p => `
select ${deliveryColumns}
from ${p.keys('s')}
cross join ${rowOfS('*', p.webhookId)} d
${itsEvent}
where d.taken_by = ${p.holderId}
order by d.event_id`,
)

const nextDue = statement(
  'next_due',
  { webhookId: 'int', shares: 'smallint[]' },
  p => `
select ${dueInMs('min(d.due_at)', 'clock_timestamp()')} as due_in_ms
from unnest(${p.shares}) as s (share)
cross join lateral (
  select due_at from walhook.deliveries
  where webhook_id = ${p.webhookId} and share = s.share and taken_by is null and due_at < 'infinity'
  order by due_at limit 1
) d`,
)

/** Rows that were taken, and when the earliest of those that are left is due; null: none is. */
export type Picked = { readonly deliveries: readonly Delivery[]; readonly nextDueInMs: number | null }

/**
 * Takes up to `limit` rows of a webhook that are due, the oldest of their entities only: from now on this holder sends them.
 * Nothing, where it is fenced.
 */
export async function pickDue(
  outbox: Outbox,
  input: { holderId: number; webhookId: number; shares: readonly number[]; limit: number },
): Promise<Picked> {
  const { holderId, webhookId, limit } = input
  const picked = await asHolder(outbox, holderId, async (client, held) => {
    const shares = input.shares.filter(share => held.shares.has(share))
    if (shares.length === 0) return null
    const due = await takeDue(client, { holderId, webhookId, shares, most: Math.max(0, limit) })
    const taken = due.rows.map(fields<Key>)
    const [, read, left] = await Promise.all([
      taken.length > 0 && putBackBehind(client, { webhookId, keys: taken }),
      taken.length > 0 && readTaken(client, { webhookId, holderId, keys: taken }),
      nextDue(client, { webhookId, shares }),
    ])
    const leftInMs: number | null = left.rows[0].due_in_ms
    const isLeftAlone = taken.length === 0 && limit > 0 && leftInMs !== null
    return {
      deliveries: read ? read.rows.map(fromRow) : [],
      nextDueInMs: isLeftAlone ? Math.max(leftInMs, waitForStreamMs) : leftInMs,
    }
  })
  return picked ?? { deliveries: [], nextDueInMs: null }
}
