import { isAlertType, shownType } from '../event/alert.ts'
import { actionFor } from '../event/tenant.ts'
import { triggerOf } from '../event/trigger.ts'
import { wantsFields } from '../event/wanted.ts'
import { type ExplainTexts, explainTexts } from '../failure/explain-texts.ts'
import { type TimeId, timeOf } from '../value/time-id.ts'
import type { ExplainFacts, Try, WebhookState } from './explain-facts.ts'
import { throughFilterOf } from './explain-filter.ts'

/**
 * - delivered, superseded, dead, cancelled: how it ended
 * - in_flight, due, retrying, blocked, behind, inactive, disabled: pending, and why
 * - made_later, inactive_then, disabled_then, not_subscribed, no_wanted_field, filtered, for_another, other_tenant: not
 *   wanted
 * - unknown: nothing stored explains it
 */
export const explainStates = [
  'delivered',
  'superseded',
  'dead',
  'cancelled',
  'in_flight',
  'due',
  'retrying',
  'blocked',
  'behind',
  'inactive',
  'disabled',
  'made_later',
  'inactive_then',
  'disabled_then',
  'not_subscribed',
  'no_wanted_field',
  'filtered',
  'for_another',
  'other_tenant',
  'unknown',
] as const

export type Explanation = {
  readonly state: (typeof explainStates)[number]
  /** The same, for people. */
  readonly sentence: string
  /** When the receiver last accepted the event, whatever happened since. */
  readonly deliveredAt: Date | null
  /** The end of the wait, if known. */
  readonly until: Date | null
  /** The event that blocks or superseded it. */
  readonly other: TimeId | null
}

/**
 * Whether an event was sent to a webhook, and if not, why: by queue and log, otherwise by settings. `texts`: the reader's
 * language.
 */
export function explain(facts: ExplainFacts, texts: ExplainTexts = explainTexts): Explanation {
  const { state, sentences, until = null, other = null } = explainPosition(facts, texts)
  return { state, sentence: sentences.join(' '), until, other, deliveredAt: facts.accepted?.at ?? null }
}

type Explained = Pick<Explanation, 'state'> & { readonly sentences: readonly string[] } & Partial<
    Pick<Explanation, 'until' | 'other'>
  >

function explainPosition(facts: ExplainFacts, texts: ExplainTexts): Explained {
  const { waiting, ended, accepted, lastTry } = facts
  const before = accepted ? [texts.deliveredBefore(iso(accepted.at))] : []
  if (waiting) {
    const explained = explainWaiting(facts, waiting, texts)
    return { ...explained, sentences: [...explained.sentences, ...before] }
  }
  if (ended && !(accepted && accepted.at > ended.at)) {
    const explained = explainEnded(ended, lastTry, texts)
    return { ...explained, sentences: [...explained.sentences, ...before] }
  }
  if (accepted) return { state: 'delivered', sentences: [texts.delivered(iso(accepted.at), accepted.number)] }
  const unwanted = explainUnwanted(facts, texts)
  if (unwanted && !lastTry) return unwanted
  if (!unwanted && facts.skippedAt)
    return { state: 'cancelled', sentences: ofCancelled(facts.skippedAt, lastTry?.number ?? 0, texts) }
  if (!unwanted && facts.inLog) return explainInLog(facts, facts.inLog, texts)
  const explained = lastTry ? texts.lastTried(iso(lastTry.at), lastTry.number) : texts.noTrace()
  return { state: 'unknown', sentences: [explained] }
}

function explainWaiting(
  facts: ExplainFacts,
  waiting: NonNullable<ExplainFacts['waiting']>,
  texts: ExplainTexts,
): Explained {
  const { event, webhook, lastTry, now } = facts
  const isFirst = waiting.first === event.id
  if (waiting.isHeld && isFirst) return { state: 'in_flight', sentences: [texts.inFlight()] }
  const stopped = explainStopped(webhook, texts)
  if (stopped) return stopped
  const isLater = waiting.dueAt > now && !waiting.isHeld
  const until = waiting.dueAt
  if (!isFirst) {
    const of = { event: waiting.first, entityType: event.entityType }
    const explained = waiting.isHeld
      ? texts.behindInFlight(of)
      : isLater
        ? texts.behindRetried(of, iso(until))
        : texts.behindDue(of)
    return { state: 'behind', sentences: [explained], until: isLater ? until : null, other: waiting.first }
  }
  if (!isLater) return explainHeld(facts, texts) ?? isNext(texts)
  const failure = lastTry?.errorMessage ? [texts.reason(lastTry.errorMessage)] : []
  const next = texts.nextAttempt(waiting.attempts + 1, iso(until))
  return lastTry?.outcome === 'blocked'
    ? { state: 'blocked', sentences: [texts.blocked(), ...failure, next], until }
    : { state: 'retrying', sentences: [texts.notAccepted(), ...failure, next], until }
}

/** Why a webhook is sent nothing until a person acts. */
function explainStopped(webhook: ExplainFacts['webhook'], texts: ExplainTexts): Explained | null {
  const { isActive, disabledReason, disabledAt } = webhook
  if (!isActive) return { state: 'inactive', sentences: [texts.inactive()] }
  if (disabledReason === null) return null
  const at = disabledAt && iso(disabledAt)
  return { state: 'disabled', sentences: [texts.disabled(at), texts.reason(disabledReason)] }
}

function explainHeld({ webhook: { heldUntil }, now }: ExplainFacts, texts: ExplainTexts): Explained | null {
  if (heldUntil === null || heldUntil <= now) return null
  return { state: 'due', sentences: [texts.held(iso(heldUntil))], until: heldUntil }
}

