import { bytesFree } from '../../domain/delivery/portion.ts'
import type { Outbox } from '../database/database.ts'
import { asHolder } from '../database/fence.ts'
import { fields } from '../database/fields.ts'
import { type EventKey, ofEvent, rowOfS } from '../database/row-keys.ts'
import { rows, statement } from '../database/statement.ts'
import { bytesOf } from '../log/log.ts'
import { dueInMs } from './aside.ts'
import { waitForStreamMs, waitingForStream, waitsForStream } from './pulled.ts'
import { type Delivery, deliveryColumns, fromRow, itsEvent } from './shipment.ts'
import { isTaken } from './taken.ts'

/**
 * Takes due rows, as many as fit: at least one. Each share is read in index order, so that only candidates are sorted. A row
 * that changed before it was locked is left for the next time.
 */
const takeDue = statement(
  'take_due',
  { holderId: 'int', webhookId: 'int', shares: 'smallint[]', max: 'int', maxBytes: 'bigint' },
  p => `
with ${waitingForStream(p.webhookId)}, due as materialized (
  select d.*
  from unnest(${p.shares}) as s (share)
  cross join lateral (
    select ctid, due_at, event_id from walhook.deliveries d
    where webhook_id = ${p.webhookId} and share = s.share and due_at <= now() and taken_by is null and due_at < 'infinity'
      and not ${waitsForStream('d')}
    order by due_at limit ${p.max}
  ) d
  order by d.due_at limit ${p.max}
), sized as materialized (
  select due.ctid, sum(event.bytes) over (order by due.due_at, due.event_id) - event.bytes as bytes_before
  from due
  cross join lateral (select coalesce((select ${bytesOf} from walhook.events e where e.id = due.event_id), 0) as bytes) event
), locked as materialized (
  select l.ctid
  from sized
  cross join lateral (
    select ctid from walhook.deliveries where ctid = sized.ctid and taken_by is null for no key update skip locked
  ) l
  where sized.bytes_before < ${p.maxBytes}
)
update walhook.deliveries d
set taken_by = ${p.holderId}
from locked
where d.ctid = locked.ctid
returning d.entity_type, d.entity_id, d.event_id`,
)

const keys = rows<EventKey>(ofEvent)

/**
 * Puts back rows that an older row or one in flight blocks: the stream sent an event meanwhile, which has a row with its
 * holder now. A separate statement, which sees rows ended before the lock. The end of the other row waits for this, and makes
 * the row due.
 */
const blockTaken = statement(
  'block_taken',
  { webhookId: 'int', keys },
  p => `
with s as materialized (
  select * from ${p.keys('s')}
), blocked as materialized (
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
from blocked
where d.ctid = blocked.ctid`,
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

/** The taken rows, and when the next one is due; null: none. */
type Picked = { readonly deliveries: readonly Delivery[]; readonly nextDueInMs: number | null }

/**
 * Takes up to `limit` due rows of a webhook, or `maxBytes` and at least one, only the oldest of each entity: this holder sends
 * them now. None if it is fenced.
 */
export async function pickDue(
  outbox: Outbox,
  input: {
    holderId: number
    webhookId: number
    shares: readonly number[]
    limit: number
    maxBytes?: number
  },
): Promise<Picked> {
  const { holderId, webhookId, limit, maxBytes = bytesFree(0) } = input
  const picked = await asHolder(outbox, holderId, async (client, held) => {
    const shares = input.shares.filter(share => held.shares.has(share))
    if (shares.length === 0) return null
    const max = Math.max(0, limit)
    const due = await takeDue(client, { holderId, webhookId, shares, max, maxBytes: BigInt(maxBytes) })
    const taken = due.rows.map(fields<EventKey>)
    const [, read, left] = await Promise.all([
      taken.length > 0 && blockTaken(client, { webhookId, keys: taken }),
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
