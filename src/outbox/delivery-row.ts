import { type Delivery, toDelivery } from './shipment.ts'

/** What `fromRow` reads of a row of deliveries `d` and its event `e` (`itsEvent`). */
export const deliveryColumns = `
d.webhook_id, d.share, d.entity_type, d.entity_id, d.event_id, d.attempts, d.is_manual, d.with_previous, d.as_new,
d.batch_id, e.action_type, e.body,
case when d.with_previous then e.previous end as previous, case when d.with_previous then e.omitted end as omitted`

// biome-ignore lint/suspicious/noExplicitAny: as node-postgres gives it
export function fromRow(row: any): Delivery {
  const event = {
    id: row.event_id,
    share: row.share,
    entityType: row.entity_type,
    entityId: row.entity_id,
    actionType: row.action_type,
    body: row.body,
    previous: row.previous,
    omitted: row.omitted,
  }
  return toDelivery(event, row.webhook_id, {
    attempts: row.attempts,
    isManual: row.is_manual,
    asNew: row.as_new,
    withPrevious: row.with_previous,
  })
}
