import { z } from 'zod'
import { once } from '../../control/kit/once.ts'
import type { Failed } from '../../control/kit/result.ts'
import { type FilterPreview, previewFilter } from '../../control/webhooks/filter-preview.ts'
import { previewDeliveries } from '../../control/webhooks/preview.ts'
import { tryWebhook } from '../../control/webhooks/test-webhook.ts'
import { readWithoutPrevious } from '../../control/webhooks/warnings.ts'
import { changeWebhook, createWebhook, deleteWebhook } from '../../control/webhooks/webhooks.ts'
import { shownUrl } from '../../domain/shown/shown.ts'
import type { Webhook } from '../../domain/webhook/webhook.ts'
import { filterPreviewPart, filterTyped, isIncomplete } from '../form/filter-field.ts'
import {
  blank,
  certificateChange,
  chosen,
  headerChange,
  judgeTyped,
  judgeUrl,
  readTyped,
  type ShownProblem,
  shownProblems,
  type Typed,
  typedOf,
  wrongFieldOf,
} from '../form/input.ts'
import { previewParts, testProblems, webhookForm } from '../form/webhook-form.ts'
import { failedAnswer } from '../kit/failed.ts'
import { formKey, wrongField } from '../kit/given.ts'
import { type Html, html, nothing, problemText } from '../kit/html.ts'
import { idParam } from '../kit/ids.ts'
import { type PageAnswer, type PageCall, page } from '../kit/page.ts'
import { snippetParts } from '../kit/snippets.ts'
import { attemptView } from '../log/attempt-view.ts'
import { tenantBadge } from '../tenant/badge.ts'
import type { Texts } from '../texts/en.ts'
import { allProblems, tenantOf } from './judge.ts'
import { webhookPage } from './page.ts'
import { recipientsNotice } from './recipients.ts'
import { managedNotice, paceLine, type WebhookTab, webhookState, webhookTabs } from './state.ts'

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
      if (judgeTyped(t, typed).length > 0)
        return await formPage(call, null, typed, { problems: await allProblems(call, typed, null) })
      // A repeated form, by a double click or reload, gives the same webhook and shows its secret again. Another form has
      // another `key`.
      let problems: readonly ShownProblem[] = []
      let failure: Failed | null = null
      const made = await once(control, caller, formKey('new webhook', form), async () => {
        const created = await createWebhook(control, caller, {
          ...chosen(typed, []),
          ...tenantOf(typed),
        })
        if (created.ok) return JSON.stringify({ id: created.value.webhook.id, secret: created.value.secret })
        if (created.kind !== 'invalid') failure = created
        else problems = shownProblems(t, created.problems)
        return null
      })
      if (made.state === 'answered') return createdPage(call, JSON.parse(made.answer), typed)
      if (made.state === 'failed') return failedAnswer(t, made.failure)
      if (failure) return failedAnswer(t, failure)
      return await formPage(call, null, typed, { problems })
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
      if (judgeTyped(t, typed).length > 0)
        return await formPage(call, webhook, typed, { problems: await allProblems(call, typed, webhook) })
      const isCurrent = ({ version }: Webhook) => String(version) === form.get('version')
      const changed = await changeWebhook(control, caller, params.id, chosen(typed, stored), isCurrent)
      const wasOff = !webhook.isActive || webhook.disabledReason !== null
      const done = wasOff && typed.isActive ? `activated&id=${params.id}` : 'saved'
      if (changed.ok) return { show: 'redirect', to: `/couplings?done=${done}` }
      if (changed.kind === 'stale') return await formPage(call, webhook, typed, { isStale: true })
      if (changed.kind !== 'invalid') return failedAnswer(t, changed)
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
      return taken.ok
        ? { show: 'redirect', to: `/couplings/${params.id}?done=taken` }
        : failedAnswer(t, taken)
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
      return deleted.ok ? { show: 'redirect', to: '/couplings?done=deleted' } : failedAnswer(t, deleted)
    },
  }),
]

/** The pages of a webhook that this reader may see. */
export function tabsFor({ may, caller }: Pick<PageCall, 'may' | 'caller'>): WebhookTab[] {
  return [
    'overview',
    'settings',
    'log',
    ...(may('operator') ? (['test', 'replay'] as const) : []),
    ...(may('operator') && caller.tenant === null ? (['backfill'] as const) : []),
    ...(may('admin') ? (['secret'] as const) : []),
  ]
}

function typedIn({ form, control }: PageCall, webhook: Webhook | null): Typed {
  return readTyped(form, control.entityTypes, webhook?.headerNames ?? [])
}

async function previewsOf({ control, caller }: PageCall, typed: Typed) {
  return await previewDeliveries(control, caller, {
    ...typed,
    headerNames: typed.headers.map(({ name }) => name).filter(name => name !== ''),
  })
}

/** Null: no filter, or an incomplete one. */
async function filterPreviewOf({ control, caller }: PageCall, typed: Typed): Promise<FilterPreview | null> {
  const { triggers, filter, updateFields } = typed
  if (!filter || filter.rows.length === 0 || filter.rows.some(isIncomplete)) return null
  const look = { triggers, updateFields: updateFields.length > 0 ? updateFields : null }
  const fields = filterTyped(filter)!
  const seen = await previewFilter(control, caller, { ...filter, ...look, fields }).catch(() => null)
  return seen?.ok ? seen.value : null
}

