import { hasAccounts, testWebhook } from '../../control/webhooks/test-webhook.ts'
import { shownUrl } from '../../domain/shown/shown.ts'
import type { Webhook } from '../../domain/webhook/webhook.ts'
import { fieldErrors } from '../form/error-fields.ts'
import { blank, shownProblems } from '../form/input.ts'
import { testProblems, userField } from '../form/webhook-form.ts'
import { errorSummary, type FieldError } from '../kit/errors.ts'
import { failedPage } from '../kit/failed.ts'
import { type Html, html, nothing, problemText } from '../kit/html.ts'
import type { PageCall, PageResponse } from '../kit/page.ts'
import { attemptView } from '../log/attempt-view.ts'
import { webhookPage } from './page.ts'
import { tabsFor, webhookTabs } from './state.ts'

export const webhookTestPages = [
  webhookPage({
    method: 'get',
    path: '/couplings/:id/test',
    role: 'operator',
    handle: (call, webhook) => testPage(call, webhook, nothing),
  }),
  webhookPage({
    method: 'post',
    path: '/couplings/:id/test',
    role: 'operator',
    async handle(call, webhook) {
      const { control, caller, params, form, t, isPart } = call
      const userId = (form.get('user_id') ?? '').trim()
      const result = await testWebhook(control, params.id, caller, userId === '' ? null : userId)
      const response = (body: Html, errors: readonly FieldError[] = []) =>
        isPart ? ({ show: 'part', body } as const) : testPage(call, webhook, body, errors)
      if (result.ok) return response(attemptView(t, result.value, caller.role))
      if (result.kind === 'invalid') {
        const problems = shownProblems(t, result.problems)
        return response(isPart ? testProblems(problems) : nothing, fieldErrors(problems, blank))
      }
      if (result.kind === 'busy') return response(problemText(t.test.busy(result.retryAfterS)))
      return failedPage(t, result)
    },
  }),
]

function testPage(
  call: PageCall,
  { id, url, tenant }: Webhook,
  result: Html,
  errors: readonly FieldError[] = [],
): PageResponse {
  const { t, control, caller, form } = call
  return {
    show: 'page',
    title: t.test.title,
    status: errors.length > 0 ? 422 : 200,
    body: html`${webhookTabs(t, id, 'test', tabsFor(call))}
<form method="post" action="/couplings/${id}/test" class="card grid" hx-post="/couplings/${id}/test" hx-target="#tried" hx-disable="find button">
${errorSummary(t.errors.someWrong, errors)}<p>${t.test.what(shownUrl(url, caller.role))}</p>
<div class="row">${userField(t, caller.userId, form.get('user_id') ?? '', errors, hasAccounts(control, tenant))}<button class="main busy">${t.test.send}</button></div>
</form>
<div id="tried" class="card tried" aria-live="polite">${result}</div>`,
  }
}
