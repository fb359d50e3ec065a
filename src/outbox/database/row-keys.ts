import type { Entity } from '../../domain/event/entity.ts'
import type { TimeId } from '../../domain/value/time-id.ts'

/** An event of an entity, an entity at a webhook, and an event at a webhook: a delivery row. */
export type EventKey = Entity & { readonly eventId: TimeId }
export type RowEntity = Entity & { readonly webhookId: number }
export type RowKey = RowEntity & EventKey

/** The parameters that identify them. */
export const ofEntity = { entityType: 'text', entityId: 'text' } as const
export const ofEvent = { ...ofEntity, eventId: 'bigint' } as const
export const ofRowEntity = { webhookId: 'int', ...ofEntity } as const
export const ofRow = { webhookId: 'int', ...ofEvent } as const
export const ofBatch = { webhookId: 'int', batchId: 'bigint' } as const

/** `w`: the webhooks with rows in a table, by a walk along its key, one entry each. */
export const webhooksOf = (table: string) => `
recursive w as (
  (select webhook_id from walhook.${table} order by webhook_id limit 1)
  union all
  select next.webhook_id from w cross join lateral (
    select d.webhook_id from walhook.${table} d where d.webhook_id > w.webhook_id order by d.webhook_id limit 1
  ) next
)`

/*
 * Rows are looked up one by one by key, and changed in place (`ctid`). A join might read the whole queue, if its statistics
 * are from when it was empty. `s` is an item of the statement. A row that another transaction changes in between is missed,
 * so unless it belongs to the holder, a separate statement locks it first.
 */
const ofS = (webhookId: string) =>
  `webhook_id = ${webhookId} and entity_type = s.entity_type and entity_id = s.entity_id`

export const rowOfS = (columns: string, webhookId = 's.webhook_id', lock = '') => `lateral (
  select ${columns} from walhook.deliveries where ${ofS(webhookId)} and event_id = s.event_id limit 1 ${lock}
)`

export const oldestOfS = (columns: string, webhookId = 's.webhook_id', lock = '') => `lateral (
  select ${columns} from walhook.deliveries where ${ofS(webhookId)} order by event_id limit 1 ${lock}
)`

export const rowsOfS = (columns: string, webhookId: string, and: string) => `lateral (
  select ${columns} from walhook.deliveries where ${ofS(webhookId)} and ${and} offset 0
)`
