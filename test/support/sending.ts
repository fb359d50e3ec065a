import { shareCount } from '../../src/domain/delivery/share.ts'
import { setAside } from '../../src/outbox/aside/aside.ts'
import { pickDue } from '../../src/outbox/aside/pick-due.ts'
import type { Delivery } from '../../src/outbox/aside/shipment.ts'
import { cancelRows, skipWaiting, type Waiting } from '../../src/outbox/by-hand/cancel.ts'
import { resendEvent } from '../../src/outbox/by-hand/resend.ts'
import { repeatableTransaction } from '../../src/outbox/database/database.ts'
import { lockHolder } from '../../src/outbox/database/fence.ts'
import { claimShares, join } from '../../src/outbox/holders/holders.ts'
import { saveProgress } from '../../src/outbox/holders/streams.ts'
import { readLogFor } from '../../src/outbox/log/log.ts'
import { type Settlement, settle as settleAs } from '../../src/outbox/settle/settle.ts'
import type { TestOutbox } from './open-outbox.ts'

/*
 * One process that delivers, for tests of what it meets in the tables: it holds all shares, and sends what waits for a
 * webhook as rows, which it has set aside before.
 */

const holders = new WeakMap<TestOutbox, Promise<number>>()
export const allShares = Array.from({ length: shareCount }, (_, share) => share)

/** The holder of all shares, which the test is from the first call on. */
export function holderOf(at: TestOutbox): Promise<number> {
  const known = holders.get(at)
  if (known) return known
  const joined = (async () => {
    const { holderId } = await join(at.outbox, { aliveMs: 60_000 })
    await claimShares(at.outbox, { holderId, max: shareCount })
    return holderId
  })()
  holders.set(at, joined)
  return joined
}

const pulls = new WeakMap<TestOutbox, Promise<void>>()

/** Sets aside what waits for a webhook in the log, one call after the other: what its stream would have sent is due as rows. */
export function pull(at: TestOutbox, webhookId: number): Promise<void> {
  const next = (pulls.get(at) ?? Promise.resolve()).then(() => pullOnce(at, webhookId))
  pulls.set(
    at,
    next.catch(() => {}),
  )
  return next
}

async function pullOnce(at: TestOutbox, webhookId: number): Promise<void> {
  const holderId = await holderOf(at)
  const { rows } = await at.outbox.pool.query(
    `select m.share, coalesce(o.settled_up_to, m.settled_up_to) as position, w.previous
     from walhook.shares m join walhook.webhooks w on w.id = $1
     left join walhook.streams o on o.webhook_id = w.id and o.share = m.share`,
    [webhookId],
  )
  const positionOf = new Map<number, bigint>(rows.map(({ share, position }) => [share, position]))
  let after: bigint = [...positionOf.values()].sort((a, b) => Number(a - b))[0]!
  for (;;) {
    const page = await readLogFor(at.outbox, {
      limit: 1_000_000,
      webhookId,
      tenant: null,
      shares: allShares,
      after,
      scan: 10_000,
      maxBytes: 100_000_000,
    })
    const events = page.events.filter(({ id, share }) => id > positionOf.get(share)!)
    await repeatableTransaction(at.outbox.pool, async client => {
      await lockHolder(client, holderId)
      await setAside(
        client,
        events.map(({ id, share, entityType, entityId }) => ({
          webhookId,
          share,
          entityType,
          entityId,
          eventId: id,
          attempts: 0,
          withPrevious: rows[0].previous,
          asNew: false,
          asDelete: false,
          dueInMs: null,
          takenBy: null,
        })),
      )
    })
    if (page.readUpTo === after) break
    after = page.readUpTo
  }
  const streams = allShares.map(share => ({ webhookId, share, settledUpTo: after, maySendUpTo: after }))
  await saveProgress(at.outbox, { holderId, main: [], streams, gone: [] })
}

