import { type FilterPreview, previewFilter } from '../../control/webhooks/filter-preview.ts'
import { previewDeliveries } from '../../control/webhooks/preview.ts'
import { hasAccounts, tryWebhook } from '../../control/webhooks/test-webhook.ts'
import { mailProblemOf, readWithoutPrevious } from '../../control/webhooks/warnings.ts'
import type { Webhook } from '../../domain/webhook/webhook.ts'
import { filterTyped, isIncomplete } from '../form/filter-field.ts'
import {
  certificateChange,
  headerChange,
  readTyped,
  type ShownProblem,
  shownProblems,
  type Typed,
  validateUrl,
  wrongFieldOf,
} from '../form/input.ts'
import { testProblems, webhookForm } from '../form/webhook-form.ts'
import { failedPage } from '../kit/failed.ts'
import { wrongField } from '../kit/given.ts'
import { type Html, html, nothing, problemText } from '../kit/html.ts'
import type { PageCall, PageResponse } from '../kit/page.ts'
import { snippetParts } from '../kit/snippets.ts'
import { attemptView } from '../log/attempt-view.ts'
import { tenantBadge } from '../tenant/badge.ts'
import type { Texts } from '../texts/en.ts'
import { recipientsNotice } from './recipients.ts'
import { managedNotice, paceLine, tabsFor, webhookState, webhookTabs } from './state.ts'

export function typedIn({ form, control }: PageCall, webhook: Webhook | null): Typed {
  return readTyped(form, control.entityTypes, webhook?.headerNames ?? [])
}

export async function previewsOf({ control, caller }: PageCall, typed: Typed) {
  return await previewDeliveries(control, caller, {
    ...typed,
    headerNames: typed.headers.map(({ name }) => name).filter(name => name !== ''),
  })
}

/** Null: no filter, or an incomplete one. */
export async function filterPreviewOf(
  { control, caller }: PageCall,
  typed: Typed,
): Promise<FilterPreview | null> {
  const { triggers, filter, updateFields } = typed
  if (!filter || filter.rows.length === 0 || filter.rows.some(isIncomplete)) return null
  const wanted = { triggers, updateFields: updateFields.length > 0 ? updateFields : null }
  const fields = filterTyped(filter)!
  const seen = await previewFilter(control, caller, { ...filter, ...wanted, fields }).catch(() => null)
  return seen?.ok ? seen.value : null
}

export async function formPage(
  call: PageCall,
  webhook: Webhook | null,
  typed: Typed,
  {
    problems = [],
    tried = nothing,
    isStale = false,
  }: { problems?: readonly ShownProblem[]; tried?: Html; isStale?: boolean } = {},
): Promise<PageResponse> {
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
    mailProblems: mailProblemOf(control, { tenant: webhook ? webhook.tenant : caller.tenant }),
    choosesTenant: webhook === null && caller.tenant === null && control.tenantTypes.length > 0,
    fields,
    previews,
    filterPreview,
    withoutPrevious,
    ownUserId: caller.userId,
    hasAccounts: hasAccounts(control, webhook ? webhook.tenant : caller.tenant),
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
export async function tryUnsaved(call: PageCall, webhook: Webhook | null): Promise<PageResponse> {
  const { t, control, caller, form, isPart } = call
  const field = wrongFieldOf(form, control.entityTypes)
  if (field !== null) return wrongField(t, field)
  const typed = typedIn(call, webhook)
  const urlProblem = validateUrl(t, typed.url)
  const unsaved = {
    url: typed.url,
    isBatch: typed.isBatch,
    traceparent: typed.traceparent,
    triggers: typed.triggers,
    headers: headerChange(typed, webhook?.headerNames ?? []),
    ...certificateChange(typed),
  }
  const userId = typed.userId === '' ? null : typed.userId
  const response = async (problems: readonly ShownProblem[], tried: Html): Promise<PageResponse> =>
    isPart
      ? { show: 'part', body: html`${testProblems(problems)}${tried}` }
      : await formPage(call, webhook, typed, { problems, tried })
  if (urlProblem !== null) return await response([{ pointer: '/url', detail: urlProblem }], nothing)
  const result = await tryWebhook(control, caller, webhook?.id ?? null, unsaved, userId)
  if (result.ok) return await response([], attemptView(t, result.value, caller.role))
  if (result.kind === 'invalid') return await response(shownProblems(t, result.problems), nothing)
  if (result.kind === 'busy') return await response([], problemText(t.test.busy(result.retryAfterS)))
  return failedPage(t, result)
}

/** The only time that the secret is shown unasked, and how to use it. */
export function createdPage(
  { t, snippets }: PageCall,
  made: { id: number; secret: string },
  { name }: Typed,
): PageResponse {
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
