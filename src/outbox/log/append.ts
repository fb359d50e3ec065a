import type pg from 'pg'
import type { ParkedChange, StoredEvent } from '../../domain/event/event.ts'
import { formatLsn, type Lsn } from '../../domain/value/lsn.ts'
import type { TimeId } from '../../domain/value/time-id.ts'
import { ofEntity } from '../database/row-keys.ts'
import { arrays, rows, statement } from '../database/statement.ts'
import { type EventColumns, eventColumns, eventColumnsOf } from './event-columns.ts'

/** The channel that notifies delivering processes of commits. */
export const wakeChannel = 'walhook_outbox'

/** Thrown if the position moved: another process captures now, and stores the same changes. */
export class PositionMoved extends Error {
  constructor(slotName: string, expected: Lsn) {
    super(`the position of slot ${slotName} is no longer ${formatLsn(expected)}: another process captures it`)
  }
}

/**
 * Stores events and moves the position, atomically, in one statement. Its cost does not depend on the webhooks.
 *
 * - current: the version of the webhooks in this snapshot, which determines who wanted the events. It rises along the log,
 *   since appends are sequential.
 * - moved: the compare-and-set that fences off a replaced process. Everything below depends on it. An append that
 *   waited here while a webhook moved in (`moveIn`) is refused too, because its version is older
 *
 * It notifies listeners of the last event, once that is visible.
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
    notifies: 'boolean',
    events: arrays(eventColumns),
    parked: rows<ParkedChange>(
      { commitLsn: 'pg_lsn', ...ofEntity, actionType: 'text', reason: 'text' },
      { index_in_transaction: ['int', change => change.index] },
    ),
  },
  p => `
with current as (
  select version from walhook.webhooks_version
), moved as (
  update walhook.positions
  set commit_lsn = ${p.commitLsn}, confirmed_lsn = greatest(confirmed_lsn, ${p.confirmableLsn}),
      last_event_id = greatest(last_event_id, ${p.lastEventId}), read_lsn = greatest(read_lsn, ${p.readLsn}),
      webhooks_version = (select version from current), updated_at = now()
  where slot_name = ${p.slotName} and commit_lsn = ${p.expected} and webhooks_version <= (select version from current)
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
  select p.commit_lsn, p.index_in_transaction, p.entity_type, p.entity_id, p.action_type, p.reason
  from moved, ${p.parked('p')}
)
select webhooks_version, case when ${p.notifies} then pg_notify('${wakeChannel}', ${p.lastEventId}::text) end from moved`,
)

/**
 * Appends `events` (ids ascending above the position's `lastEventId`, in commit order), parks changes that can't be events,
 * and moves `slotName`'s position from `expected` to `commitLsn`. With a pool it commits; with a client in a transaction,
 * parts of a large source transaction become visible together. Returns the webhooks' version of the events. Throws
 * `PositionMoved` without any effect.
 */
export async function append(
  db: pg.Pool | pg.PoolClient,
  input: {
    slotName: string
    expected: Lsn
    commitLsn: Lsn
    /** The confirmable position of the slot after this commit. */
    confirmableLsn: Lsn
    lastEventId: TimeId
    /** A list, or columns, which must not change meanwhile. */
    events: readonly StoredEvent[] | EventColumns
    parked: readonly ParkedChange[]
    /** The only webhook to send them to; absent or null: all that want them. */
    onlyWebhookId?: number | null
    /** The end of the source's WAL when the events' values were read from its tables; null: none were. */
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
    notifies: events.count() > 0,
    events: events.values(),
  })
  if (moved.length === 0) throw new PositionMoved(input.slotName, input.expected)
  return { webhooksVersion: moved[0].webhooks_version }
}
