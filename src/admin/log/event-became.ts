import { type EventStory, mostExplained, type ToldDelivery } from '../../control/log/events.ts'
import type { AttemptLine } from '../../control/log/log.ts'
import { type Html, html, moment } from '../kit/html.ts'
import type { PageCall } from '../kit/page.ts'
import { countOf, outcomeOf, reasonOf } from './attempt-line.ts'

type State = ToldDelivery['state']

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
  const isNever = (told: ToldDelivery) => neverQueued.includes(told.state) && told.attempts.length === 0
  const never = deliveries.filter(isNever)
  return html`${deliveries.length === 0 && html`<p class="empty">${t.event.noWebhooks}</p>`}
${deliveries.filter(told => !isNever(told)).map(told => line(call, event, told, key))}
${
  never.length > 0 &&
  html`<section class="card grid never"><h3>${t.event.notSentTo}</h3>${never.map(
    told => html`<div id="webhook-${told.webhookId}"><p>${nameOf(told)} <span class="quiet">${t.event.states[told.state].what}</span></p>
${exactly(call, told)}${resendForm(call, event.id, told, key)}</div>`,
  )}</section>`
}
${deliveries.length >= mostExplained && html`<p class="hint">${t.event.firstOnly(mostExplained)}</p>`}`
}

function line(call: PageCall, event: EventStory['event'], told: ToldDelivery, key: string): Html {
  const { t, control } = call
  const { state, attempts, until, other, webhookId } = told
  const { word, what } = t.event.states[state]
  return html`<section class="card grid" id="webhook-${webhookId}"><h3>${nameOf(told)} <span class="badge ${kinds[state] ?? ''}">${word}</span></h3>
<ol class="timeline">
<li>${moment(event.committedAt, 'second')}<p>${t.event.committed}</p></li>
${attempts.map(
  attempt =>
    html`<li class="${attempt.outcome === 'delivered' ? 'good' : 'bad'}">${moment(attempt.startedAt, 'second')}<p><a href="/couplings/${webhookId}/log/${attempt.id}">${titleOf(call, attempt)}</a> ${outcomeOf(t, attempt)}</p>${reason(call, attempt)}</li>`,
)}
<li class="now ${kinds[state] ?? ''}">${until === null ? html`<span class="quiet">${t.event.now}</span>` : moment(until, 'second')}<p>${what}${until !== null && html` ${t.event.next} ${moment(until, 'distance')}.`}${other !== null && html` <a href="/events/${other}">${t.event.other}</a>`}</p></li>
</ol>
${attempts.some(({ number }) => number > control.mostAttempts) && html`<p class="hint">${t.event.shorter}</p>`}
${exactly(call, told)}
<div class="end">${resendForm(call, event.id, told, key)}${cancelForm(call, event.id, told)}</div>
</section>`
}

function nameOf({ webhookId, webhookName }: ToldDelivery): Html {
  return html`<a href="/couplings/${webhookId}/log">${webhookName}</a>`
}

function titleOf({ t, control }: PageCall, { number, trigger, eventIds }: AttemptLine): string {
  const count = t.event.attempt(countOf(t, number, control.mostAttempts))
  const how = trigger === 'manual' ? `, ${t.event.byHand}` : ''
  return `${count}${how}${eventIds === null ? '' : `, ${t.log.batch(eventIds.length)}`}`
}

function reason({ t }: PageCall, attempt: AttemptLine): Html | false {
  const why = reasonOf(t, attempt)
  return why !== null && html`<p class="hint">${why}</p>`
}

/** The sentence adds names, times, and the receiver's words. */
function exactly({ t }: PageCall, { sentence }: ToldDelivery): Html {
  return html`<details class="exactly"><summary>${t.event.exactly}</summary><p>${sentence}</p></details>`
}

function resendForm({ t, may }: PageCall, eventId: bigint, told: ToldDelivery, key: string): Html | false {
  const { webhookId, state, webhookName } = told
  if (!may('operator') || notResent.includes(state)) return false
  // The receiver may not be meant to have such data: only an admin sends it, and the audit records it.
  const isBeyond = state === 'not_subscribed'
  if (isBeyond && !may('admin')) return false
  const text =
    told.attempts.length > 0
      ? t.log.resend
      : neverQueued.includes(state)
        ? t.event.sendAnyway
        : t.event.sendNow
  return html`<form method="post" action="/couplings/${webhookId}/resend">
<input type="hidden" name="key" value="${key}"><input type="hidden" name="event_id" value="${eventId}">${isBeyond && html`<input type="hidden" name="beyond_triggers" value="true">`}
<button aria-label="${`${text}: ${webhookName}`}">${text}</button></form>`
}

function cancelForm({ t, may }: PageCall, eventId: bigint, told: ToldDelivery): Html | false {
  const { webhookId, state, webhookName } = told
  if (!may('operator') || !waits.includes(state)) return false
  return html`<form method="post" action="/couplings/${webhookId}/cancel"><input type="hidden" name="event_id" value="${eventId}">
<button aria-label="${`${t.event.cancel}: ${webhookName}`}">${t.event.cancel}</button></form>`
}
