import { z } from 'zod'
import { controlOfWebhook } from '../../control/kit/cells.ts'
import { tenantAsked } from '../../control/kit/tenants.ts'
import { missedEvents } from '../../control/log/replays.ts'
import { webhookStates } from '../../control/status/webhook-states.ts'
import { type ListedWebhook, listWithFigures } from '../../control/webhooks/couplings.ts'
import { changeWebhook } from '../../control/webhooks/webhooks.ts'
import { shownUrl } from '../../domain/shown/shown.ts'
import {
  type ShownState,
  type Sorting,
  shownStates,
  type WebhookStates,
} from '../../domain/shown/webhook-states.ts'
import { failedPage } from '../kit/failed.ts'
import { given, wrong, wrongField } from '../kit/given.ts'
import { type Html, html, moment } from '../kit/html.ts'
import { idParam } from '../kit/ids.ts'
import { type PageCall, page } from '../kit/page.ts'
import { outcomeWord } from '../log/attempt-line.ts'
import { missedOffer } from '../log/missed.ts'
import { tenantBadge, tenantFilter } from '../tenant/badge.ts'
import type { Texts } from '../texts/en.ts'
import { number } from '../texts/figures.ts'
import { sparkline } from './sparkline.ts'
import { managedBadge, shortTriggers, webhookState } from './state.ts'

const liveEveryMs = 5_000

export const webhookListPages = [
  page({
    method: 'get',
    path: '/couplings',
    role: 'viewer',
    section: 'couplings',
    tenants: 'own',
    async handle(call) {
      const { t, may, query } = call
      const options = readOptions(query)
      const { items, hasMore } = await listWithFigures(call.control, call.caller, options, call.nowMs)
      const isEmpty =
        items.length === 0 &&
        options.search === '' &&
        options.tenant === null &&
        options.state === null &&
        options.page === 1
      const states = await webhookStates(call.control, tenantAsked(call.caller, options.tenant), call.nowMs)
      const newButton = html`<a class="button main" href="/couplings/new">${t.couplings.new}</a>`
      return {
        show: 'page',
        title: t.couplings.title,
        actions: html`${may('admin') && !isEmpty && newButton}`,
        body: html`${await notice(call)}${isEmpty ? emptyState(t, may('admin') ? newButton : null) : list(call, { items, hasMore, states })}`,
      }
    },
  }),
  page({
    method: 'get',
    path: '/couplings/live',
    role: 'viewer',
    section: 'couplings',
    tenants: 'own',
    async handle(call) {
      const options = readOptions(call.query)
      return {
        show: 'live',
        everyMs: liveEveryMs,
        render: async nowMs =>
          rows({ ...call, nowMs }, (await listWithFigures(call.control, call.caller, options, nowMs)).items),
      }
    },
  }),
  page({
    method: 'post',
    path: '/couplings/:id/active',
    role: 'admin',
    section: 'couplings',
    tenants: 'webhook',
    params: z.object({ id: idParam }),
    async handle(call) {
      const { control, caller, params, form, t, isPart } = call
      const wanted = given(form, 'is_active', z.enum(['true', 'false']))
      if (wanted === wrong || wanted === undefined) return wrongField(t, 'is_active')
      const isActive = wanted === 'true'
      const changed = await changeWebhook(control, caller, params.id, { isActive })
      if (!changed.ok) return failedPage(t, changed)
      const options = readOptions(form)
      // Switching a webhook off explains the effect and offers an undo. Browsers show no confirmation in a frame.
      const missed = isActive ? await missedEvents(control, params.id) : null
      const hasMissed = missed !== null && missed.replayId === null && missed.count > 0
      if (!isPart || !isActive || hasMissed) {
        const done = { done: isActive ? 'activated' : 'deactivated', id: String(params.id) }
        const to = new URLSearchParams([...asked(options), ...Object.entries(done)])
        return { show: 'redirect', to: `/couplings?${to}` }
      }
      const { items } = await listWithFigures(control, call.caller, options, call.nowMs)
      return { show: 'part', body: rows(call, items) }
    },
  }),
]

type ListOptions = {
  readonly search: string
  readonly tenant: string | null
  readonly state: ShownState | null
  readonly sort: Sorting
  readonly page: number
}