const isNext = (texts: ExplainTexts): Explained => ({ state: 'due', sentences: [texts.next()] })

/** It is pending in the log, without a row of its own. */
function explainInLog(
  facts: ExplainFacts,
  inLog: NonNullable<ExplainFacts['inLog']>,
  texts: ExplainTexts,
): Explained {
  const { event, webhook, now } = facts
  const stopped = explainStopped(webhook, texts)
  if (stopped) return stopped
  if (inLog.older) {
    const { eventId, dueAt } = inLog.older
    const until = dueAt !== null && dueAt > now ? dueAt : null
    const of = { event: eventId, entityType: event.entityType }
    const explained = until ? texts.behindRetried(of, iso(until)) : texts.behindFirst(of)
    return { state: 'behind', sentences: [explained], until, other: eventId }
  }
  if (inLog.maySend) return { state: 'in_flight', sentences: [texts.inFlight()] }
  const held = explainHeld(facts, texts)
  if (held) return held
  if (inLog.holderId === null) return { state: 'due', sentences: [texts.noProcess()] }
  if (inLog.isOwnStream) return { state: 'due', sentences: [texts.catchingUp()] }
  return isNext(texts)
}

function explainEnded(
  ended: NonNullable<ExplainFacts['ended']>,
  lastTry: Try | null,
  texts: ExplainTexts,
): Explained {
  const { state, at, attempts, supersededBy } = ended
  switch (state) {
    case 'dead': {
      const last = lastTry?.errorMessage ? [texts.lastFailure(texts.reason(lastTry.errorMessage))] : []
      return { state, sentences: [texts.dead(iso(at), attempts), ...last, texts.canBeResent()] }
    }
    case 'superseded':
      return { state, sentences: [texts.superseded(supersededBy)], other: supersededBy }
    case 'cancelled':
      return { state, sentences: ofCancelled(at, attempts, texts) }
    default:
      return state satisfies never
  }
}

const ofCancelled = (at: Date, attempts: number, texts: ExplainTexts) => [
  texts.cancelled(iso(at), attempts),
  texts.canBeResent(),
]

/** Why the webhook did not want the event when it was appended; null: it did, as far as known. */
function explainUnwanted(
  { event: whole, webhook, stateThen }: ExplainFacts,
  texts: ExplainTexts,
): Explained | null {
  const action = actionFor(webhook.tenant, whole)
  if (action === null) return { state: 'other_tenant', sentences: [texts.otherTenant()] }
  if (isAlertType(whole.entityType)) return explainAlert(whole, webhook, texts)
  // For its tenant, an entity that appears or disappears has no earlier values.
  const event =
    action === whole.actionType ? whole : { ...whole, actionType: action, changed: null, previous: null }
  // The time in an id is cut to milliseconds.
  const isOlder = webhook.createdAt.getTime() >= timeOf(event.id) + 1
  const movedAt = event.isVersioned && stateThen === null && !isOlder ? movedLater(webhook) : null
  if (movedAt) return { state: 'unknown', sentences: [texts.movedLater(iso(movedAt))] }
  if (event.isVersioned ? stateThen === null : isOlder)
    return { state: 'made_later', sentences: [texts.madeLater(iso(webhook.createdAt))] }
  if (event.onlyWebhookId !== null && event.onlyWebhookId !== webhook.id)
    return { state: 'for_another', sentences: [texts.forAnother(event.onlyWebhookId)] }
  const unwanted = unwantedBy(stateThen ?? webhook, event, texts)
  if (unwanted === null || stateThen) return unwanted
  return { ...unwanted, sentences: [...unwanted.sentences, texts.asItIsNow()] }
}

/** An event that is stored at about the time of a webhook's creation may have the version of before. */
const creationMs = 60_000

/** When a webhook was moved to its cell, which knows nothing of before; null: it was created there. */
function movedLater({ createdAt, knownSince }: ExplainFacts['webhook']): Date | null {
  return knownSince && knownSince.getTime() - createdAt.getTime() > creationMs ? knownSince : null
}

function unwantedBy(
  state: WebhookState,
  event: ExplainFacts['event'],
  texts: ExplainTexts,
): Explained | null {
  if (!state.isActive) return { state: 'inactive_then', sentences: [texts.inactiveThen()] }
  if (state.disabledReason !== null)
    return { state: 'disabled_then', sentences: [texts.disabledThen(), texts.reason(state.disabledReason)] }
  const filtered = throughFilterOf(state, event)
  if (filtered && 'excluded' in filtered)
    return { state: 'filtered', sentences: [texts.filtered(filtered.excluded)] }
  const trigger = filtered
    ? `${event.entityType}.${filtered.sentAs}`
    : triggerOf(event.entityType, event.actionType)
  if (!state.triggers.includes(trigger))
    return { state: 'not_subscribed', sentences: [texts.notSubscribed(trigger)] }
  if (filtered || wantsFields(state.updateFields, event)) return null
  const wanted = state.updateFields!.filter(field => field.startsWith(`${event.entityType}.`))
  return { state: 'no_wanted_field', sentences: [texts.noWantedField(event.changed!, wanted)] }
}

/** Everyone who gets an alert has a row of it from the start. */
function explainAlert(
  event: ExplainFacts['event'],
  webhook: ExplainFacts['webhook'],
  texts: ExplainTexts,
): Explained {
  const trigger = `${shownType(event.entityType)}.${event.actionType}`
  return (webhook.triggers as readonly string[]).includes(trigger)
    ? { state: 'for_another', sentences: [texts.alertForOthers()] }
    : { state: 'not_subscribed', sentences: [texts.alertNotSubscribed(trigger)] }
}

const iso = (time: Date) => time.toISOString()
