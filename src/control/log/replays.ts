import type { Entity } from '../../domain/event/entity.ts'
import type { ReplayJob } from '../../domain/event/replay-job.ts'
import { because } from '../../domain/shown/reason.ts'
import { firstIdAt, timeOf } from '../../domain/value/time-id.ts'
import { countReplay, eventsKeptSince, lastTimeOff } from '../../outbox/by-hand/count-replay.ts'
import * as replays from '../../outbox/by-hand/replays.ts'
import { transaction } from '../../outbox/database/database.ts'
import { deliveryRate } from '../../outbox/reading/delivery-rate.ts'
import { recordAudit } from '../../outbox/records/audit.ts'
import { findWebhook, lockWebhook } from '../../outbox/records/webhooks.ts'
import type { Caller, Control } from '../kit/control.ts'
import { firstOf, type Page } from '../kit/page.ts'
import { conflict, invalid, notFound, type Result } from '../kit/result.ts'
import type { Count } from './cancel.ts'
import { endOf, validateReplay } from './replay.ts'
import { notActive } from './resend.ts'

export type { ReplayJob }

/** A time range, or what the webhook missed while it was last inactive. */
export type RangeInput =
  | {
      readonly of: 'range'
      readonly from: Date
      readonly to: Date | null
      readonly triggers: readonly string[] | null
    }
  | { readonly of: 'missed' }

/** The events of a replay and its speed; `perSecond` null: no recent delivery to the webhook. */
export type ReplayPreview = Count & { readonly perSecond: number | null; readonly keptSince: Date | null }

/**
 * What a webhook missed while it was last inactive, or before, where that replay failed. `replayId`: the replay that sends it;
 * `restOf`: a replay that ended early: its rest counts.
 */
export type Missed = Count & {
  readonly since: Date
  readonly until: Date | null
  readonly keptSince: Date | null
  readonly replayId: number | null
  readonly restOf: number | null
}

/** Event ids and webhook versions are assigned at slightly different moments. */
const slackMs = 60_000

type Meant = Parameters<typeof countReplay>[2]
/** The entity to continue after, if an earlier replay stopped there. */
type AfterEntity = { readonly afterEntity?: Entity | null }

const wasSent = (webhookId: number, { id }: replays.MissedReplay) =>
  conflict(because('missed.sent', { webhookId, id }))

/** A time in which a webhook was inactive, and the last replay of what it missed. */
type TimeMissed = {
  readonly since: Date
  readonly until: Date | null
  readonly meant: Meant
  readonly last: replays.MissedReplay | null
  readonly kept: Date | null
}

/** The time whose events are sent next: one whose replay failed goes first, because its states are older. */
async function timeMissed({ outbox, nowMs }: Control, webhookId: number): Promise<TimeMissed | null> {
  const [off, kept] = await Promise.all([lastTimeOff(outbox, webhookId), eventsKeptSince(outbox)])
  if (!off) return null
  const { since, until, versions } = off
  const keptSince = firstIdAt(kept?.getTime() ?? 0)
  const rest =
    until && (await replays.findFailedRest(outbox, webhookId, { lastOff: versions.from, keptSince }))
  if (rest) {
    const { last, from, to } = rest
    const meant = { of: 'range', from, to, triggers: null, missed: rest.versions } as const
    return {
      since: new Date(timeOf(from) + slackMs),
      until: new Date(timeOf(to) - slackMs),
      ...{ meant, last, kept },
    }
  }
  const from = firstIdAt(Math.max(0, since.getTime() - slackMs))
  const to = firstIdAt(Math.ceil(until?.getTime() ?? nowMs()) + slackMs)
  const last = await replays.findMissedReplay(outbox.pool, webhookId, versions.from)
  return { since, until, meant: { of: 'range', from, to, triggers: null, missed: versions }, last, kept }
}

/** A request as ids and versions, or why it is invalid. */
async function meantBy(
  control: Control,
  webhookId: number,
  input: RangeInput,
): Promise<Result<Meant & AfterEntity>> {
  if (input.of === 'missed') {
    const missed = await timeMissed(control, webhookId)
    if (!missed) return conflict(because('missed.none', { webhookId }))
    const { meant, last } = missed
    if (last?.isSent) return wasSent(webhookId, last)
    return { ok: true, value: { ...meant, afterEntity: last?.after ?? null } }
  }
  const problems = await validateReplay(control, webhookId, input)
  if (problems.length > 0) return invalid(...problems)
  const { from, to, triggers } = input
  const fromMs = from.getTime()
  // A range from now on is empty, and done at once.
  const range = { from: firstIdAt(fromMs), to: firstIdAt(Math.max(await endOf(control, to), fromMs + 1)) }
  return { ok: true, value: { of: 'range', ...range, triggers } }
}

