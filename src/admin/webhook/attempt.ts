import { z } from 'zod'
import type { LoggedAttempt } from '../../control/kit/control.ts'
import { once } from '../../control/kit/once.ts'
import type { Failed } from '../../control/kit/result.ts'
import { type AttemptLine, attemptsOfEvent, getAttempt, isStillNext } from '../../control/log/log.ts'
import { replayEvents } from '../../control/log/replay.ts'
import { resendEvent } from '../../control/log/resend.ts'
import { curlCommand } from '../../domain/shown/curl.ts'
import { redacted } from '../../domain/shown/redact.ts'
import { shownAttempt } from '../../domain/shown/shown.ts'
import type { Webhook } from '../../domain/webhook/webhook.ts'
import { failedAnswer } from '../kit/failed.ts'
import { formKey } from '../kit/form-once.ts'
import { given, wrong, wrongField } from '../kit/given.ts'
import { type Html, html, moment } from '../kit/html.ts'
import { bigIdParam, idParam } from '../kit/ids.ts'
import { type PageAnswer, type PageCall, page } from '../kit/page.ts'
import { countOf, nextOf, subjectOf } from '../log/attempt-line.ts'
import { attemptView } from '../log/attempt-view.ts'
import { isShownWhole } from '../log/shown-body.ts'
import { tabsFor } from './edit.ts'
import { webhookPage } from './page.ts'
import { webhookTabs } from './state.ts'

const place = 'couplings'

export const webhookAttemptPages = [
  webhookPage({
    method: 'get',
    path: '/couplings/:id/log/:attempt',
    role: 'viewer',
    more: { attempt: bigIdParam },
    async handle(call, webhook) {
      const { control, params, t } = call
      const attempt = await getAttempt(control, params.id, params.attempt)
      if (!attempt.ok) return failedAnswer(t, attempt)
      return await attemptPage(call, webhook, attempt.value)
    },
  }),
  // Of an event by itself, or of all that a request held (`attempt_id`). Sent twice, it is done once.
  page({
    method: 'post',
    path: '/couplings/:id/resend',
    role: 'operator',
    place,
    tenants: 'webhook',
    params: z.object({ id: idParam }),
    async handle(call) {
      const { control, caller, params, form, t } = call
      const eventId = given(form, 'event_id', bigIdParam)
      if (eventId === wrong) return wrongField(t, 'event_id')
      const attemptId = given(form, 'attempt_id', bigIdParam)
      if (attemptId === wrong) return wrongField(t, 'attempt_id')
      const beyond = given(form, 'beyond_triggers', z.literal('true'))
      if (beyond === wrong) return wrongField(t, 'beyond_triggers')
      let failure: Failed = { ok: false, kind: 'not_found', detail: '' }
      const done = await once(control, caller, formKey(`resend ${params.id}`, form), async () => {
        const result =
          eventId === undefined
            ? attemptId === undefined
              ? failure
              : await resendBatch(call, attemptId)
            : await resendOne(call, eventId, beyond !== undefined)
        if (result.ok) return result.value
        failure = result
        return null
      })
      if (done.state === 'answered') return { show: 'redirect', to: done.answer }
      return failedAnswer(t, done.state === 'failed' ? done.failure : failure)
    },
  }),
]

type Done = { readonly ok: true; readonly value: string } | Failed

/** Returns the page that shows the delivery. */
async function resendOne(
  { control, caller, params }: PageCall<{ id: number }>,
  eventId: bigint,
  beyondTriggers: boolean,
): Promise<Done> {
  const resent = await resendEvent(control, caller, params.id, eventId, { beyondTriggers })
  if (!resent.ok) return resent
  const done = resent.value.newerDelivered ? 'resent_older' : 'resent'
  return { ok: true, value: `/events/${eventId}?done=${done}#webhook-${params.id}` }
}

async function resendBatch(
  { control, caller, params }: PageCall<{ id: number }>,
  attemptId: bigint,
): Promise<Done> {
  const attempt = await getAttempt(control, params.id, attemptId)
  if (!attempt.ok) return attempt
  const ids = attempt.value.eventIds ?? []
  const replayed = await replayEvents(control, caller, params.id, { of: 'ids', ids }, null)
  if (!replayed.ok) return replayed
  return { ok: true, value: `/couplings/${params.id}/log?done=resent&count=${replayed.value.queued}` }
}

async function attemptPage(call: PageCall, webhook: Webhook, attempt: LoggedAttempt): Promise<PageAnswer> {
  const { t, control } = call
  const { id, name } = webhook
  const first = attempt.eventId ?? attempt.eventIds?.[0]
  const others = first === undefined ? [] : await attemptsOfEvent(control, first, id)
  return {
    show: 'page',
    title: subjectOf(t, attempt),
    crumbs: [
      { text: name, href: `/couplings/${id}` },
      { text: t.log.title, href: `/couplings/${id}/log` },
    ],
    body: html`${webhookTabs(t, id, 'log', tabsFor(call))}
<div class="one">
${neighbours(call, attempt, others)}
<section class="card grid">${about(call, webhook, attempt, await isStillNext(control, attempt))}</section>
${resendForm(call, webhook, attempt)}
<div class="card">${attemptView(t, attempt, call.caller.role)}</div>
${curl(call, attempt)}
</div>`,
  }
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
  return html`<dl class="facts">
<div><dt>${t.log.sentAt}</dt><dd>${moment(attempt.startedAt, 'second')}</dd></div>
<div><dt>${t.log.columns.trigger}</dt><dd>${t.log.triggers[trigger]}</dd></div>
${trigger !== 'test' && html`<div><dt>${t.log.columns.attempt}</dt><dd>${countOf(t, attempt.number, control.mostAttempts)}</dd></div>`}
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
  // What is shown in part can't be sent again so.
  if (request.body === '' || !isShownWhole(request.body)) return false
  const isRedacted = [request.url, ...Object.values(request.headers)].some(text => text.includes(redacted))
  return html`<details class="card curl"><summary>${t.log.curl}</summary>
<p class="hint">${t.log.curlHint}${isRedacted && ` ${t.log.curlRedacted}`}</p>
<div class="copied"><pre id="curl" tabindex="0" aria-label="curl">${curlCommand(request)}</pre><button type="button" data-copy="curl" data-copied="${t.created.copied}" hidden>${t.created.copy}</button></div>
</details>`
}
