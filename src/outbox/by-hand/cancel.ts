import type pg from 'pg'
import type { Entity } from '../../domain/event/entity.ts'
import type { TimeId } from '../../domain/value/time-id.ts'
import { wakeNext } from '../aside/aside.ts'
import { endEmptyBatches } from '../aside/dissolve-batches.ts'
import { isTaken } from '../aside/taken.ts'
import { planTransactionByIndex } from '../database/database.ts'
import { lockAllHolders } from '../database/fence.ts'
import { fields } from '../database/fields.ts'
import { newId } from '../database/new-ids.ts'
import { ofEntity, oldestOfS } from '../database/row-keys.ts'
import { rows, statement } from '../database/statement.ts'
import { positionsOf, recordEnded } from '../log/waits.ts'
import { askedPositions } from './ask.ts'
import { notifyByHand } from './by-hand.ts'
import { countPage, type Skipped } from './count-skipped.ts'

/** A part of a webhook's pending events: all, one entity's, or one. */
export type Waiting = {
  readonly webhookId: number
  readonly entity: Entity | null
  readonly eventId: TimeId | null
  /** The newest event to cancel. */
  readonly upTo: TimeId
}

const ofRows = {
  webhookId: 'int',
  entityType: 'text',
  entityId: 'text',
  from: 'bigint',
  upTo: 'bigint',
  max: 'int',
} as const
type OfRows = { readonly [Name in keyof typeof ofRows]: string }
type Where = (p: OfRows) => string

const ofEntityFrom: Where = p =>
  `d.entity_type = ${p.entityType} and d.entity_id = ${p.entityId} and d.event_id >= ${p.from}`
const ofWebhookFrom: Where = p =>
  `(d.entity_type, d.entity_id, d.event_id) > (${p.entityType}, ${p.entityId}, ${p.from})`

/** A webhook's oldest untaken rows, up to a number, in key order so that the index is read. */
const doomed = (p: OfRows, where: Where) => `
doomed as materialized (
  select d.*, d.ctid as row from walhook.deliveries d
  where d.webhook_id = ${p.webhookId} and ${where(p)} and d.event_id <= ${p.upTo} and not ${isTaken('d')}
  order by d.webhook_id, d.entity_type, d.entity_id, d.event_id limit ${p.max}
)`

const recordRowsWhere = (name: string, where: Where) =>
  statement(name, ofRows, p => `with ${doomed(p, where)} ${recordEnded('cancelled', 'doomed')}`)

/** Deletes them. Returns the count and the oldest row per entity. */
const deleteRowsWhere = (name: string, where: Where) =>
  statement(
    name,
    ofRows,
    p => `
with ${doomed(p, where)}, gone as (
  delete from walhook.deliveries d using doomed k
  where d.ctid = k.row
)
select entity_type, entity_id, count(*)::int as cancelled, min(event_id) as oldest,
       array_remove(array_agg(distinct batch_id), null) as batch_ids
from doomed group by entity_type, entity_id`,
  )

/** Two statements about the same rows: all holders are stopped. */
const cancelRowsOfEntity = {
  record: recordRowsWhere('record_rows_of_entity', ofEntityFrom),
  delete: deleteRowsWhere('cancel_rows_of_entity', ofEntityFrom),
}
const cancelRowsOfWebhook = {
  record: recordRowsWhere('record_rows_of_webhook', ofWebhookFrom),
  delete: deleteRowsWhere('cancel_rows_of_webhook', ofWebhookFrom),
}

type Changed = Entity & { readonly oldest: TimeId }

/** Entities whose oldest row was cancelled. */
const movedOn = statement(
  'moved_on',
  { webhookId: 'int', entities: rows<Changed>({ ...ofEntity, oldest: 'bigint' }) },
  p => `
select s.entity_type, s.entity_id
from ${p.entities('s')}
cross join ${oldestOfS('event_id', p.webhookId)} first
where first.event_id > s.oldest`,
)

