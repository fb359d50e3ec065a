import type pg from 'pg'
import { formatLsn } from '../../domain/value/lsn.ts'
import type { TimeId } from '../../domain/value/time-id.ts'
import type { Outbox } from '../database/database.ts'
import { ofEntity } from '../database/row-keys.ts'
import { moment, now, rows, statement } from '../database/statement.ts'
import { wakeChannel } from '../log/append.ts'
import { bytesOf, fromRow, type LogEvent } from '../log/log.ts'
import { logSlot } from './prepare.ts'

/**
 * A copier reads the cell's position first. Every copy moves the fence, by compare-and-set in the commit that stores the events;
 * so does a change that no earlier read page may follow (`moveFence`).
 */
export type CellPosition = {
  readonly fence: bigint
  /** The cell has the log up to here. */
  readonly copiedUpTo: TimeId
  readonly webhooksVersion: number
  /** The cell's webhooks in this version: an event for one webhook is copied to its cell only. */
  readonly webhookIds: readonly number[]
}

/** The position of a prepared cell, in one snapshot. */
export async function readCellPosition(cell: Pick<Outbox, 'pool'>): Promise<CellPosition> {
  const { rows } = await cell.pool.query({
    name: 'read_cell_position',
    text: `select (p.commit_lsn - '0/0')::bigint as fence, p.last_event_id, v.version,
                  array(select id from walhook.webhooks) as ids
           from walhook.positions p cross join walhook.webhooks_version v where p.slot_name = '${logSlot}'`,
  })
  const { fence, last_event_id: copiedUpTo, version: webhooksVersion, ids: webhookIds } = rows[0]
  return { fence, copiedUpTo, webhooksVersion, webhookIds }
}

/** A complete event of the log. */
export type CopiedEvent = LogEvent & {
  readonly commitLsn: bigint
  readonly index: number
  readonly committedAt: Date
  /** A Postgres array, as text. */
  readonly changedText: string | null
  readonly omittedText: string | null
}

const copiedColumns = `
e.id, e.share, (e.commit_lsn - '0/0')::bigint as commit_lsn, e.index_in_transaction, e.entity_type, e.entity_id, e.action_type,
e.committed_at, e.body, e.previous, e.changed, e.changed::text as changed_text, e.omitted, e.omitted::text as omitted_text, e.tenant,
e.tenant_before, e.only_webhook_id`

/** One snapshot: every event up to its head is in it. Alerts, which are for nobody, are not copied. */
const readStatement = statement(
  'read_to_copy',
  { after: 'bigint', webhookIds: 'int[]', limit: 'int', maxBytes: 'bigint' },
  p => `
with page as materialized (
  select e.*, sum(${bytesOf}) over (order by e.id) - (${bytesOf}) as bytes_before
  from (
    select * from walhook.events
    where id > ${p.after} and (only_webhook_id is null or only_webhook_id = any(${p.webhookIds})) order by id limit ${p.limit}
  ) e
)
select head.id as head, (select count(*)::int from page) as found, ${copiedColumns}
from (select coalesce(max(last_event_id), 0) as id from walhook.positions) head
left join page e on e.bytes_before < ${p.maxBytes}
order by e.id`,
)

/** Events to copy, and where the log has been read up to then. */
type CopiedPage = { readonly events: readonly CopiedEvent[]; readonly upTo: TimeId }

/** Reads the main log behind a cell's position: at most `limit` events, and `maxBytes` bytes or one event. */
export async function readToCopy(
  main: Pick<Outbox, 'pool'>,
  { copiedUpTo, webhookIds }: CellPosition,
  { limit, maxBytes }: { readonly limit: number; readonly maxBytes: number },
): Promise<CopiedPage> {
  const values = { after: copiedUpTo, webhookIds, limit, maxBytes: BigInt(maxBytes) }
  const { rows } = await readStatement(main.pool, values)
  const { head, found } = rows[0]
  const events = rows.filter(row => row.id !== null).map(toCopied)
  const last = events.at(-1)?.id ?? copiedUpTo
  const isAll = found < limit && events.length === found
  return { events, upTo: isAll && head > last ? head : last }
}

// biome-ignore lint/suspicious/noExplicitAny: as node-postgres gives it
function toCopied(row: any): CopiedEvent {
  return {
    // The cell assigns its version when it is stored.
    ...fromRow({ ...row, webhooks_version: 0 }),
    commitLsn: row.commit_lsn,
    index: row.index_in_transaction,
    committedAt: row.committed_at,
    changedText: row.changed_text,
    omittedText: row.omitted_text,
  }
}

const eventRows = rows<CopiedEvent>(
  {
    ...ofEntity,
    id: 'bigint',
    share: 'smallint',
    commitLsn: 'pg_lsn',
    actionType: 'text',
    committedAt: 'timestamptz',
    body: 'text',
    previous: 'text',
    tenant: 'text',
    tenantBefore: 'text',
    onlyWebhookId: 'int',
  },
  {
    index_in_transaction: ['int', event => event.index],
    changed: ['text', event => event.changedText],
    omitted: ['text', event => event.omittedText],
  },
)

const insertFrom = (events: string, version: string) => `
insert into walhook.events
  (id, share, commit_lsn, index_in_transaction, entity_type, entity_id, action_type, committed_at, body, previous,
   changed, omitted, tenant, tenant_before, only_webhook_id, webhooks_version)
select e.id, e.share, e.commit_lsn, e.index_in_transaction, e.entity_type, e.entity_id, e.action_type, e.committed_at,
       e.body, e.previous, e.changed::text[], e.omitted::text[], e.tenant, e.tenant_before, e.only_webhook_id, ${version}
from ${events}`

/**
 * - moved: the compare-and-set, of the version too: events for a webhook added meanwhile are not in the page. A statement that
 *   waited for another's commit sees the new row, but the old version; so adding a webhook moves the fence
 */
const storeStatement = statement(
  'copy_log',
  { fence: 'pg_lsn', upTo: 'bigint', webhooksVersion: 'int', events: eventRows },
  p => `
with ${moment}, moved as (
  update walhook.positions
  set commit_lsn = commit_lsn + 1, last_event_id = ${p.upTo}, webhooks_version = ${p.webhooksVersion}, updated_at = ${now}
  where slot_name = '${logSlot}' and commit_lsn = ${p.fence}
    and ${p.webhooksVersion} = (select version from walhook.webhooks_version)
  returning slot_name
), stored as (
  ${insertFrom(`moved, ${p.events('e')}`, p.webhooksVersion)}
)
select slot_name from moved`,
)

/**
 * Stores a page after its position in one commit, and then notifies the cell's holders. Returns the new position; null: the cell
 * has another position or other webhooks, and nothing was stored.
 */
export async function storeCopied(
  cell: Pick<Outbox, 'pool'>,
  position: CellPosition,
  { events, upTo }: CopiedPage,
): Promise<CellPosition | null> {
  const { fence, webhooksVersion } = position
  const { rows } = await storeStatement(cell.pool, { fence: formatLsn(fence), upTo, webhooksVersion, events })
  if (rows.length === 0) return null
  if (events.length > 0)
    await cell.pool.query(`select pg_notify('${wakeChannel}', $1)`, [String(events.at(-1)!.id)])
  return { ...position, fence: fence + 1n, copiedUpTo: upTo }
}

/** Refuses every page that was read before this commit. */
export async function moveFence(client: pg.ClientBase): Promise<void> {
  await client.query(
    `update walhook.positions set commit_lsn = commit_lsn + 1 where slot_name = '${logSlot}'`,
  )
}
