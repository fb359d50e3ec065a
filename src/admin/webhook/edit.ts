import { z } from 'zod'
import { changeWebhook, createWebhook, deleteWebhook } from '../../control/webhooks/webhooks.ts'
import { shownUrl } from '../../domain/shown/shown.ts'
import type { Webhook } from '../../domain/webhook/webhook.ts'
import { filterPreviewPart } from '../form/filter-field.ts'
import { blank, chosen, shownProblems, typedOf, validateTyped, wrongFieldOf } from '../form/input.ts'
import { previewParts } from '../form/webhook-form.ts'
import { failedPage } from '../kit/failed.ts'
import { onceOfForm, wrongField } from '../kit/given.ts'
import { html } from '../kit/html.ts'
import { idParam } from '../kit/ids.ts'
import { page } from '../kit/page.ts'
import { createdPage, filterPreviewOf, formPage, previewsOf, tryUnsaved, typedIn } from './edit-form.ts'
import { webhookPage } from './page.ts'
import { allProblems, tenantOf } from './validate.ts'

const section = 'couplings'
const params = z.object({ id: idParam })

export const webhookEditPages = [
  page({
    method: 'get',
    path: '/couplings/new',
    role: 'admin',
    section,
    tenants: 'own',
    handle: call => formPage(call, null, { ...blank, tenant: call.caller.tenant ?? '' }),
  }),
  page({
    method: 'post',
    path: '/couplings/new',
    role: 'admin',
    section,
    tenants: 'own',
    async handle(call) {
      const { control, caller, form, t } = call
      const field = wrongFieldOf(form, control.entityTypes)
      if (field !== null) return wrongField(t, field)
      const typed = typedIn(call, null)
      if (validateTyped(t, typed).length > 0)
        return await formPage(call, null, typed, { problems: await allProblems(call, typed, null) })
      // A repeated form, by a double click or reload, gives the same webhook and shows its secret again. Another form has
      // another `key`.
      const made = await onceOfForm(call, 'new webhook', async () => {
        const created = await createWebhook(control, caller, {
          ...chosen(typed, []),
          ...tenantOf(typed),
        })
        if (!created.ok) return created
        const { webhook, secret } = created.value
        return { ok: true, value: JSON.stringify({ id: webhook.id, secret }) }
      })
      if (made.ok) return createdPage(call, JSON.parse(made.value), typed)
      if (made.kind !== 'invalid') return failedPage(t, made)
      return await formPage(call, null, typed, { problems: shownProblems(t, made.problems) })
    },
  }),
  page({
    method: 'post',
    path: '/couplings/preview',
    role: 'admin',
    section,
    tenants: 'own',
    async handle(call) {
      const typed = typedIn(call, null)
      const filter = filterPreviewPart(call.t, await filterPreviewOf(call, typed))
      return { show: 'part', body: html`${filter}${previewParts(call.t, await previewsOf(call, typed))}` }
    },
  }),
  page({
    method: 'post',
    path: '/couplings/try',
    role: 'admin',
    section,
    tenants: 'own',
    handle: call => tryUnsaved(call, null),
  }),
  webhookPage({
    method: 'post',
    path: '/couplings/:id/try',
    role: 'admin',
    handle: tryUnsaved,
  }),
  webhookPage({
    method: 'get',
    path: '/couplings/:id',
    role: 'viewer',
    handle: (call, webhook) =>
      formPage(call, webhook, typedOf({ ...webhook, url: shownUrl(webhook.url, call.caller.role) })),
  }),
  webhookPage({
    method: 'post',
    path: '/couplings/:id',
    role: 'admin',
    async handle(call, webhook) {
      const { control, caller, form, t, params } = call
      const stored = webhook.headerNames
      const field = wrongFieldOf(form, control.entityTypes)
      if (field !== null) return wrongField(t, field)
      const typed = typedIn(call, webhook)
      if (validateTyped(t, typed).length > 0)
        return await formPage(call, webhook, typed, { problems: await allProblems(call, typed, webhook) })
      const isCurrent = ({ version }: Webhook) => String(version) === form.get('version')
      const changed = await changeWebhook(control, caller, params.id, chosen(typed, stored), isCurrent)
      const wasOff = !webhook.isActive || webhook.disabledReason !== null
      const done = wasOff && typed.isActive ? `activated&id=${params.id}` : 'saved'
      if (changed.ok) return { show: 'redirect', to: `/couplings?done=${done}` }
      if (changed.kind === 'stale') return await formPage(call, webhook, typed, { isStale: true })
      if (changed.kind !== 'invalid') return failedPage(t, changed)
      return await formPage(call, webhook, typed, { problems: shownProblems(t, changed.problems) })
    },
  }),
  page({
    method: 'post',
    path: '/couplings/:id/take-over',
    role: 'admin',
    section,
    tenants: 'webhook',
    params,
    async handle({ control, caller, params, t }) {
      const taken = await changeWebhook(control, caller, params.id, { managedBy: null })
      return taken.ok ? { show: 'redirect', to: `/couplings/${params.id}?done=taken` } : failedPage(t, taken)
    },
  }),
  webhookPage({
    method: 'get',
    path: '/couplings/:id/delete',
    role: 'admin',
    handle({ t }, { id, name }) {
      return {
        show: 'page',
        title: t.delete.title,
        body: html`<form method="post" action="/couplings/${id}/delete" class="card grid">
<p>${t.delete.question(name)}</p><p class="quiet">${t.delete.consequence}</p>
<div class="end"><button class="danger">${t.delete.confirm}</button><a class="button" href="/couplings/${id}">${t.form.cancel}</a></div>
</form>`,
      }
    },
  }),
  page({
    method: 'post',
    path: '/couplings/:id/delete',
    role: 'admin',
    section,
    tenants: 'webhook',
    params,
    async handle({ control, caller, params, t }) {
      const deleted = await deleteWebhook(control, caller, params.id)
      return deleted.ok ? { show: 'redirect', to: '/couplings?done=deleted' } : failedPage(t, deleted)
    },
  }),
]
