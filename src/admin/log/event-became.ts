import { type DeliveryStory, type EventStory, maxExplained } from '../../control/log/events.ts'
import type { AttemptLine } from '../../control/log/log.ts'
import { type Html, html, moment } from '../kit/html.ts'
import type { PageCall } from '../kit/page.ts'
import { countOf, outcomeOf, reasonOf } from './attempt-line.ts'

type State = DeliveryStory['state']

/** A colour per state. */
const kinds: Partial<Record<State, 'good' | 'warn' | 'bad'>> = {
  delivered: 'good',
  dead: 'bad',
  retrying: 'warn',
  blocked: 'warn',
  disabled: 'warn',
}
/** Never queued for these webhooks. */
const neverQueued: readonly State[] = [
  'made_later',
  'inactive_then',
  'disabled_then',
  'not_subscribed',
  'no_wanted_field',
  'filtered',
  'for_another',
  'other_tenant',
]
/** Pending, and can be cancelled. */
const waits: readonly State[] = ['due', 'retrying', 'blocked', 'behind', 'inactive', 'disabled']
/** It continues by itself, or can't. */
const notResent: readonly State[] = ['in_flight', 'due', 'inactive', 'disabled']

/** An event's deliveries as timelines; then the webhooks that did not want it. */
export function becamePart(call: PageCall, { event, deliveries }: EventStory, key: string): Html {
  const { t } = call
  const isNever = (delivery: DeliveryStory) =>
    neverQueued.includes(delivery.state) && delivery.attempts.length === 0
  const never = deliveries.filter(isNever)
  return html`${deliveries.length === 0 && html`<p class="empty">${t.event.noWebhooks}</p>`}
${deliveries.filter(delivery => !isNever(delivery)).map(delivery => line(call, event, delivery, key))}
${
  never.length > 0 &&
  html`<section class="card grid never"><h3>${t.event.notSentTo}</h3>${never.map(
    delivery => html`<div id="webhook-${delivery.webhookId}"><p>${nameOf(delivery)} <span class="quiet">${t.event.states[delivery.state].what}</span></p>
${exactly(call, delivery)}${resendForm(call, event.id, delivery, key)}</div>`,
  )}</section>`
}
${deliveries.length >= maxExplained && html`<p class="hint">${t.event.firstOnly(maxExplained)}</p>`}`
}

function line(call: PageCall, event: EventStory['event'], delivery: DeliveryStory, key: string): Html {
  const { t, control } = call
  const { state, attempts, until, other, webhookId } = delivery
  const { word, what } = t.event.states[state]
  return html`<section class="card grid" id="webhook-${webhookId}"><h3>${nameOf(delivery)} <span class="badge ${kinds[state] ?? ''}">${word}</span></h3>
<ol class="timeline">
<li>${moment(event.committedAt, 'second')}<p>${t.event.committed}</p></li>
${attempts.map(
  attempt =>
    html`<li class="${attempt.outcome === 'delivered' ? 'good' : 'bad'}">${moment(attempt.startedAt, 'second')}<p><a href="/couplings/${webhookId}/log/${attempt.id}">${titleOf(call, attempt)}</a> ${outcomeOf(t, attempt)}</p>${reason(call, attempt)}</li>`,
)}
<li class="now ${kinds[state] ?? ''}">${until === null ? html`<span class="quiet">${t.event.now}</span>` : moment(until, 'second')}<p>${what}${until !== null && html` ${t.event.next} ${moment(until, 'distance')}.`}${other !== null && html` <a href="/events/${other}">${t.event.other}</a>`}</p></li>
</ol>
${attempts.some(({ number }) => number > control.maxAttempts) && html`<p class="hint">${t.event.shorter}</p>`}
${exactly(call, delivery)}
<div class="end">${resendForm(call, event.id, delivery, key)}${cancelForm(call, event.id, delivery)}</div>
</section>`
}

function nameOf({ webhookId, webhookName }: DeliveryStory): Html {
  return html`<a href="/couplings/${webhookId}/log">${webhookName}</a>`
}

function titleOf({ t, control }: PageCall, { number, trigger, eventIds }: AttemptLine): string {
  const count = t.event.attempt(countOf(t, number, control.maxAttempts))
  const how = trigger === 'manual' ? `, ${t.event.byHand}` : ''
  return `${count}${how}${eventIds === null ? '' : `, ${t.log.batch(eventIds.length)}`}`
}

function reason({ t }: PageCall, attempt: AttemptLine): Html | false {
  const why = reasonOf(t, attempt)
  return why !== null && html`<p class="hint">${why}</p>`
}

/** The sentence adds names, times, and the receiver's words. */
function exactly({ t }: PageCall, { sentence }: DeliveryStory): Html {
  return html`<details class="exactly"><summary>${t.event.exactly}</summary><p>${sentence}</p></details>`
}

function resendForm(
  { t, may }: PageCall,
  eventId: bigint,
  delivery: DeliveryStory,
  key: string,
): Html | false {
  const { webhookId, state, webhookName } = delivery
  if (!may('operator') || notResent.includes(state)) return false
  // The receiver may not be meant to have such data: only an admin sends it, and the audit records it.
  const isBeyond = state === 'not_subscribed'
  if (isBeyond && !may('admin')) return false
  const text =
    delivery.attempts.length > 0
      ? t.log.resend
      : neverQueued.includes(state)
        ? t.event.sendAnyway
        : t.event.sendNow
  return html`<form method="post" action="/couplings/${webhookId}/resend">
<input type="hidden" name="key" value="${key}"><input type="hidden" name="event_id" value="${eventId}">${isBeyond && html`<input type="hidden" name="beyond_triggers" value="true">`}
<button aria-label="${`${text}: ${webhookName}`}">${text}</button></form>`
}

function cancelForm({ t, may }: PageCall, eventId: bigint, delivery: DeliveryStory): Html | false {
  const { webhookId, state, webhookName } = delivery
  if (!may('operator') || !waits.includes(state)) return false
  return html`<form method="post" action="/couplings/${webhookId}/cancel"><input type="hidden" name="event_id" value="${eventId}">
<button aria-label="${`${t.event.cancel}: ${webhookName}`}">${t.event.cancel}</button></form>`
}
