import type pg from 'pg'
import type { Attempt } from '../../domain/delivery/attempt.ts'
import type { NextOfShipment } from '../../domain/delivery/shipment.ts'
import { isAlertType } from '../../domain/event/alert.ts'
import { type AsideRow, type Due, setAside } from '../aside/aside.ts'
import { dissolveBatches } from '../aside/dissolve-batches.ts'
import type { Shipment } from '../aside/shipment.ts'
import { type Outbox, repeatableTransaction } from '../database/database.ts'
import { lockAllHolders, lockHolder, standing } from '../database/fence.ts'
import { type Disabled, lockHealth, saveHealth, type WebhookReport } from '../records/health.ts'
import { insertAttempts } from './insert-attempts.ts'
import { noteHealth } from './note-health.ts'
import { readHeldBatches, settleRows } from './settle-rows.ts'
import { settledRows } from './settled-rows.ts'

/** A finished attempt, and the next state of its shipment. */
export type Settlement = {
  readonly shipment: Shipment
  readonly attempt: Attempt
  readonly next: NextOfShipment
  /** Set for a 410: the webhook's new `disabled_reason`. */
  readonly disable: string | null
  /** It failed, without a recent success of the webhook. */
  readonly isFailing: boolean
  /** An event is pending for longer than all retries take. */
  readonly isOverdue: boolean
  /** The receiver's Retry-After in ms; 0: none. */
  readonly holdMs: number
}

/** The content of one commit, in writing order; a settlement may concern a row of the same commit. */
export type ToSettle = {
  readonly aside: readonly AsideRow[]
  readonly settlements: readonly Settlement[]
}

export type Settled = {
  /** Another process has taken over: the attempts are logged, and nothing else changed. */
  readonly isFenced: boolean
  /** The newest version of the webhooks: a holder with an older one reads them before sending. */
  readonly webhooksVersion: number
  /** When the earliest remaining delivery of each webhook is due. */
  readonly left: readonly Due[]
  readonly disabled: readonly Pick<Disabled, 'webhookId' | 'reason'>[]
  /** Webhooks that had failed for a while and work again. */
  readonly recovered: readonly number[]
}

/**
 * Settles attempts of any webhooks: log, rows and health change in one commit. Deliveries cancelled during the request are
 * logged and stay cancelled. A fenced holder only logs.
 */
export async function settle(outbox: Outbox, holderId: number, what: ToSettle): Promise<Settled> {
  const settled = await repeatableTransaction(outbox.pool, client =>
    settleIn(client, holderId, what, 'its own'),
  ).catch((error: unknown) => {
    if (error instanceof SharesGone) return null
    throw error
  })
  return (
    settled ?? (await repeatableTransaction(outbox.pool, client => settleIn(client, holderId, what, 'all')))
  )
}

/** Rolls back: another holder serves the shares now, and changes their rows at the same time. */
class SharesGone extends Error {}

async function settleIn(
  client: pg.PoolClient,
  holderId: number,
  what: ToSettle,
  locks: 'its own' | 'all',
): Promise<Settled> {
  const { aside, settlements } = what
  // Before everything else, which is sent together.
  if (locks === 'all') await lockAllHolders(client)
  const [, held, { health, readAtMs }] = await Promise.all([
    locks !== 'all' && lockHolder(client, holderId),
    standing(client, holderId),
    // An attempt's age counts from the reading of the outbox's clock.
    lockHealth(
      client,
      settlements.map(each => newsOf(each, Date.now())),
    ).then(health => ({ health, readAtMs: Date.now() })),
    settlements.length > 0 && insertAttempts(client, settlements.map(toEntry)),
  ])
  if (held === null) return { isFenced: true, webhooksVersion: 0, left: [], disabled: [], recovered: [] }
  if (locks !== 'all' && sharesOf(what).some(share => !held.shares.has(share))) throw new SharesGone()

  const [set, { membersOf, newIds }] = await Promise.all([
    setAside(client, aside),
    readHeldBatches(client, holderId, settlements),
  ])
  const { left, dead } = await settleRows(client, holderId, settledRows(settlements, membersOf, newIds))
  await dissolveBatches(client, webhooksOfFailedBatches(settlements))
  // Healthy webhooks need no save.
  const news = health.length === 0 ? [] : settlements.map(each => newsOf(each, readAtMs))
  const saved = await saveHealth(client, health, news)
  await noteHealth(client, { ...saved, dead })
  return {
    isFenced: false,
    webhooksVersion: held.webhooksVersion,
    left: earliest([...set, ...left]),
    disabled: saved.disabled.map(({ webhookId, reason }) => ({ webhookId, reason })),
    recovered: saved.recovered,
  }
}

/** The shares of all rows concerned. */
function sharesOf({ aside, settlements }: ToSettle): number[] {
  const all = new Set(aside.map(({ share }) => share))
  for (const { shipment, next } of settlements)
    if (shipment.isAside || next.state !== 'done') for (const { share } of shipment.deliveries) all.add(share)
  return [...all]
}

function earliest(dues: readonly Due[]): Due[] {
  const firsts = new Map<number, number>()
  for (const { webhookId, dueInMs } of dues)
    firsts.set(webhookId, Math.min(dueInMs, firsts.get(webhookId) ?? Number.POSITIVE_INFINITY))
  return [...firsts].map(([webhookId, dueInMs]) => ({ webhookId, dueInMs }))
}

function webhooksOfFailedBatches(settlements: readonly Settlement[]): number[] {
  return settlements.flatMap(({ shipment, next }) =>
    shipment.batchId !== null && (next.state === 'retry' || next.state === 'split')
      ? [shipment.webhookId]
      : [],
  )
}

function newsOf(settlement: Settlement, nowMs: number): WebhookReport {
  const { attempt, next, disable, isFailing, isOverdue, holdMs } = settlement
  return {
    webhookId: attempt.webhookId,
    url: attempt.request.url,
    isDelivered: attempt.outcome === 'delivered',
    isFailing,
    isExhausted: next.state === 'dead' || isOverdue,
    holdMs,
    gone: disable,
    startedMsAgo: nowMs - attempt.startedAt.getTime(),
    nextTryMs: 'waitMs' in next ? Math.max(next.waitMs, holdMs) : null,
    isOurs: attempt.isOurs === true,
    isOfAlert: settlement.shipment.deliveries.every(({ entityType }) => isAlertType(entityType)),
  }
}

function toEntry({ attempt, next, shipment }: Settlement) {
  const nextAttemptInMs = next.state === 'retry' || next.state === 'split' ? next.waitMs : null
  return { attempt, ...formOf(shipment), nextAttemptInMs }
}

/** How the log rebuilds the body: from events sent in one form; otherwise it stores the body. */
function formOf({ batchId, deliveries }: Shipment): { withPrevious: boolean; isBodyKept: boolean } {
  const { withPrevious } = deliveries[0]
  const isPlain = deliveries.every(
    each => !each.asNew && !each.asDelete && each.withPrevious === withPrevious,
  )
  return { withPrevious, isBodyKept: batchId !== null && !isPlain }
}