/** What is due of a webhook, taken: the next delivery of each entity. */
export async function claim(at: TestOutbox, webhookId: number, limit = 100): Promise<readonly Delivery[]> {
  await pull(at, webhookId)
  const holderId = await holderOf(at)
  return (await pickDue(at.outbox, { holderId, webhookId, shares: allShares, limit })).deliveries
}

/** The same as a batch of one request, with an id. */
export async function claimBatch(
  at: TestOutbox,
  webhookId: number,
  batchId: bigint,
): Promise<readonly [Delivery, ...Delivery[]]> {
  const deliveries = await claim(at, webhookId)
  await at.outbox.pool.query(
    `insert into walhook.batches (webhook_id, id, share, due_at, taken_by) values ($1, $2, $3, now(), $4)`,
    [webhookId, batchId, deliveries[0]!.share, await holderOf(at)],
  )
  await at.outbox.pool.query(
    `update walhook.deliveries set batch_id = $2, taken_by = null, due_at = 'infinity'
     where webhook_id = $1 and event_id = any($3)`,
    [webhookId, batchId, deliveries.map(({ eventId }) => eventId)],
  )
  return deliveries as [Delivery, ...Delivery[]]
}

/** Settles what was claimed. */
export async function settle(at: TestOutbox, ...settlements: readonly Settlement[]) {
  return await settleAs(at.outbox, await holderOf(at), { settlements, aside: [] })
}

/** A settlement of a row that was taken: delivered, unless told otherwise. */
export function settlementOf(
  delivery: Delivery,
  change: Partial<Omit<Settlement, 'shipment'>> = {},
): Settlement {
  const isDelivered = change.next === undefined || change.next.state === 'done'
  return {
    shipment: { webhookId: delivery.webhookId, batchId: null, isAside: true, deliveries: [delivery] },
    next: { state: 'done' },
    disable: null,
    isFailing: !isDelivered,
    isOverdue: false,
    holdMs: 0,
    attempt: {
      webhookId: delivery.webhookId,
      trigger: 'schedule',
      eventId: delivery.eventId,
      eventIds: null,
      messageId: `msg_${delivery.webhookId}_${delivery.eventId}`,
      entityType: delivery.entityType,
      entityId: delivery.entityId,
      actionType: delivery.actionType,
      number: delivery.attempts + 1,
      request: { url: 'https://crm.example.com/', headers: { 'webhook-id': 'x' }, body: delivery.body },
      startedAt: new Date(),
      durationMs: 12.5,
      phases: { first_byte: 10 },
      remoteAddress: null,
      response: isDelivered ? { status: 204, headers: { a: 'b' }, body: '', truncated: false } : null,
      outcome: isDelivered ? 'delivered' : 'unreachable',
      errorClass: isDelivered ? null : 'timeout',
      errorMessage: isDelivered ? null : 'The receiver did not answer.',
    },
    ...change,
  }
}

/** What becomes of a settled delivery that is tried again after `waitMs`. */
export const retry = (waitMs: number) => ({ next: { state: 'retry' as const, waitMs, costsAttempt: true } })

/** Settles what is due of a webhook, the next delivery of each entity: delivered, unless told otherwise. */
export async function settleAll(
  at: TestOutbox,
  webhookId: number,
  change: Parameters<typeof settlementOf>[1] = {},
): Promise<readonly Delivery[]> {
  const deliveries = await claim(at, webhookId)
  await settle(at, ...deliveries.map(delivery => settlementOf(delivery, change)))
  return deliveries
}

/** A resend in a transaction of its own. */
export const resend = (at: TestOutbox, input: Parameters<typeof resendEvent>[1]) =>
  repeatableTransaction(at.outbox.pool, client => resendEvent(client, input))

/** Cancels what waits, as rows and in the log. Returns how many rows. */
export async function cancel(at: TestOutbox, waiting: Waiting, limit = 1_000): Promise<number> {
  await repeatableTransaction(at.outbox.pool, client => skipWaiting(client, waiting))
  return (await repeatableTransaction(at.outbox.pool, client => cancelRows(client, waiting, limit))).cancelled
}
