import { claimBatches } from './claim-batches.ts'
import type { Outbox } from './database.ts'
import { type ClaimInput, type Lane, type LeasedLane, leaseDueLanes } from './lanes.ts'
import { type Claimed, type ClaimedDelivery, itsEvent, toClaimed } from './shipment.ts'
import { supersedeIn } from './supersede.ts'

/**
 * The oldest delivery of each leased lane. A statement of its own, after the lease: a snapshot taken before the
 * lane was locked could still show a delivery that the lane's last holder has just finished. What was asked for by hand
 * since the lease began is not for it, so that everybody knows what is in flight. Where the lane says which delivery is its
 * oldest, that one is looked up by its key; to look for the first reads a page of the index, however many wait. The arrays come out of subqueries so that
 * the planner does not see how long they are: it would plan anew for each short one, at many times the cost of running it.
 */
const oldestDeliveriesStatement = `
select l.entity_type, l.entity_id, d.event_id, d.attempts, d.is_manual, d.with_previous, d.as_new, e.action_type, e.body,
       case when d.with_previous then e.previous end as previous, case when d.with_previous then e.omitted end as omitted
from unnest((select $2::text[]), (select $3::text[]), (select $5::bigint[])) as l (entity_type, entity_id, next_event_id)
cross join lateral (
  (
    select event_id, attempts, is_manual, with_previous, as_new from walhook.deliveries
    where webhook_id = $1 and entity_type = l.entity_type and entity_id = l.entity_id
      and event_id = l.next_event_id and asked_during is distinct from $4
  ) union all (
    select event_id, attempts, is_manual, with_previous, as_new from walhook.deliveries
    where webhook_id = $1 and entity_type = l.entity_type and entity_id = l.entity_id
      and asked_during is distinct from $4
    order by event_id limit 1
  ) limit 1
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

/** Where older deliveries were superseded, nobody knows which is the oldest now. */
type MaybeKnown = Lane & Partial<LeasedLane>

async function readOldest(
  outbox: Outbox,
  { webhookId, lease, lanes }: { webhookId: number; lease: string; lanes: readonly MaybeKnown[] },
): Promise<ClaimedDelivery[]> {
  if (lanes.length === 0) return []
  const { rows } = await outbox.pool.query({
    name: 'oldest_deliveries',
    text: oldestDeliveriesStatement,
    values: [
      webhookId,
      lanes.map(lane => lane.entityType),
      lanes.map(lane => lane.entityId),
      lease,
      lanes.map(lane => lane.nextEventId ?? null),
    ],
  })
  return rows.map(row => toClaimed(row, { webhookId, lease }))
}