/** Search, tenant, state, order and page of the request. */
function readOptions(from: URLSearchParams): ListOptions {
  const search = (from.get('search') ?? '').trim().replaceAll('\0', '').slice(0, 200)
  const page = Number(/^\d{1,4}$/.exec(from.get('page') ?? '')?.[0] ?? 1)
  const tenant = (from.get('tenant') ?? '').replaceAll('\0', '').slice(0, 200).toWellFormed() || null
  const state = shownStates.find(state => state === from.get('state')) ?? null
  const sort = from.get('sort') === 'name' ? 'name' : 'state'
  return { search, tenant, state, sort, page: Math.max(1, page) }
}

async function notice(call: PageCall): Promise<Html | false> {
  const { t, query } = call
  const done = query.get('done') ?? ''
  if (!Object.hasOwn(t.couplings.done, done)) return false
  const more = done === 'deactivated' ? undo(t, query) : done === 'activated' && (await offered(call))
  return html`<div class="notice good" role="status"><p>${t.couplings.done[done as keyof Texts['couplings']['done']]}</p>${more}</div>`
}

/** Switching a webhook on offers the events that it missed. */
async function offered(call: PageCall): Promise<Html | false> {
  const id = idParam.safeParse(call.query.get('id') ?? '')
  if (!id.success) return false
  const of = await controlOfWebhook(call.control, call.caller, id.data)
  return of.ok && missedOffer(call, id.data, await missedEvents(of.value, id.data))
}

/** Switching a webhook off by mistake has lost nothing yet. */
function undo(t: Texts, query: URLSearchParams): Html | false {
  const id = idParam.safeParse(query.get('id') ?? '')
  if (!id.success) return false
  return html`<form method="post" action="/couplings/${id.data}/active"><input type="hidden" name="is_active" value="true"><button>${t.couplings.undo}</button></form>`
}

function emptyState(t: Texts, button: Html | null): Html {
  const { empty } = t.couplings
  return html`<div class="empty">
<h2>${empty.title}</h2>
<p>${empty.what}</p>
<ol class="steps">${empty.steps.map(step => html`<li>${step}</li>`)}</ol>
${button ?? html`<p class="quiet">${empty.askAdmin}</p>`}
</div>`
}

function list(
  call: PageCall,
  { items, hasMore, states }: { items: readonly ListedWebhook[]; hasMore: boolean; states: WebhookStates },
): Html {
  const { t, query } = call
  const options = readOptions(query)
  const { search, page, sort } = options
  const { columns } = t.couplings
  const address = (change: Partial<ListOptions>) => `/couplings?${asked({ ...options, ...change })}`
  const live = `/couplings/live?${asked(options)}`
  const head = (by: Sorting) =>
    html`<th scope="col" aria-sort="${sort === by ? 'ascending' : 'none'}"><a href="${address({ sort: by, page: 1 })}">${columns[by]}</a></th>`
  return html`<form class="search" role="search" action="/couplings">
<label class="unseen" for="search">${t.couplings.search}</label>
<input id="search" name="search" type="search" value="${search}" placeholder="${t.couplings.search}">
${options.state !== null && html`<input type="hidden" name="state" value="${options.state}">`}
<button>${t.couplings.find}</button>
</form>
${stateFilter(t, options, states)}
${tenantFilter(call, '/couplings')}
${items.length === 0 && html`<p class="empty">${search === '' ? t.couplings.shown.none : t.couplings.nothingFound(search)}</p>`}
<div class="card flush"${items.length === 0 && html` hidden`}><table class="stacked couplings">
<thead><tr>${head('name')}${head('state')}<th scope="col">${columns.last}</th><th scope="col">${columns.failed}</th><th scope="col" class="number">${columns.waiting}</th><th scope="col">${columns.active}</th></tr></thead>
<tbody data-live="${live}" id="couplings">${rows(call, items)}</tbody>
</table></div>
<nav class="pages" aria-label="${t.couplings.pages}">${page > 1 && html`<a class="button" rel="prev" href="${address({ page: page - 1 })}">${t.couplings.previousPage}</a>`}${hasMore && html`<a class="button" rel="next" href="${address({ page: page + 1 })}">${t.couplings.nextPage}</a>`}</nav>`
}

/** The address of a list, without defaults. */
function asked({ search, tenant, state, sort, page }: ListOptions): URLSearchParams {
  return new URLSearchParams({
    ...(search !== '' && { search }),
    ...(tenant !== null && { tenant }),
    ...(state !== null && { state }),
    ...(sort !== 'state' && { sort }),
    ...(page > 1 && { page: String(page) }),
  })
}

