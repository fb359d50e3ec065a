import { type DeliveryCounts, deliveryStates, type EventState } from '../../domain/event/event-state.ts'
import type { TimeId } from '../../domain/value/time-id.ts'
import { type Html, html } from '../kit/html.ts'
import type { Texts } from '../texts/en.ts'
import { number } from '../texts/figures.ts'

/** A colour per state, as on an event's page. */
const kinds: Partial<Record<EventState, 'good' | 'warn' | 'bad'>> = {
  dead: 'bad',
  retrying: 'warn',
  delivered: 'good',
}

export function stateWord(t: Texts, state: EventState): string {
  const { states } = t.event
  if (state === 'pending') return states.due.word
  return state === 'not_sent' ? states.not_subscribed.word : states[state].word
}

/** An event's states at its webhooks, with links; the most urgent first. */
export function stateCell(t: Texts, id: TimeId, counts: DeliveryCounts): Html {
  const there = deliveryStates.filter(state => counts[state] > 0)
  if (there.length === 0)
    return html`<a class="quiet" href="/events/${id}#became">${stateWord(t, 'not_sent')}</a>`
  return html`<span class="states">${there.map(
    state =>
      html`<span class="badge ${kinds[state] ?? ''}">${stateWord(t, state)}${counts[state] > 1 && html` <span class="count">${number(t, counts[state])}</span>`}</span> `,
  )}</span>`
}
