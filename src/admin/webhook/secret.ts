import { revealSecret, rotateSecret } from '../../control/webhooks/secrets.ts'
import type { Webhook } from '../../domain/webhook/webhook.ts'
import { errorAttributes, errorSummary, errorsOf, errorText } from '../kit/errors.ts'
import { failedPage } from '../kit/failed.ts'
import { onceOfForm } from '../kit/given.ts'
import { type Html, html, moment } from '../kit/html.ts'
import type { PageCall, PageResponse } from '../kit/page.ts'
import { snippetParts } from '../kit/snippets.ts'
import { webhookPage } from './page.ts'
import { tabsFor, webhookTabs } from './state.ts'

const defaultOverlapHours = '24'

export const webhookSecretPages = [
  webhookPage({
    method: 'get',
    path: '/couplings/:id/secret',
    role: 'admin',
    handle: (call, webhook) => secretPage(call, webhook, null),
  }),
  // A form, because the audit records that the secret was shown.
  webhookPage({
    method: 'post',
    path: '/couplings/:id/secret',
    role: 'admin',
    async handle(call, webhook) {
      const { control, caller, params, t } = call
      const secret = await revealSecret(control, caller, params.id)
      return secret.ok ? secretPage(call, webhook, secret.value) : failedPage(t, secret)
    },
  }),
  webhookPage({
    method: 'get',
    path: '/couplings/:id/secret/rotate',
    role: 'admin',
    handle: (call, webhook) => rotatePage(call, webhook, defaultOverlapHours),
  }),
  webhookPage({
    method: 'post',
    path: '/couplings/:id/secret/rotate',
    role: 'admin',
    async handle(call, webhook) {
      const { control, caller, params, form, t } = call
      const hours = (form.get('overlap_hours') ?? '').trim()
      if (!/^\d{1,3}$/.test(hours) || Number(hours) > 168)
        return rotatePage(call, webhook, hours, t.secret.wrongHours)
      // A second rotation would end the secret that receivers still have.
      const shown: PageResponse[] = []
      const done = await onceOfForm(call, `rotate ${params.id}`, async () => {
        const rotated = await rotateSecret(control, caller, params.id, Number(hours))
        if (!rotated.ok) return rotated
        const { webhook: after, secret } = rotated.value
        shown.push(secretPage(call, after, secret, rotatedNotice(call, after)))
        return { ok: true, value: '' }
      })
      if (!done.ok) return failedPage(t, done)
      return shown[0] ?? { show: 'redirect', to: `/couplings/${params.id}/secret?done=rotated` }
    },
  }),
]

function secretPage(
  call: PageCall,
  webhook: Webhook,
  secret: string | null,
  done: Html | false = false,
): PageResponse {
  const { t, query, snippets } = call
  const { id } = webhook
  const wasRotated = query.get('done') === 'rotated'
  const address = html` data-address="/couplings/${id}/secret"`
  return {
    show: 'page',
    title: t.secret.title,
    body: html`${webhookTabs(t, id, 'secret', tabsFor(call))}
<div class="created"${secret !== null && address}>
${done || (wasRotated && rotatedNotice(call, webhook))}
<section class="card grid">
<p>${t.secret.what}</p>
${secret === null ? masked(call, webhook) : shown(call, secret)}
${!done && !wasRotated && overlapLine(call, webhook)}
<div class="end"><a class="button" href="/couplings/${id}/secret/rotate">${t.secret.rotate}</a></div>
</section>
<section class="card">
<h2>${t.secret.verify}</h2>
<p class="hint">${t.created.nextHint}</p>
${snippetParts(t, snippets, secret)}
</section>
</div>`,
  }
}

function masked({ t }: PageCall, { id }: Webhook): Html {
  return html`<form method="post" action="/couplings/${id}/secret" class="row">
<code class="secret"><span aria-hidden="true">whsec_••••••••••••••••••••••••</span><span class="unseen">${t.secret.hidden}</span></code><button class="main">${t.secret.show}</button>
</form>
<p class="hint">${t.secret.showHint} <a href="/audit?webhook=${id}">${t.secret.audit}</a></p>`
}

function shown({ t }: PageCall, secret: string): Html {
  return html`<div class="row"><code class="secret" id="secret">${secret}</code><button type="button" data-copy="secret" data-copied="${t.created.copied}" hidden>${t.created.copy}</button></div>
<p class="hint">${t.secret.shownHint}</p>`
}

/** When the previous secret expires, if it is still valid. */
function overlapEnd({ nowMs }: PageCall, { previousSecretExpiresAt: end }: Webhook): Date | null {
  return end !== null && end.getTime() > nowMs ? end : null
}

function overlapLine(call: PageCall, webhook: Webhook): Html | false {
  const end = overlapEnd(call, webhook)
  return end !== null && html`<p class="notice warn">${call.t.secret.bothSignUntil} ${moment(end)}.</p>`
}

function rotatedNotice(call: PageCall, webhook: Webhook): Html {
  const { t } = call
  const end = overlapEnd(call, webhook)
  const rest = end === null ? t.secret.oldHasEnded : html`${t.secret.bothSignUntil} ${moment(end)}.`
  return html`<p class="notice ${end === null ? 'warn' : 'good'}" role="status">${t.secret.rotated} ${rest}</p>`
}

function rotatePage(call: PageCall, webhook: Webhook, hours: string, problem?: string): PageResponse {
  const { t, control, form } = call
  const { id } = webhook
  const end = overlapEnd(call, webhook)
  const errors = errorsOf({ overlap_hours: problem })
  const key = form.get('key') ?? control.randomBytes(16).toString('hex')
  return {
    show: 'page',
    title: t.secret.rotate,
    status: problem === undefined ? 200 : 422,
    crumbs: [{ text: t.secret.title, href: `/couplings/${id}/secret` }],
    body: html`<form method="post" action="/couplings/${id}/secret/rotate" class="card grid" novalidate>
<input type="hidden" name="key" value="${key}">
${errorSummary(t.errors.someWrong, errors)}<p>${t.secret.rotateWhat}</p>
${end !== null && html`<p class="notice warn">${t.secret.endsTheOther} ${moment(end)}.</p>`}
<div class="field short"><label for="overlap_hours">${t.secret.hours}</label>
<input id="overlap_hours" name="overlap_hours" inputmode="numeric" value="${hours}" autocomplete="off" required pattern="\\d|[1-9]\\d|1[0-5]\\d|16[0-8]" data-local${errorAttributes(errors, 'overlap_hours', 'hours-hint')}>
<p class="hint" id="hours-hint">${t.secret.hoursHint}</p>
${errorText(errors, 'overlap_hours')}</div>
<div class="end"><button class="main">${t.secret.rotateNow}</button><a class="button" href="/couplings/${id}/secret">${t.form.cancel}</a></div>
</form>`,
  }
}