/** All, and each state of a webhook. */
function stateFilter(t: Texts, options: ListOptions, { counts }: WebhookStates): Html {
  const { shown, state: words } = t.couplings
  const one = (state: ShownState | null, word: string, count: number) =>
    html`<li><a href="/couplings?${asked({ ...options, state, page: 1 }).toString()}"${options.state === state && html` aria-current="true"`}>${word} <span class="count">${number(t, count)}</span></a></li>`
  const all = shownStates.reduce((sum, state) => sum + counts[state], 0)
  const order = ['failing', 'disabled', 'active', 'inactive'] as const
  return html`<nav class="tabs states" aria-label="${shown.label}"><ul>${one(null, shown.all, all)}${order
    .filter(state => counts[state] > 0 || options.state === state)
    .map(state => one(state, words[state], counts[state]))}</ul></nav>`
}

function rows(call: PageCall, items: readonly ListedWebhook[]): Html {
  return html`${items.map(item => row(call, item))}`
}

function row({ t, caller, may, nowMs, query, form }: PageCall, { webhook, figures }: ListedWebhook): Html {
  const { columns } = t.couplings
  const { id, name } = webhook
  const url = shownUrl(webhook.url, caller.role)
  return html`<tr id="coupling-${id}">
<th scope="row"><div class="what"><a href="/couplings/${id}">${name}</a>${managedBadge(t, webhook)}<span class="url" title="${url}">${url}</span>${tenantBadge({ t, caller }, webhook, '/couplings')}<span class="triggers">${shortTriggers(t, webhook.triggers)}</span></div></th>
<td data-label="${columns.state}">${webhookState(t, webhook, nowMs)}</td>
<td data-label="${columns.last}">${lastOutcome(t, id, figures.last)}</td>
<td data-label="${columns.failed}">${failures(t, figures.hours)}</td>
<td data-label="${columns.waiting}" class="number">${waiting(t, figures.waiting)}</td>
<td data-label="${columns.active}">${may('admin') && webhook.managedBy === null ? toggle(t, webhook, readOptions(form.size > 0 ? form : query)) : webhook.isActive ? t.yes : t.no}</td>
</tr>`
}

function lastOutcome(t: Texts, id: number, last: ListedWebhook['figures']['last']): Html {
  if (!last) return html`<span class="quiet">${t.couplings.nothingYet}</span>`
  const word = outcomeWord(t, last)
  const isGood = last.outcome === 'delivered'
  return html`<a class="outcome ${isGood ? 'good' : 'bad'}" href="/couplings/${id}/log">${word}${last.status !== null && ` (${last.status})`}</a> <span class="quiet small">${moment(last.at, 'distance')}</span>`
}

function waiting(t: Texts, { count, isExact }: ListedWebhook['figures']['waiting']): Html | string {
  if (count === 0 && isExact) return '0'
  return html`<b>${new Intl.NumberFormat(t.language.code).format(count)}${!isExact && '+'}</b>`
}

function failures(t: Texts, hours: ListedWebhook['figures']['hours']): Html {
  const requests = hours.reduce((sum, hour) => sum + hour.requests, 0)
  const failed = hours.reduce((sum, hour) => sum + hour.failed, 0)
  if (requests === 0) return html`<span class="quiet">–</span>`
  const share = (100 * failed) / requests
  const rate = `${failed > 0 && share < 1 ? '< 1' : Math.round(share)}%`
  return html`<span class="rate"><span class="${failed > 0 ? 'bad' : 'quiet'}">${rate}</span> ${sparkline(hours, t.couplings.failedOf(failed, requests))}</span>`
}

/** A switch that works without a script. */
function toggle(
  t: Texts,
  { id, name, isActive, disabledReason }: ListedWebhook['webhook'],
  options: ListOptions,
): Html {
  const isOn = isActive && disabledReason === null
  return html`<form method="post" action="/couplings/${id}/active" hx-post="/couplings/${id}/active" hx-target="#couplings" hx-swap="innerMorph">
<input type="hidden" name="is_active" value="${isOn ? 'false' : 'true'}">${[...asked(options)].map(([name, value]) => html`<input type="hidden" name="${name}" value="${value}">`)}
<button id="active-${id}" class="switch" role="switch" aria-checked="${isOn ? 'true' : 'false'}" aria-label="${t.couplings.toggle(name)}"></button>
</form>`
}