/** The number of events in a replay, within bounded time. */
export async function previewReplay(
  control: Control,
  webhookId: number,
  input: RangeInput,
): Promise<Result<ReplayPreview>> {
  const webhook = await findWebhook(control.outbox, webhookId)
  if (!webhook) return notFound('webhook', webhookId)
  const meant = await meantBy(control, webhookId, input)
  if (!meant.ok) return meant
  const [count, perSecond, kept] = await Promise.all([
    countReplay(control.outbox, webhookId, meant.value, {
      ...webhook,
      afterEntity: meant.value.afterEntity ?? null,
    }),
    deliveryRate(control.outbox, webhookId, control.nowMs()),
    eventsKeptSince(control.outbox),
  ])
  return {
    ok: true,
    value: {
      ...count,
      perSecond,
      keptSince: kept && firstIdAt(kept.getTime()) > meant.value.from ? kept : null,
    },
  }
}

/** What a webhook missed while it was last inactive; null: nothing known. */
export async function missedEvents(control: Control, webhookId: number): Promise<Missed | null> {
  const [webhook, missed] = await Promise.all([
    findWebhook(control.outbox, webhookId),
    timeMissed(control, webhookId),
  ])
  if (!webhook || !missed) return null
  const { since, until, meant, last, kept } = missed
  const isRest = last !== null && !last.isSent
  const afterEntity = isRest ? last.after : null
  const count = await countReplay(control.outbox, webhookId, meant, { ...webhook, afterEntity })
  const sent = isRest ? { replayId: null, restOf: last.id } : { replayId: last?.id ?? null, restOf: null }
  return { ...count, since, until, keptSince: kept && kept > since ? kept : null, ...sent }
}

/**
 * Starts a replay in the background, which survives crashes and can be watched and stopped. It sends only events of the
 * webhook's triggers that its filter permits.
 */
export async function startReplay(
  control: Control,
  caller: Caller,
  webhookId: number,
  input: RangeInput,
): Promise<Result<ReplayJob>> {
  const webhook = await findWebhook(control.outbox, webhookId)
  if (!webhook) return notFound('webhook', webhookId)
  if (!webhook.isActive || webhook.disabledReason !== null)
    return notActive(webhookId, webhook.disabledReason)
  const meant = await meantBy(control, webhookId, input)
  if (!meant.ok) return meant
  const { from, to, triggers, missed = null, afterEntity = null } = meant.value
  const { count: counted, isExact } = await countReplay(control.outbox, webhookId, meant.value, {
    ...webhook,
    afterEntity,
  })
  return await transaction<Result<ReplayJob>>(control.outbox.pool, async client => {
    // The second of two simultaneous calls finds what the first began.
    await lockWebhook(client, webhookId)
    const last = missed && (await replays.findMissedReplay(client, webhookId, missed.from))
    if (last?.isSent) return wasSent(webhookId, last)
    const by = { actor: caller.name, actorTenant: caller.tenant }
    const job = await replays.insertReplay(client, {
      ...{ webhookId, from, to, triggers, missed, counted, isExact, after: last?.after ?? null },
      ...by,
    })
    if (!job) return notActive(webhookId, null)
    const what = input.of === 'missed' ? { missed: true } : { from: input.from, to: input.to, triggers }
    await recordAudit(client, caller, 'deliveries.replayed', {
      webhookId,
      to: { replayId: job.id, ...what },
    })
    return { ok: true, value: job }
  })
}

export async function listReplays(
  control: Pick<Control, 'outbox'>,
  webhookId: number,
  page: { limit: number; before: number | null },
): Promise<Page<ReplayJob, number>> {
  const found = await replays.listReplays(control.outbox, webhookId, { ...page, limit: page.limit + 1 })
  return firstOf(found, page.limit)
}

export async function getReplay(
  control: Pick<Control, 'outbox'>,
  webhookId: number,
  id: number,
): Promise<Result<ReplayJob>> {
  const job = await replays.findReplay(control.outbox.pool, webhookId, id)
  return job ? { ok: true, value: job } : notFound('replay', id)
}

/** Stops a replay. Queued events stay queued. */
export async function cancelReplay(
  control: Control,
  caller: Caller,
  webhookId: number,
  id: number,
): Promise<Result<ReplayJob>> {
  const before = await getReplay(control, webhookId, id)
  if (!before.ok) return before
  const after = await transaction(control.outbox.pool, async client => {
    const job = await replays.endReplay(client, id, 'cancelled')
    if (job)
      await recordAudit(client, caller, 'replay.cancelled', { webhookId, id, to: { queued: job.queued } })
    return job
  })
  if (after) return { ok: true, value: after }
  const now = await getReplay(control, webhookId, id)
  return now.ok ? conflict(because('replay.ended', { id, state: now.value.state })) : now
}

/** Why a replay pauses. Tenants do not see the database's words. */
export function replayProblem({ tenant }: Pick<Caller, 'tenant'>, { problem }: ReplayJob): string | null {
  return problem === null || tenant === null ? problem : 'The database of walhook rejects it now.'
}

/** A tenant sees actors without a tenant as an administrator without a name: null. */
export function replayActor({ tenant }: Pick<Caller, 'tenant'>, job: ReplayJob): string | null {
  return tenant === null || job.actorTenant === tenant ? job.actor : null
}
