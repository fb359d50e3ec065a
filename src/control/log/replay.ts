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
export type ReplayInput =
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
export async function endOf(control: Control, requestedTo: Date | null): Promise<number> {
  const nowMs = await databaseNow(control.outbox)
  const requestedMs = Math.ceil(requestedTo?.getTime() ?? nowMs)
  if (requestedMs < nowMs) return requestedMs
  return Math.max(requestedMs, Math.ceil(nowMs), ((await newestIdTime(control.outbox)) ?? 0) + 1)
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
  input: ReplayInput,
  cursor: ReplayCursor | null,
  { beyondTriggers = false }: { beyondTriggers?: boolean | undefined } = {},
): Promise<Result<ReplayResult>> {
  if (beyondTriggers && caller.role !== 'admin') return beyondForAdmins(caller)
  const problems = beyondTriggers ? validateRange(input) : await validateReplay(control, webhookId, input)
  if (problems.length > 0) return invalid(...problems)
  const requestedTo = input.of === 'ids' ? null : input.to
  const toMs = cursor?.toMs ?? (await endOf(control, requestedTo))
  const startedMs = performance.now()
  const replayed = await outboxReplay.replay(
    control.outbox,
    {
      webhookId,
      source: sourceOf(input, toMs),
      onlyWanted: !beyondTriggers,
      after: cursor?.after ?? null,
      pageEvents,
    },
    {
      isTimeOver: () => performance.now() - startedMs > longestMs,
      async onQueued(client) {
        if (cursor) return
        const action = input.of === 'failed' ? 'deliveries.resent' : 'deliveries.replayed'
        await recordAudit(client, caller, action, {
          webhookId,
          to: { ...recorded(input), ...(beyondTriggers && { beyondTriggers }) },
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

function sourceOf(input: ReplayInput, toMs: number): outboxReplay.ReplaySource {
  switch (input.of) {
    case 'ids':
      return input
    case 'failed':
      return { ...input, to: new Date(toMs) }
    case 'range':
      return { ...input, from: firstIdAt(input.from.getTime()), to: firstIdAt(toMs) }
    default:
      return input satisfies never
  }
}

function recorded(input: ReplayInput): object {
  if (input.of === 'ids') return { eventIds: input.ids }
  const { of, ...range } = input
  return range
}

/** What is wrong with a replay of events that the webhook has triggers for. */
export async function validateReplay(
  control: Control,
  webhookId: number,
  input: ReplayInput,
): Promise<FieldProblem[]> {
  return [...validateRange(input), ...(await validateWanted(control, webhookId, input))]
}

/** A trigger that the webhook does not have would send nothing. */
async function validateWanted(
  control: Control,
  webhookId: number,
  input: ReplayInput,
): Promise<FieldProblem[]> {
  if (input.of !== 'range' || !input.triggers) return []
  const webhook = await findWebhook(control.outbox, webhookId)
  if (!webhook) return []
  const has: readonly string[] = webhook.triggers
  return input.triggers.flatMap((trigger, i) =>
    has.includes(trigger)
      ? []
      : [wrongField(`/triggers/${i}`, because('replay.not_subscribed', { webhookId, trigger }))],
  )
}

function validateRange(input: ReplayInput): FieldProblem[] {
  const problems: FieldProblem[] = []
  if (input.of !== 'ids' && input.to && input.from >= input.to)
    problems.push(wrongField('/to', because('range.order')))
  if (input.of === 'range')
    input.triggers?.forEach((trigger, i) => {
      if (!actionTypes.some(action => trigger.endsWith(`.${action}`)))
        problems.push(wrongField(`/triggers/${i}`, because('replay.trigger_form', { trigger })))
    })
  return problems
}
