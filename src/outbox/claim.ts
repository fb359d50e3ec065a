import { claimBatches } from './claim-batches.ts'
import type { Outbox } from './database.ts'
import { type ClaimInput, type Lane, leaseDueLanes } from './lanes.ts'
import { type Claimed, type ClaimedDelivery, itsEvent, toClaimed } from './shipment.ts'
import { supersedeIn } from './supersede.ts'

/**
 * The oldest delivery of each leased lane. A statement of its own, after the lease: a snapshot taken before the
 * lane was locked could still show a delivery that the lane's last holder has just finished. What was asked for by hand
 * since the lease began is not for it, so that everybody knows what is in flight. The arrays come out of subqueries so that
 * the planner does not see how long they are: it would plan anew for each short one, at many times the cost of running it.
 */
const oldestDeliveriesStatement = `
select l.entity_type, l.entity_id, d.event_id, d.attempts, d.is_manual, d.with_previous, d.as_new, e.action_type, e.body,
       case when d.with_previous then e.previous end as previous, case when d.with_previous then e.omitted end as omitted
from unnest((select $2::text[]), (select $3::text[])) as l (entity_type, entity_id)
cross join lateral (
  select event_id, attempts, is_manual, with_previous, as_new from walhook.deliveries
  where webhook_id = $1 and entity_type = l.entity_type and entity_id = l.entity_id
    and asked_during is distinct from $4
  order by event_id limit 1
) d
${itsEvent}`

/**
 * Claims what a webhook is sent next, in up to `limit` shipments, and leases its lanes for `leaseMs` under the token
 * `lease` (a UUID used for nothing else). Until then no other process claims them; after that anybody may. For a
 * webhook that wants only the latest state, the older events of each lane are superseded first.
 */
export async function claim(outbox: Outbox, input: ClaimInput): Promise<Claimed> {
  const { webhookId, mode, batch, lease } = input
  if (batch !== null) return await claimBatches(outbox, { ...input, batch })
  const leased = await leaseDueLanes(outbox, input)
  const { lanes, isMoreDue } =
    mode === 'latest' ? await supersedeIn(outbox, input, leased) : { lanes: leased, isMoreDue: false }
  const deliveries = await readOldest(outbox, { webhookId, lease, lanes })
  return {
    shipments: deliveries.map(delivery => ({ webhookId, batchId: null, deliveries: [delivery] })),
    lookAgainInMs: isMoreDue ? 0 : null,
  }
}

async function readOldest(
  outbox: Outbox,
  { webhookId, lease, lanes }: { webhookId: number; lease: string; lanes: readonly Lane[] },
): Promise<ClaimedDelivery[]> {
  if (lanes.length === 0) return []
  const { rows } = await outbox.pool.query({
    name: 'oldest_deliveries',
    text: oldestDeliveriesStatement,
    values: [webhookId, lanes.map(lane => lane.entityType), lanes.map(lane => lane.entityId), lease],
  })
  return rows.map(row => toClaimed(row, { webhookId, lease }))
}
