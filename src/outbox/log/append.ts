import type pg from 'pg'
import type { ParkedChange, StoredEvent } from '../../domain/event/event.ts'
import { formatLsn, type Lsn } from '../../domain/value/lsn.ts'
import type { TimeId } from '../../domain/value/time-id.ts'
import { arrays, rows, statement } from '../database/statement.ts'
import { type EventColumns, eventColumns, eventColumnsOf } from './event-columns.ts'

/** The channel on which a commit to the outbox is told to every process that delivers. */
export const wakeChannel = 'walhook_outbox'

/**
 * Thrown when the position is not where this process left it: another process captures now, and what this one
 * wanted to store is stored by that one.
 */
export class PositionMoved extends Error {
  constructor(slotName: string, expected: Lsn) {
    super(`the position of slot ${slotName} is no longer ${formatLsn(expected)}: another process captures it`)
  }
}

/**
 * Stores events and moves the position, all or nothing, in one statement. No webhook is looked at, however many there are.
 *
 * - current: the version of the webhooks, of this statement's snapshot: whoever judges an event by it knows which webhooks
 *            wanted it. It only rises along the log, since appends come one after the other.
 * - moved:   the compare-and-set that fences off a replaced process. Everything below hangs on it.
 *
 * Whoever listens hears of the last event, once it can be seen.
 */
const appendStatement = statement(
  'append',
  {
    slotName: 'text',
    expected: 'pg_lsn',
    commitLsn: 'pg_lsn',
    confirmableLsn: 'pg_lsn',
    readLsn: 'pg_lsn',
    lastEventId: 'bigint',
    onlyWebhookId: 'int',
    isTold: 'boolean',
    events: arrays(eventColumns),
    parked: rows<ParkedChange>({
      commit_lsn: ['pg_lsn', change => change.commitLsn],
      index_in_transaction: ['int', change => change.index],
      entity_type: ['text', change => change.entityType],
      entity_id: ['text', change => change.entityId],
      action_type: ['text', change => change.actionType],
      reason: ['text', change => change.reason],
    }),
  },
  p => `
with current as (
  select version from walhook.webhooks_version
), moved as (
  update walhook.positions
  set commit_lsn = ${p.commitLsn}, confirmed_lsn = greatest(confirmed_lsn, ${p.confirmableLsn}),
      last_event_id = greatest(last_event_id, ${p.lastEventId}), read_lsn = greatest(read_lsn, ${p.readLsn}),
      webhooks_version = (select version from current), updated_at = now()
  where slot_name = ${p.slotName} and commit_lsn = ${p.expected}
  returning webhooks_version
), stored as (
  insert into walhook.events
    (id, share, commit_lsn, index_in_transaction, entity_type, entity_id, action_type, committed_at, body, previous,
     changed, omitted, tenant, tenant_before, only_webhook_id, webhooks_version)
  select e.id, e.share, e.commit_lsn, e.index_in_transaction, e.entity_type, e.entity_id, e.action_type, e.committed_at,
         e.body, e.previous, e.changed::text[], e.omitted::text[], e.tenant, e.tenant_before, ${p.onlyWebhookId}, moved.webhooks_version
  from moved, ${p.events('e')}
), parked as (
  insert into walhook.parked_changes (commit_lsn, index_in_transaction, entity_type, entity_id, action_type, reason)
  select p.* from moved, ${p.parked('p')}
)
select webhooks_version, case when ${p.isTold} then pg_notify('${wakeChannel}', ${p.lastEventId}::text) end from moved`,
)

/**
 * Appends `events` (ids rising above the position's `lastEventId`, in commit order), sets aside what no event could
 * be made of, and moves the position of `slotName` from `expected` to `commitLsn`. Run on a pool it commits by itself; run on a client inside a
 * transaction, a large source transaction is appended in parts that become visible together.
 * Returns the version of the webhooks that the events were appended under. Throws `PositionMoved`, having stored nothing.
 */
export async function append(
  db: pg.Pool | pg.PoolClient,
  input: {
    slotName: string
    expected: Lsn
    commitLsn: Lsn
    /** Up to where the slot may be confirmed once this has committed. */
    confirmableLsn: Lsn
    lastEventId: TimeId
    /** A list, or already written down as columns, which must not be changed meanwhile. */
    events: readonly StoredEvent[] | EventColumns
    parked: readonly ParkedChange[]
    /** The webhook that the events are for; absent or null for every one that wants them. */
    onlyWebhookId?: number | null
    /** Up to where the source's WAL went when what the events tell was read from its tables; null: nothing was. */
    readLsn?: Lsn | null
  },
): Promise<{ readonly webhooksVersion: number }> {
  const events = 'add' in input.events ? input.events : eventColumnsOf(input.events)
  const { rows: moved } = await appendStatement(db, {
    ...input,
    expected: formatLsn(input.expected),
    commitLsn: formatLsn(input.commitLsn),
    confirmableLsn: formatLsn(input.confirmableLsn),
    readLsn: input.readLsn == null ? null : formatLsn(input.readLsn),
    onlyWebhookId: input.onlyWebhookId ?? null,
    isTold: events.count() > 0,
    events: events.values(),
  })
  if (moved.length === 0) throw new PositionMoved(input.slotName, input.expected)
  return { webhooksVersion: moved[0].webhooks_version }
}