async function formPage(
  call: PageCall,
  webhook: Webhook | null,
  typed: Typed,
  {
    problems = [],
    tried = nothing,
    isStale = false,
  }: { problems?: readonly ShownProblem[]; tried?: Html; isStale?: boolean } = {},
): Promise<PageAnswer> {
  const { t, control, caller, may, nowMs } = call
  const mayChange = may('admin') && (webhook === null || webhook.managedBy === null)
  const [previews, filterPreview, withoutPrevious, fields, recipients] = await Promise.all([
    previewsOf(call, typed),
    filterPreviewOf(call, typed),
    readWithoutPrevious(control),
    control.readFields().catch(() => new Map<string, readonly string[]>()),
    webhook ? recipientsNotice(call, webhook) : nothing,
  ])
  const form = webhookForm({
    t,
    id: webhook?.id ?? null,
    version: webhook?.version ?? 0,
    key: call.form.get('key') ?? control.randomBytes(16).toString('hex'),
    typed,
    problems,
    entityTypes: control.entityTypes,
    alerts: control.alerts,
    choosesTenant: webhook === null && caller.tenant === null && control.tenantTypes.length > 0,
    fields,
    previews,
    filterPreview,
    withoutPrevious,
    ownUserId: caller.userId,
    tried,
    mayChange,
    certificate: webhook?.clientCertificate ?? null,
  })
  return {
    show: 'page',
    title: webhook === null ? t.couplings.new : t.couplings.tabs.settings,
    status: isStale ? 409 : problems.length > 0 ? 422 : 200,
    body: html`${webhook && html`${webhookTabs(t, webhook.id, 'settings', tabsFor(call))}${isStale && staleNotice(t, webhook)}<div class="state-line">${webhookState(t, webhook, nowMs)}${paceLine(call, webhook.id)}${tenantBadge(call, webhook, '/couplings')}</div>${call.query.get('done') === 'taken' && html`<p class="notice good" role="status">${t.managed.taken}</p>`}${managedNotice(t, webhook, may('admin'))}${recipients}`}${form}`,
  }
}

/** Another change was saved meanwhile: the input stays, and saving again replaces that change. */
const staleNotice = (t: Texts, { id }: Webhook): Html =>
  html`<div class="notice bad" role="alert" tabindex="-1" autofocus><p>${t.errors.stale}</p><p><a href="/audit?webhook=${id}" target="_blank">${t.errors.staleWhat}</a></p></div>`

/** Tests the typed settings without saving them; without a script the form returns with the result. */
async function tryUnsaved(call: PageCall, webhook: Webhook | null): Promise<PageAnswer> {
  const { t, control, caller, form, isPart } = call
  const field = wrongFieldOf(form, control.entityTypes)
  if (field !== null) return wrongField(t, field)
  const typed = typedIn(call, webhook)
  const urlProblem = judgeUrl(t, typed.url)
  const unsaved = {
    url: typed.url,
    isBatch: typed.isBatch,
    traceparent: typed.traceparent,
    triggers: typed.triggers,
    headers: headerChange(typed, webhook?.headerNames ?? []),
    ...certificateChange(typed),
  }
  const userId = typed.userId === '' ? null : typed.userId
  const answer = async (problems: readonly ShownProblem[], tried: Html): Promise<PageAnswer> =>
    isPart
      ? { show: 'part', body: html`${testProblems(problems)}${tried}` }
      : await formPage(call, webhook, typed, { problems, tried })
  if (urlProblem !== null) return await answer([{ pointer: '/url', detail: urlProblem }], nothing)
  const result = await tryWebhook(control, caller, webhook?.id ?? null, unsaved, userId)
  if (result.ok) return await answer([], attemptView(t, result.value, caller.role))
  if (result.kind === 'invalid') return await answer(shownProblems(t, result.problems), nothing)
  if (result.kind === 'busy') return await answer([], problemText(t.test.busy(result.retryAfterS)))
  return failedAnswer(t, result)
}

/** The only time that the secret is shown unasked, and how to use it. */
function createdPage(
  { t, snippets }: PageCall,
  made: { id: number; secret: string },
  { name }: Typed,
): PageAnswer {
  return {
    show: 'page',
    title: t.couplings.new,
    of: name,
    status: 201,
    body: html`<div class="created" data-address="/couplings/${made.id}"><p class="notice good" role="status">${t.created.done}</p>
<section class="card grid"><h2>${t.created.secret}</h2><p>${t.created.secretHint}</p>
<div class="row"><code class="secret" id="secret">${made.secret}</code><button type="button" data-copy="secret" data-copied="${t.created.copied}" hidden>${t.created.copy}</button></div></section>
<section class="card grid"><h2>${t.created.next}</h2><p>${t.created.nextHint}</p><div>${snippetParts(t, snippets, made.secret)}</div>
<div class="end"><a class="button main" href="/couplings/${made.id}/test">${t.created.test}</a><a class="button" href="/couplings">${t.errors.toCouplings}</a></div></section></div>`,
  }
}