/**
 * Cancels up to `limit` pending rows in a transaction of its own. Requests in flight continue, and are settled as usual.
 * Returns the number; `isMore`: there may be others.
 */
export async function cancelRows(
  client: pg.PoolClient,
  { webhookId, entity, eventId, upTo }: Waiting,
  limit: number,
): Promise<{ cancelled: number; isMore: boolean }> {
  await lockAllHolders(client)
  await planTransactionByIndex(client)
  const which = { webhookId, upTo: eventId ?? upTo, max: limit }
  const given = entity
    ? { ...which, ...entity, from: eventId ?? 0n }
    : { ...which, entityType: '', entityId: '', from: 0n }
  const cancelThese = entity ? cancelRowsOfEntity : cancelRowsOfWebhook
  const [, { rows }] = await Promise.all([
    cancelThese.record(client, given),
    cancelThese.delete(client, given),
  ])
  const cancelled: number = rows.reduce((sum, row) => sum + row.cancelled, 0)
  if (cancelled === 0) return { cancelled, isMore: false }
  const entities = rows.map(fields<Changed>)
  const ids: TimeId[] = rows.flatMap(row => row.batch_ids)
  await endEmptyBatches(client, [webhookId], ids)
  const moved = await movedOn(client, { webhookId, entities })
  await wakeNext(
    client,
    moved.rows.map(row => ({ webhookId, ...fields<Entity>(row) })),
  )
  await notifyByHand(client, webhookId)
  return { cancelled, isMore: cancelled === limit }
}

const positionsOfWebhook = statement('positions_of_webhook', { webhookId: 'int' }, p =>
  positionsOf(p.webhookId),
)

const insertSkip = statement(
  'insert_skip',
  { id: 'bigint', webhookId: 'int', entityType: 'text', entityId: 'text', afterId: 'bigint', upTo: 'bigint' },
  p => `
with its as materialized (select id from walhook.webhooks where id = ${p.webhookId})
insert into walhook.skips (id, webhook_id, entity_type, entity_id, after_id, up_to) overriding system value
select ${p.id}, id, ${p.entityType}, ${p.entityId}, ${p.afterId}, ${p.upTo} from its
returning id`,
)

/**
 * Makes a webhook's streams skip pending events in the log, in a transaction of its own. Requests in flight continue. Null:
 * nothing pending there. `isUnsure`: the requested event may be in flight.
 */
export async function skipWaiting(
  client: pg.PoolClient,
  { webhookId, entity, eventId, upTo }: Waiting,
): Promise<{ skipped: Skipped | null; isUnsure: boolean }> {
  await lockAllHolders(client)
  await planTransactionByIndex(client)
  const { rows: positions } = await positionsOfWebhook(client, { webhookId })
  const {
    settled,
    may_send: maySend,
    least,
  }: Record<'settled' | 'may_send', TimeId[]> & { least: TimeId } = positions[0]
  let range = { afterId: least, upTo }
  let isUnsure = false
  if (eventId !== null) {
    const [event] = await askedPositions(client, { webhookId, eventIds: [eventId] })
    isUnsure = event?.state === 'in_flight' && !event.isRow
    if (event?.state !== 'in_log' && !isUnsure) return { skipped: null, isUnsure: false }
    range = { afterId: eventId - 1n, upTo: eventId }
  }
  const skip = { webhookId, entity, ...range, settled, maySend }
  if (range.afterId >= range.upTo) return { skipped: null, isUnsure }
  const near = await countPage(client, skip, range.afterId)
  if (near.skipped === 0 && near.next === null) return { skipped: null, isUnsure }
  const { entityType = null, entityId = null } = entity ?? {}
  const id = await newId(client, 'skips')
  const { rows: made } = await insertSkip(client, { id, webhookId, entityType, entityId, ...range })
  if (!made[0]) return { skipped: null, isUnsure: false }
  await notifyByHand(client, webhookId)
  return { skipped: { ...skip, skipId: made[0].id }, isUnsure }
}
