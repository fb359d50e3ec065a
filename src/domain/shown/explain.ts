import { isAlertType, shownType } from '../event/alert.ts'
import { actionFor } from '../event/tenant.ts'
import { triggerOf } from '../event/trigger.ts'
import { wantsFields } from '../event/wanted.ts'
import { type TimeId, timeOf } from '../value/time-id.ts'
import type { ExplainFacts, Try } from './explain-facts.ts'
import { throughFilterOf } from './explain-filter.ts'

/**
 * - delivered, superseded, dead, cancelled:  how it ended
 * - in_flight, due, retrying, blocked, behind, inactive, disabled:  it waits, and for what
 * - made_later, inactive_then, disabled_then, not_subscribed, no_wanted_field, filtered, for_another, other_tenant:  why it was not wanted
 * - unknown:  nothing that is kept says more
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
  /** The same for a person. */
  readonly sentence: string
  /** When the receiver last accepted the event, whatever became of it since. */
  readonly deliveredAt: Date | null
  /** Until when it waits, where that is known. */
  readonly until: Date | null
  /** The event that it waits behind, or that superseded it. */
  readonly other: TimeId | null
}

/** Says whether an event was sent to a webhook, and if not, why: from what stands in queue and log, else from settings. */
export function explain(facts: ExplainFacts): Explanation {
  const { state, sentence, until = null, other = null } = explainPlace(facts)
  return { state, sentence, until, other, deliveredAt: facts.accepted?.at ?? null }
}

type Said = Pick<Explanation, 'state' | 'sentence'> & Partial<Pick<Explanation, 'until' | 'other'>>

function explainPlace(facts: ExplainFacts): Said {
  const { waiting, ended, accepted } = facts
  const before = accepted ? ` It had been delivered before, at ${say(accepted.at)}.` : ''
  if (waiting) {
    const said = explainWaiting(facts, waiting)
    return { ...said, sentence: said.sentence + before }
  }
  if (ended && !(accepted && accepted.at > ended.at)) {
    const said = explainEnded(ended, facts.lastTry)
    return { ...said, sentence: said.sentence + before }
  }
  if (accepted)
    return {
      state: 'delivered',
      sentence: `Delivered at ${say(accepted.at)}, by attempt ${accepted.number}.`,
    }
  const unwanted = explainUnwanted(facts)
  if (unwanted && !facts.lastTry) return unwanted
  if (!unwanted && facts.skippedAt)
    return { state: 'cancelled', sentence: sentenceOfCancelled(facts.skippedAt, facts.lastTry?.number ?? 0) }
  if (!unwanted && facts.ahead) return explainAhead(facts, facts.ahead)
  if (facts.lastTry)
    return {
      state: 'unknown',
      sentence: `Last tried at ${say(facts.lastTry.at)}, attempt ${facts.lastTry.number}, and not accepted. It is not in the queue any more.`,
    }
  return {
    state: 'unknown',
    sentence:
      'The webhook asked for it, and no trace is left: it was sent so long ago that its log is no longer kept, or the webhook was changed at about the time of the event.',
  }
}

function explainWaiting(facts: ExplainFacts, waiting: NonNullable<ExplainFacts['waiting']>): Said {
  const { event, webhook, lastTry, now } = facts
  const isFirst = waiting.first === event.id
  if (waiting.isHeld && isFirst)
    return { state: 'in_flight', sentence: 'On its way at this moment: the receiver has not answered yet.' }
  const stopped = explainStopped(webhook)
  if (stopped) return stopped
  const isLater = waiting.dueAt > now && !waiting.isHeld
  if (!isFirst) {
    const what = waiting.isHeld
      ? 'which is on its way'
      : isLater
        ? `which is tried again at ${say(waiting.dueAt)}`
        : 'which is due'
    return {
      state: 'behind',
      sentence: `Waits behind event ${waiting.first} of the same ${event.entityType}, ${what}: each entity's events are sent in their order.`,
      until: isLater ? waiting.dueAt : null,
      other: waiting.first,
    }
  }
  if (!isLater) return explainHeld(facts) ?? isNext
  const failure = lastTry?.errorMessage ? ` ${lastTry.errorMessage}` : ''
  const next = `Attempt ${waiting.attempts + 1} follows at ${say(waiting.dueAt)}.`
  return lastTry?.outcome === 'blocked'
    ? {
        state: 'blocked',
        sentence: `Not sent, because its address is not allowed.${failure} ${next}`,
        until: waiting.dueAt,
      }
    : { state: 'retrying', sentence: `Not accepted yet.${failure} ${next}`, until: waiting.dueAt }
}

/** What keeps a webhook from being sent anything until somebody does something. */
function explainStopped(webhook: ExplainFacts['webhook']): Said | null {
  if (!webhook.isActive)
    return {
      state: 'inactive',
      sentence: 'Waits until the webhook is activated again: an admin has set it inactive.',
    }
  if (webhook.disabledReason !== null)
    return {
      state: 'disabled',
      sentence: `Waits until the webhook is activated again: it was disabled${webhook.disabledAt ? ` at ${say(webhook.disabledAt)}` : ''}. ${webhook.disabledReason}`,
    }
  return null
}

function explainHeld({ webhook: { heldUntil }, now }: ExplainFacts): Said | null {
  if (heldUntil === null || heldUntil <= now) return null
  return {
    state: 'due',
    sentence: `Is sent when the receiver takes requests again: it asked for none before ${say(heldUntil)}.`,
    until: heldUntil,
  }
}

const isNext: Said = {
  state: 'due',
  sentence: 'Is next, and is sent as soon as the webhook has room for another request.',
}

