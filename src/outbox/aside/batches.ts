import type pg from 'pg'
import type { Outbox } from '../database/database.ts'
import { asHolder } from '../database/fence.ts'
import { statement } from '../database/statement.ts'
import { pickDueBatches } from './due-batches.ts'
import { keepLatestOf } from './latest.ts'
import { type BatchInput, dueEntities, formBatches, maxEvents, remainingMs } from './new-batches.ts'
import { waitForStreamMs, waitingForStream } from './pulled.ts'
import type { Shipment } from './shipment.ts'

type ClaimedBatches = {
  /** Another process has taken over: nothing was claimed. */
  readonly isFenced: boolean
  readonly shipments: readonly Shipment[]
  /** When more can be claimed without a notification, in ms; null: nothing waits. */
  readonly checkAgainInMs: number | null
  /** How many rows wait for a batch, counted up to twice its size. */
  readonly fresh: number
}

/**
 * How many rows wait for a batch, up to a number; the oldest of them; whether one was requested by hand; and whether a batch
 * is due. Locks nothing.
 */
const whatWaits = statement(
  'what_waits_for_a_batch',
  { webhookId: 'int', shares: 'smallint[]', max: 'int' },
  p => `
with ${dueEntities(p)}
select count(*)::int as fresh, min(event_id) as oldest, coalesce(bool_or(is_manual), false) as is_ready,
       (extract(epoch from clock_timestamp()) * 1000)::float8 as now_ms,
       exists (
         select 1 from unnest(${p.shares}) as s (share)
         cross join lateral (
           select 1 from walhook.batches
           where share = s.share and webhook_id = ${p.webhookId} and taken_by is null and due_at <= now() limit 1
         ) b
       ) as is_batch_due
from (
  select d.*
  from due cross join lateral (
    select event_id, is_manual from walhook.deliveries
    where webhook_id = ${p.webhookId} and entity_type = due.entity_type and entity_id = due.entity_id
      and batch_id is null and taken_by is null
    order by event_id limit ${p.max}
  ) d
  limit ${p.max}
) fresh`,
)

/** When the next batch, retry, or row that waits for its stream is due, in ms from now. */
const nextDue = statement(
  'next_due_of_batches',
  { webhookId: 'int', shares: 'smallint[]' },
  p => `
with ${waitingForStream(p.webhookId)}
select least((extract(epoch from least(min(b.due_at), min(d.due_at)) - clock_timestamp()) * 1000)::float8,
             case when exists (select 1 from waiting_for_stream) then ${waitForStreamMs} end) as in_ms
from unnest(${p.shares}) as s (share)
left join lateral (
  select due_at from walhook.batches
  where share = s.share and webhook_id = ${p.webhookId} and taken_by is null order by due_at limit 1
) b on true
left join lateral (
  select due_at from walhook.deliveries
  where webhook_id = ${p.webhookId} and share = s.share and due_at > (select clock_timestamp()) and due_at < 'infinity'
    and taken_by is null
  order by due_at limit 1
) d on true`,
)

/**
 * Claims for a webhook with batches. A pending batch is sent again whole, under its id. Due rows form new ones, the oldest
 * first; an entity's rows are in one batch, in order. The last batch is sent when full, or when one of its events has waited
 * its maximum: `checkAgainInMs`. A batch commits before it is sent, so it is the same after a crash. A holder makes one claim
 * per webhook at a time.
 */
export async function claimBatches(outbox: Outbox, input: BatchInput): Promise<ClaimedBatches> {
  const { webhookId, shares, batch, holderId } = input
  const { rows: found } = await whatWaits(outbox.pool, { webhookId, shares, max: 2 * batch.maxEvents })
  const { fresh, oldest, is_ready, now_ms, is_batch_due } = found[0]
  const readAtMs = performance.now()
  const nowMs = () => now_ms + performance.now() - readAtMs
  const waitMs = fresh === 0 ? null : remainingMs([{ eventId: oldest }], batch, nowMs())
  const isReady = is_batch_due || is_ready || fresh >= batch.maxEvents || waitMs === 0
  if (!isReady || input.limit <= 0) {
    const checkAgainInMs = isReady ? 0 : await earliest(outbox.pool, input, waitMs)
    return { isFenced: false, shipments: [], checkAgainInMs, fresh }
  }

  const claimed = await asHolder(outbox, holderId, async (client, held) => {
    const ours = { ...input, shares: shares.filter(share => held.shares.has(share)) }
    const max = Math.max(1, Math.min(input.limit, Math.floor(maxEvents / batch.maxEvents)))
    const again = await pickDueBatches(client, { ...ours, limit: max })
    const shipments = await withoutSuperseded(client, ours, again.shipments)
    const made = await formBatches(client, ours, { max: max - shipments.length, nowMs })
    const isMoreDue = again.isMoreDue || made.isMoreDue || fresh > made.looked
    return {
      isFenced: false,
      shipments: [...shipments, ...made.shipments],
      checkAgainInMs: isMoreDue ? 0 : await earliest(client, ours, made.waitMs),
      fresh: Math.max(0, fresh - made.shipments.reduce((sum, each) => sum + each.deliveries.length, 0)),
    }
  })
  return claimed ?? { isFenced: true, shipments: [], checkAgainInMs: null, fresh: 0 }
}

/** When there is something to claim: the end of the wait for more events, or anything due earlier. */
async function earliest(
  db: pg.Pool | pg.ClientBase,
  { webhookId, shares }: BatchInput,
  waitMs: number | null,
): Promise<number | null> {
  const { rows } = await nextDue(db, { webhookId, shares })
  const dueInMs: number | null = rows[0].in_ms === null ? null : Math.max(0, rows[0].in_ms)
  return waitMs === null || dueInMs === null ? (waitMs ?? dueInMs) : Math.min(waitMs, dueInMs)
}

/** Drops superseded rows of a webhook with mode `latest`, except batches, which are sent again unchanged. */
async function withoutSuperseded(
  client: pg.ClientBase,
  { mode, webhookId, readUpTo }: BatchInput,
  shipments: readonly Shipment[],
): Promise<readonly Shipment[]> {
  const alone = shipments.filter(({ deliveries }) => deliveries.length === 1)
  if (mode !== 'latest' || alone.length === 0) return shipments
  const deliveries = alone.map(shipment => shipment.deliveries[0])
  const { superseded } = await keepLatestOf(client, { webhookId, deliveries, readUpTo })
  const gone = new Set(superseded.map(({ delivery }) => delivery.eventId))
  return shipments.filter(shipment => !gone.has(shipment.deliveries[0].eventId))
}
