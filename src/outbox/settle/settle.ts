import type pg from 'pg'
import type { Attempt } from '../../domain/delivery/attempt.ts'
import type { NextOfShipment } from '../../domain/delivery/shipment.ts'
import { isAlertType } from '../../domain/event/alert.ts'
import { type AsideRow, type Due, setAside } from '../aside/aside.ts'
import { dissolveBatches } from '../aside/dissolve-batches.ts'
import type { Shipment } from '../aside/shipment.ts'
import { type Outbox, repeatableTransaction } from '../database/database.ts'
import { lockAllHolders, lockHolder, standing } from '../database/fence.ts'
import { insertAttempts } from '../reading/attempts.ts'
import { type Disabled, lockHealth, saveHealth, type WebhookNews } from '../records/health.ts'
import { noteHealth } from './note-health.ts'
import { readHeldBatches, settleRows } from './settle-rows.ts'
import { settledRows } from './settled-rows.ts'

/** An attempt that has ended, and what becomes of its shipment. */
export type Settlement = {
  readonly shipment: Shipment
  readonly attempt: Attempt
  readonly next: NextOfShipment
  /** Not null: the receiver wants nothing more (410), and this becomes the webhook's `disabled_reason`. */
  readonly disable: string | null
  /** It failed, and the webhook has delivered nothing lately. */
  readonly isFailing: boolean
  /** An event has waited for longer than all retries take. */
  readonly isOverdue: boolean
  /** For how long the receiver wants nothing more, in ms; 0: it said nothing. */
  readonly holdMs: number
}

/** What one commit settles. They are written in this order, and a settlement may be about a row of the same commit. */
export type ToSettle = {
  readonly aside: readonly AsideRow[]
  readonly settlements: readonly Settlement[]
}

export type Settled = {
  /** Another process has taken over: the attempts are logged, and nothing else has changed. */
  readonly isFenced: boolean
  /** The newest version of the webhooks: a holder that knows an older one reads them before it sends on. */
  readonly webhooksVersion: number
  /** When the earliest of what this has left is due, of each webhook. */
  readonly left: readonly Due[]
  readonly disabled: readonly Pick<Disabled, 'webhookId' | 'reason'>[]
  /** Webhooks that had failed for a while, and fail no more. */
  readonly recovered: readonly number[]
}

/**
 * Settles attempts of any webhooks: the log, the rows, and the webhooks' health change in one commit. What was cancelled by hand
 * while it was sent is logged, and stays cancelled. A holder that is fenced only logs.
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

/** Rolls back: what is settled is of shares that another holder serves by now, whose rows change at the same time. */
class SharesGone extends Error {}

async function settleIn(
  client: pg.PoolClient,
  holderId: number,
  what: ToSettle,
  locks: 'its own' | 'all',
): Promise<Settled> {
  const { aside, settlements } = what
  const [, held, { health, readAtMs }] = await Promise.all([
    locks === 'all' ? lockAllHolders(client) : lockHolder(client, holderId),
    standing(client, holderId),
    // How long ago an attempt began is counted from the moment at which the outbox's clock was read.
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
  const news = settlements.map(each => newsOf(each, readAtMs))
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

/** Of everything that concerns rows. */
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

function newsOf(settlement: Settlement, nowMs: number): WebhookNews {
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

/** How the log makes the body again: of events that were all sent in one form; else it keeps the body. */
function formOf({ batchId, deliveries }: Shipment): { withPrevious: boolean; isBodyKept: boolean } {
  const { withPrevious } = deliveries[0]
  const isPlain = deliveries.every(
    each => !each.asNew && !each.asDelete && each.withPrevious === withPrevious,
  )
  return { withPrevious, isBodyKept: batchId !== null && !isPlain }
}
