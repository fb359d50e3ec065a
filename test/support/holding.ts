import { shareCount } from '../../src/domain/delivery/share.ts'
import type { AsideRow } from '../../src/outbox/aside/aside.ts'
import type { Delivery } from '../../src/outbox/aside/shipment.ts'
import { lockHolder } from '../../src/outbox/database/fence.ts'
import { claimShares, join } from '../../src/outbox/holders/holders.ts'
import { type Settlement, settle } from '../../src/outbox/settle/settle.ts'
import type { TestOutbox } from './open-outbox.ts'
import { settlementOf } from './sending.ts'

/** A holder that has claimed up to `most` shares. */
export async function joined(at: TestOutbox, max = shareCount, aliveMs = 60_000): Promise<number> {
  const { holderId } = await join(at.outbox, { aliveMs })
  await claimShares(at.outbox, { holderId, max })
  return holderId
}

/** Events as a stream brings them to a webhook. */
export async function streamed(
  at: TestOutbox,
  webhookId: number,
  ids: readonly bigint[],
): Promise<Delivery[]> {
  const { rows } = await at.outbox.pool.query(
    'select id, share, entity_type, entity_id, action_type, body from walhook.events where id = any($1) order by id',
    [ids],
  )
  return rows.map(row => ({
    webhookId,
    share: row.share,
    entityType: row.entity_type,
    entityId: row.entity_id,
    eventId: row.id,
    attempts: 0,
    isManual: false,
    actionType: row.action_type,
    asNew: false,
    asDelete: false,
    withPrevious: false,
    body: row.body,
  }))
}

/** A settlement of what a stream brought, and has no row. */
export function ofStream(delivery: Delivery, change: Parameters<typeof settlementOf>[1] = {}): Settlement {
  const settlement = settlementOf(delivery, change)
  return { ...settlement, shipment: { ...settlement.shipment, isAside: false } }
}

/** A row to be set aside: behind what waits of its entity, unless told otherwise. */
export const asideOf = (
  delivery: Delivery,
  change: Partial<Pick<AsideRow, 'dueInMs' | 'takenBy'>> = {},
): AsideRow => ({ ...delivery, dueInMs: null, takenBy: null, ...change })

export const settleAs = (
  at: TestOutbox,
  holderId: number,
  settlements: readonly Settlement[],
  aside: readonly AsideRow[] = [],
) => settle(at.outbox, holderId, { settlements, aside })

/** The rows of the queue in the order of their events, as `1 new: due`, `1 update: behind`, `2 new: later, 1 attempt, taken by 7`. */
export async function rowsOf(at: TestOutbox): Promise<string[]> {
  const { rows } = await at.outbox.pool.query(`
    select e.entity_id || ' ' || e.action_type || ': '
           || case when d.due_at = 'infinity' then 'behind' when d.due_at > now() then 'later' else 'due' end
           || case when d.attempts > 0 then ', tried ' || d.attempts else '' end
           || case when d.batch_id is not null then ', in a batch' else '' end
           || case when d.taken_by is not null then ', taken by ' || d.taken_by else '' end as line
    from walhook.deliveries d join walhook.events e on e.id = d.event_id
    order by d.event_id, d.webhook_id`)
  return rows.map(({ line }) => line)
}

/** Keeps a holder's lock as one of its own transactions does; returns what ends that. */
export async function busyHolder(at: TestOutbox, holderId: number): Promise<() => Promise<void>> {
  const client = await at.outbox.pool.connect()
  await client.query('begin')
  await lockHolder(client, holderId)
  return async () => {
    await client.query('commit')
    client.release()
  }
}
