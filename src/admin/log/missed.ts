import type { Missed } from '../../control/log/replays.ts'
import { type Html, html, moment } from '../kit/html.ts'
import type { PageCall } from '../kit/page.ts'
import { countOf } from './progress.ts'

/** The number of events that a webhook missed while inactive, and a button that sends them; nothing if there are none. */
export function missedOffer(call: PageCall, webhookId: number, missed: Missed | null): Html | false {
  const { t, control, may } = call
  if (!missed || missed.replayId !== null || missed.until === null) return false
  const { since, until, keptSince } = missed
  const isNone = missed.count === 0 && missed.isExact
  if (isNone && keptSince === null) return false
  const key = control.randomBytes(16).toString('hex')
  return html`<div class="missed"><p>${isNone ? t.bulk.missedNone : html`<b>${missed.restOf === null ? t.bulk.missed(countOf(t, missed)) : t.bulk.missedRest(countOf(t, missed))}</b>`} ${moment(since, 'second')} – ${moment(until, 'second')}</p>${
    keptSince && html`<p>${t.bulk.keptSince} ${moment(keptSince)}.</p>`
  }${
    !isNone &&
    may('operator') &&
    html`<form method="post" action="/couplings/${webhookId}/replay"><input type="hidden" name="key" value="${key}"><input type="hidden" name="missed" value="true"><button class="main">${t.bulk.sendMissed}</button></form>`
  }</div>`
}