/** It waits in the log, and has no row of its own. */
function explainAhead(facts: ExplainFacts, ahead: NonNullable<ExplainFacts['ahead']>): Said {
  const { event, webhook, now } = facts
  const stopped = explainStopped(webhook)
  if (stopped) return stopped
  if (ahead.older) {
    const { eventId, dueAt } = ahead.older
    const isLater = dueAt !== null && dueAt > now
    return {
      state: 'behind',
      sentence: `Waits behind event ${eventId} of the same ${event.entityType}, ${isLater ? `which is tried again at ${say(dueAt)}` : 'which is sent first'}: each entity's events are sent in their order.`,
      until: isLater ? dueAt : null,
      other: eventId,
    }
  }
  if (ahead.maySend)
    return { state: 'in_flight', sentence: 'On its way at this moment: the receiver has not answered yet.' }
  const held = explainHeld(facts)
  if (held) return held
  if (ahead.holderId === null)
    return {
      state: 'due',
      sentence: 'Is sent as soon as a process of walhook delivers: none does at this moment.',
    }
  if (ahead.isOwnStream)
    return {
      state: 'due',
      sentence: 'Waits for its turn: the webhook is behind, and is sent what came before it first.',
    }
  return isNext
}

function explainEnded(ended: NonNullable<ExplainFacts['ended']>, lastTry: Try | null): Said {
  const { state } = ended
  switch (state) {
    case 'dead':
      return {
        state,
        sentence: `Given up at ${say(ended.at)} after ${count(ended.attempts)}.${lastTry?.errorMessage ? ` The last one: ${lastTry.errorMessage}` : ''} It can be sent again by hand.`,
      }
    case 'superseded':
      return {
        state,
        sentence: `Superseded by event ${ended.supersededBy}: the webhook wants only the latest state of each entity.`,
        other: ended.supersededBy,
      }
    case 'cancelled':
      return {
        state,
        sentence: sentenceOfCancelled(ended.at, ended.attempts),
      }
    default:
      return state satisfies never
  }
}

const sentenceOfCancelled = (at: Date, attempts: number) =>
  `Cancelled by an admin at ${say(at)}, after ${count(attempts)}. It can be sent again by hand.`

/** Why the webhook did not want the event when it came; null: it did, as far as is known. */
function explainUnwanted({ event: whole, webhook, stateThen }: ExplainFacts): Said | null {
  const action = actionFor(webhook.tenant, whole)
  if (action === null)
    return { state: 'other_tenant', sentence: 'Not sent: the event is not of the tenant of this webhook.' }
  if (isAlertType(whole.entityType)) return explainAlert(whole, webhook)
  // To its tenant an entity that comes or goes has no values before.
  const event =
    action === whole.actionType ? whole : { ...whole, actionType: action, changed: null, previous: null }
  // An id's time is cut to the millisecond.
  const isOlder = webhook.createdAt.getTime() >= timeOf(event.id) + 1
  if (event.isVersioned ? stateThen === null : isOlder)
    return {
      state: 'made_later',
      sentence: `Not sent: the webhook was made at ${say(webhook.createdAt)}, after the event. It can be replayed.`,
    }
  if (event.onlyWebhookId !== null && event.onlyWebhookId !== webhook.id)
    return {
      state: 'for_another',
      sentence: `Not sent: the event was made for webhook ${event.onlyWebhookId} only, by a backfill.`,
    }
  const state = stateThen ?? webhook
  const asFarAsKnown = stateThen ? '' : ' That is how it is set now; how it was then is not recorded.'
  if (!state.isActive)
    return { state: 'inactive_then', sentence: `Not sent: the webhook was not active then.${asFarAsKnown}` }
  if (state.disabledReason !== null)
    return {
      state: 'disabled_then',
      sentence: `Not sent: the webhook was disabled then. ${state.disabledReason}${asFarAsKnown}`,
    }
  const filtered = throughFilterOf(state, event)
  if (filtered && 'excluded' in filtered)
    return { state: 'filtered', sentence: `Not sent: ${filtered.excluded}${asFarAsKnown}` }
  const trigger = filtered
    ? `${event.entityType}.${filtered.told}`
    : triggerOf(event.entityType, event.actionType)
  if (!state.triggers.includes(trigger))
    return {
      state: 'not_subscribed',
      sentence: `Not sent: the webhook did not ask for ${trigger}.${asFarAsKnown}`,
    }
  if (!filtered && !wantsFields(state.updateFields, event))
    return {
      state: 'no_wanted_field',
      sentence: `Not sent: the update changed ${event.changed!.join(', ') || 'no field'}, and the webhook asked for updates of ${state.updateFields!.filter(field => field.startsWith(`${event.entityType}.`)).join(', ')} only.${asFarAsKnown}`,
    }
  return null
}

/** Whoever gets an alert has a row of it from the moment on at which it is told. */
function explainAlert(event: ExplainFacts['event'], webhook: ExplainFacts['webhook']): Said {
  const trigger = `${shownType(event.entityType)}.${event.actionType}`
  if (!(webhook.triggers as readonly string[]).includes(trigger))
    return { state: 'not_subscribed', sentence: `Not sent: the webhook does not ask for ${trigger}.` }
  return {
    state: 'for_another',
    sentence:
      'Not sent: an alert goes to the webhooks that are active and have the trigger when it is told, but not to the one that it is about.',
  }
}

const say = (time: Date) => time.toISOString()
const count = (attempts: number) => (attempts === 1 ? 'one attempt' : `${attempts || 'no'} attempts`)
