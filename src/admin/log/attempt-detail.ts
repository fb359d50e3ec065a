import type { LoggedAttempt } from '../../control/kit/control.ts'
import { labelFor } from '../../control/log/labels.ts'
import { type AttemptLine, attemptsOfEvent, isStillNext } from '../../control/log/log.ts'
import { curlCommand } from '../../domain/shown/curl.ts'
import { redacted } from '../../domain/shown/redact.ts'
import { shownAttempt } from '../../domain/shown/shown.ts'
import type { Webhook } from '../../domain/webhook/webhook.ts'
import { type Html, html, moment } from '../kit/html.ts'
import { entityName } from '../kit/names.ts'
import type { PageCall } from '../kit/page.ts'
import { countOf, nextOf, subjectOf } from './attempt-line.ts'
import { attemptView } from './attempt-view.ts'
import { isShownWhole } from './shown-body.ts'

/** One request of a webhook in full, with its operations. */
export async function attemptDetail(call: PageCall, webhook: Webhook, attempt: LoggedAttempt): Promise<Html> {
  const { t, control } = call
  const first = attempt.eventId ?? attempt.eventIds?.[0]
  const others = first === undefined ? [] : await attemptsOfEvent(control, first, webhook.id)
  return html`${neighbours(call, attempt, others)}
<section class="card grid">${about(call, webhook, attempt, await isStillNext(control, attempt))}</section>
${resendForm(call, webhook, attempt)}
<div class="card">${attemptView(t, attempt, call.caller.role)}</div>
${curl(call, attempt)}`
}

/** The same beside the log: with a heading, and a link back to `list`. */
export function opened(
  { t }: PageCall,
  { id }: Webhook,
  attempt: LoggedAttempt,
  detail: Html,
  list = `/couplings/${id}/log`,
): Html {
  return html`<div class="opened-head"><h2 id="opened-title">${subjectOf(t, attempt)}</h2>
<span class="actions"><a href="/couplings/${id}/log/${attempt.id}">${t.log.ownPage}</a> <a href="${list}" class="close">${t.log.close}</a></span></div>
<div class="one">${detail}</div>`
}

function neighbours({ t }: PageCall, { id, webhookId }: LoggedAttempt, others: readonly AttemptLine[]): Html {
  const at = others.findIndex(line => line.id === id)
  const link = (line: AttemptLine | undefined, text: string, rel: 'prev' | 'next') =>
    line !== undefined &&
    html`<a class="button" rel="${rel}" href="/couplings/${webhookId}/log/${line.id}">${text}</a>`
  const before = link(others[at - 1], t.log.previousAttempt, 'prev')
  const after = at >= 0 && link(others[at + 1], t.log.nextAttempt, 'next')
  if (!before && !after) return html``
  return html`<nav class="pages above" aria-label="${t.log.attempts}">${before}${after}</nav>`
}

function about(
  { t, control, nowMs }: PageCall,
  webhook: Webhook,
  attempt: LoggedAttempt,
  isNext: boolean,
): Html {
  const { eventId, eventIds, trigger } = attempt
  const next = nextOf(t, { ...attempt, isNext }, webhook, nowMs)
  const label = labelFor(control, attempt.entityType, attempt.request.body)
  return html`<dl class="facts">
${label !== null && html`<div><dt>${entityName(t, attempt.entityType ?? '')}</dt><dd>${label}</dd></div>`}
<div><dt>${t.log.sentAt}</dt><dd>${moment(attempt.startedAt, 'second')}</dd></div>
<div><dt>${t.log.columns.trigger}</dt><dd>${t.log.triggers[trigger]}</dd></div>
${trigger !== 'test' && html`<div><dt>${t.log.columns.attempt}</dt><dd>${countOf(t, attempt.number, control.maxAttempts)}</dd></div>`}
${next !== null && html`<div><dt>${t.log.columns.next}</dt><dd>${next}</dd></div>`}
<div><dt>${t.log.messageId}</dt><dd><code>${attempt.messageId}</code></dd></div>
</dl>
${eventId !== null && html`<p><a href="/events/${eventId}">${t.log.eventPage}</a></p>`}
${
  eventIds !== null &&
  html`<details class="events"><summary>${t.log.events}</summary><ul>${eventIds.map(
    event => html`<li><a href="/events/${event}">${event}</a></li> `,
  )}</ul></details>`
}`
}

function resendForm(call: PageCall, webhook: Webhook, attempt: LoggedAttempt): Html | false {
  const { t, may, control } = call
  const { id } = webhook
  if (!may('operator')) return false
  if (attempt.trigger === 'test')
    return html`<p class="again"><a class="button" href="/couplings/${id}/test">${t.log.testAgain}</a></p>`
  if (attempt.eventId !== null && attempt.facts === null)
    return html`<p class="again hint">${t.log.notKept}</p>`
  if (!webhook.isActive || webhook.disabledReason !== null)
    return html`<p class="again hint">${t.log.resendInactive}</p>`
  const key = control.randomBytes(16).toString('hex')
  const [name, value, text] =
    attempt.eventId === null
      ? ['attempt_id', attempt.id, t.log.resendBatch]
      : ['event_id', attempt.eventId, t.log.resend]
  return html`<form method="post" action="/couplings/${id}/resend" class="again">
<input type="hidden" name="key" value="${key}"><input type="hidden" name="${name}" value="${value}">
<button>${text}</button><p class="hint">${t.log.resendHint}</p></form>`
}

function curl({ t, caller }: PageCall, attempt: LoggedAttempt): Html | false {
  const { request } = shownAttempt(attempt, caller.role)
  // A truncated body can't be copied.
  if (request.body === '' || !isShownWhole(request.body)) return false
  const isRedacted = [request.url, ...Object.values(request.headers)].some(text => text.includes(redacted))
  return html`<details class="card curl"><summary>${t.log.curl}</summary>
<p class="hint">${t.log.curlHint}${isRedacted && ` ${t.log.curlRedacted}`}</p>
<div class="copied"><pre id="curl" tabindex="0" aria-label="curl">${curlCommand(request)}</pre><button type="button" data-copy="curl" data-copied="${t.created.copied}" hidden>${t.created.copy}</button></div>
</details>`
}
