import type { Entity } from '../../domain/event/entity.ts'
import { actionTypes } from '../../domain/event/event.ts'
import { because } from '../../domain/shown/reason.ts'
import { firstIdAt, type TimeId } from '../../domain/value/time-id.ts'
import * as outboxReplay from '../../outbox/by-hand/replay.ts'
import { databaseNow, newestIdTime } from '../../outbox/database/clock.ts'
import { recordAudit } from '../../outbox/records/audit.ts'
import { findWebhook } from '../../outbox/records/webhooks.ts'
import type { Caller, Control } from '../kit/control.ts'
import { type FieldProblem, invalid, notFound, type Result, wrongField } from '../kit/result.ts'
import { type Count, maxCounted } from './cancel.ts'
import { beyondForAdmins, notActive } from './resend.ts'

/** The events to send again. A time range includes its beginning and excludes its end; without an end it reaches to now. */
export type ReplayWish =
  | {
      readonly of: 'range'
      readonly from: Date
      readonly to: Date | null
      /** As user.new, also for entities no longer in the mapping. Null: every event. */
      readonly triggers: readonly string[] | null
    }
  | { readonly of: 'ids'; readonly ids: readonly TimeId[] }
  | { readonly of: 'failed'; readonly from: Date; readonly to: Date | null }

/** Where a call ran out of time: the first call fixes the end. */
export type ReplayCursor = { readonly toMs: number; readonly after: Entity }

export type ReplayResult = { readonly queued: number; readonly next: ReplayCursor | null }

const pageEvents = 1_000
/** The time limit of one call: HTTP clients and proxies do not wait much longer. */
const longestMs = 10_000

/**
 * The end of a range. One that reaches to now includes everything: the newest ids may have a later time, if a clock was
 * ahead.
 */
export async function endOf(control: Control, wishedTo: Date | null): Promise<number> {
  const nowMs = await databaseNow(control.outbox)
  const wishedMs = Math.ceil(wishedTo?.getTime() ?? nowMs)
  if (wishedMs < nowMs) return wishedMs
  return Math.max(wishedMs, Math.ceil(nowMs), ((await newestIdTime(control.outbox)) ?? 0) + 1)
}

/**
 * Resends many events to a webhook, like `resendEvent`: those of a time range or a list, also from before the webhook was
 * created, or those that failed in a time range and were not delivered since. Events of other triggers are skipped, unless an
 * admin sets `beyondTriggers`. The order within an entity is kept, also before its newer pending events. Continues at
 * `cursor`.
 */
export async function replayEvents(
  control: Control,
  caller: Caller,
  webhookId: number,
  wish: ReplayWish,
  cursor: ReplayCursor | null,
  { beyondTriggers = false }: { beyondTriggers?: boolean | undefined } = {},
): Promise<Result<ReplayResult>> {
  if (beyondTriggers && caller.role !== 'admin') return beyondForAdmins(caller)
  const problems = beyondTriggers ? validateWish(wish) : await validateReplay(control, webhookId, wish)
  if (problems.length > 0) return invalid(...problems)
  const wishedTo = wish.of === 'ids' ? null : wish.to
  const toMs = cursor?.toMs ?? (await endOf(control, wishedTo))
  const startedMs = performance.now()
  const replayed = await outboxReplay.replay(
    control.outbox,
    {
      webhookId,
      source: sourceOf(wish, toMs),
      onlyWanted: !beyondTriggers,
      after: cursor?.after ?? null,
      pageEvents,
    },
    {
      isTimeOver: () => performance.now() - startedMs > longestMs,
      async onQueued(client) {
        if (cursor) return
        const action = wish.of === 'failed' ? 'deliveries.resent' : 'deliveries.replayed'
        await recordAudit(client, caller, action, {
          webhookId,
          to: { ...recorded(wish), ...(beyondTriggers && { beyondTriggers }) },
        })
      },
    },
  )
  switch (replayed.state) {
    case 'queued':
      return {
        ok: true,
        value: { queued: replayed.queued, next: replayed.next && { toMs, after: replayed.next } },
      }
    case 'no_webhook':
      return notFound('webhook', webhookId)
    case 'inactive':
      return notActive(webhookId, replayed.disabledReason)
    case 'stopped':
      throw new Error('nothing stops a replay of one call')
    default:
      return replayed satisfies never
  }
}

/** How many failed events match now, counted up to 10,000. */
export async function countFailed(
  { outbox }: Control,
  webhookId: number,
  { from, to }: { from: Date; to: Date },
): Promise<Count> {
  return await outboxReplay.countFailed(outbox, webhookId, { from, to }, maxCounted)
}

function sourceOf(wish: ReplayWish, toMs: number): outboxReplay.ReplaySource {
  switch (wish.of) {
    case 'ids':
      return wish
    case 'failed':
      return { ...wish, to: new Date(toMs) }
    case 'range':
      return { ...wish, from: firstIdAt(wish.from.getTime()), to: firstIdAt(toMs) }
    default:
      return wish satisfies never
  }
}

function recorded(wish: ReplayWish): object {
  if (wish.of === 'ids') return { eventIds: wish.ids }
  const { of, ...range } = wish
  return range
}

/** What is wrong with a replay of events that the webhook has triggers for. */
export async function validateReplay(
  control: Control,
  webhookId: number,
  wish: ReplayWish,
): Promise<FieldProblem[]> {
  return [...validateWish(wish), ...(await validateWanted(control, webhookId, wish))]
}

/** A trigger that the webhook does not have would send nothing. */
async function validateWanted(
  control: Control,
  webhookId: number,
  wish: ReplayWish,
): Promise<FieldProblem[]> {
  if (wish.of !== 'range' || !wish.triggers) return []
  const webhook = await findWebhook(control.outbox, webhookId)
  if (!webhook) return []
  const has: readonly string[] = webhook.triggers
  return wish.triggers.flatMap((trigger, i) =>
    has.includes(trigger)
      ? []
      : [wrongField(`/triggers/${i}`, because('replay.not_subscribed', { webhookId, trigger }))],
  )
}

function validateWish(wish: ReplayWish): FieldProblem[] {
  const problems: FieldProblem[] = []
  if (wish.of !== 'ids' && wish.to && wish.from >= wish.to)
    problems.push(wrongField('/to', because('range.order')))
  if (wish.of === 'range')
    wish.triggers?.forEach((trigger, i) => {
      if (!actionTypes.some(action => trigger.endsWith(`.${action}`)))
        problems.push(wrongField(`/triggers/${i}`, because('replay.trigger_form', { trigger })))
    })
  return problems
}
