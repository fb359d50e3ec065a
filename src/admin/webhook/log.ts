import { countWaiting } from '../../control/log/cancel.ts'
import { getAttempt, type LogLine, listLogLines } from '../../control/log/log.ts'
import { getWebhook } from '../../control/webhooks/webhooks.ts'
import type { TimeId } from '../../domain/value/time-id.ts'
import type { Webhook } from '../../domain/webhook/webhook.ts'
import { failedPage } from '../kit/failed.ts'
import { given, wrong } from '../kit/given.ts'
import { type Html, html, moment } from '../kit/html.ts'
import { bigIdParam } from '../kit/ids.ts'
import type { PageCall } from '../kit/page.ts'
import { attemptDetail, opened } from '../log/attempt-detail.ts'
import { countOf, nextOf, outcomeOf, reasonOf, subjectOf } from '../log/attempt-line.ts'
import { filterForm, type LogOptions, readLogOptions } from '../log/log-filter.ts'
import { milliseconds } from '../texts/figures.ts'
import { type WebhookCall, webhookPage } from './page.ts'
import { countText, doneNotice, queueLinks } from './queue.ts'
import { paceLine, tabsFor, webhookState, webhookTabs } from './state.ts'

const liveEveryMs = 1_500
const newest = 10
const perPage = 25

export const webhookLogPages = [
  webhookPage({
    method: 'get',
    path: '/couplings/:id/log',
    role: 'viewer',
    async handle(call, webhook) {
      const { query, t } = call
      const { id } = webhook
      const options = readLogOptions(t, query)
      const isWrong = Object.keys(options.problems).length > 0
      const before = beforeOf(query)
      const lines = isWrong ? null : await linesOf(call, options, before)
      if (lines && !lines.ok) return failedPage(t, lines)
      const open = await openOf(call)
      if (open !== null && !open.ok) return failedPage(t, open)
      const shown = { options, before, open: open?.value.id ?? null }
      const list =
        lines && logPart(call, webhook, lines.value, { ...shown, waiting: await waitingLine(call) })
      const live =
        before === null &&
        html` data-live="/couplings/${id}/log/live?${new URLSearchParams(options.typed).toString()}"`
      return {
        show: 'page',
        title: t.log.title,
        status: isWrong ? 422 : 200,
        actions: queueLinks(call, id),
        body: html`${webhookTabs(t, id, 'log', tabsFor(call))}
${doneNotice(call)}${filterForm(call, `/couplings/${id}/log`, options)}
${
  list !== null &&
  html`<div class="split" data-split><div id="log"${live}>${list}</div>
<section id="opened" tabindex="-1" aria-labelledby="opened-title" data-back="${addressOf(webhook, shown, {})}"${open === null && html` hidden`}>${open !== null && opened(call, webhook, open.value, await attemptDetail(call, webhook, open.value), addressOf(webhook, shown, {}))}</section></div>`
}`,
      }
    },
  }),
  webhookPage({
    method: 'get',
    path: '/couplings/:id/log/live',
    role: 'viewer',
    async handle(call) {
      const { control, params, query, t } = call
      const options = readLogOptions(t, query)
      return {
        show: 'live',
        everyMs: liveEveryMs,
        async render(nowMs) {
          const [now, lines, waiting] = await Promise.all([
            getWebhook(control, params.id),
            linesOf(call, options, null),
            waitingLine(call),
          ])
          // Deleted meanwhile: the browser reconnects and gets the error page.
          if (!now.ok || !lines.ok) throw new Error(`webhook ${params.id} is gone`)
          return logPart({ ...call, nowMs }, now.value, lines.value, {
            ...{ options, before: null, open: null },
            waiting,
          })
        },
      }
    },
  }),
]

type Lines = { readonly items: readonly LogLine[]; readonly next: TimeId | null }

const isAsked = ({ typed }: LogOptions) => Object.keys(typed).length > 0

/** An exact count beyond this is not worth its cost. */
const maxWaiting = 1_000

async function waitingLine(call: WebhookCall): Promise<Html | false> {
  const { control, params, t } = call
  const waiting = await countWaiting(control, params.id, maxWaiting)
  return waiting.count > 0 && html`<p class="quiet">${t.log.waiting(countText(t, waiting))}</p>`
}

async function linesOf({ control, params }: WebhookCall, options: LogOptions, before: TimeId | null) {
  const limit = before === null && !isAsked(options) ? newest : perPage
  return await listLogLines(control, params.id, { limit, before, filter: options.filter })
}

function beforeOf(query: URLSearchParams): TimeId | null {
  const before = given(query, 'before', bigIdParam)
  // An invalid cursor shows nothing: no request is older.
  return before === wrong ? 0n : (before ?? null)
}

/** The request that is open beside the list; null: none. */
async function openOf({ control, params, query }: WebhookCall) {
  const open = given(query, 'open', bigIdParam)
  if (open === undefined) return null
  return await getAttempt(control, params.id, open === wrong ? 0n : open)
}

type Shown = { readonly options: LogOptions; readonly before: TimeId | null; readonly open: TimeId | null }

/** This page of the log, with `more` in its address. */
const addressOf = ({ id }: Webhook, { options, before }: Shown, more: Record<string, string>) =>
  `/couplings/${id}/log?${new URLSearchParams({ ...options.typed, ...(before !== null && { before: String(before) }), ...more })}`

/** The live part: the webhook's state, and its requests. */
function logPart(
  call: WebhookCall,
  webhook: Webhook,
  { items, next }: Lines,
  shown: Shown & { waiting: Html | false },
): Html {
  const { t, nowMs } = call
  const { options, before, waiting } = shown
  const isEmpty = items.length === 0
  const page = (before: TimeId | null) => addressOf(webhook, { options, before, open: null }, {})
  return html`<div class="state-line">${webhookState(t, webhook, nowMs)}${paceLine(call, webhook.id)}${waiting}</div>
${isEmpty ? nothingThere(call, webhook, options, before) : table(call, webhook, items, shown)}
<nav class="pages" aria-label="${t.couplings.pages}">${before !== null && html`<a class="button" href="${page(null)}">${t.log.newest}</a>`}${next !== null && html`<a class="button" rel="next" href="${page(next)}">${t.log.older}</a>`}</nav>`
}

function nothingThere(
  { t, may }: PageCall,
  { id, isActive, disabledReason }: Webhook,
  options: LogOptions,
  before: TimeId | null,
): Html {
  if (isAsked(options)) return html`<p class="empty">${t.log.noneFits}</p>`
  if (before !== null) return html`<p class="empty">${t.log.noneOlder}</p>`
  const { empty } = t.log
  return html`<div class="empty"><h2>${empty.title}</h2><p>${empty.what}</p>
<ul class="steps"><li>${empty.test}</li><li>${isActive && disabledReason === null ? empty.change : empty.changeInactive}</li></ul>
${may('operator') && html`<a class="button main" href="/couplings/${id}/test">${empty.button}</a>`}</div>`
}

function table(call: PageCall, webhook: Webhook, items: readonly LogLine[], shown: Shown): Html {
  const { columns } = call.t.log
  return html`<div class="card flush"><table class="log">
<thead><tr><th scope="col">${columns.time}</th><th scope="col">${columns.event}</th><th scope="col">${columns.outcome}</th><th scope="col" class="number">${columns.duration}</th><th scope="col">${columns.attempt}</th><th scope="col">${columns.next}</th></tr></thead>
<tbody>${items.map(line => row(call, webhook, line, shown))}</tbody>
</table></div>`
}

/** One line, which opens the request beside the list. */
function row({ t, nowMs, control }: PageCall, webhook: Webhook, line: LogLine, shown: Shown): Html {
  const { id, trigger, number, durationMs, eventId } = line
  const reason = reasonOf(t, line)
  const next = nextOf(t, line, webhook, nowMs)
  return html`<tr id="attempt-${id}">
<td class="time">${moment(line.startedAt, 'near')}</td>
<th scope="row"><a class="subject" href="${addressOf(webhook, shown, { open: String(id) })}" data-open="/couplings/${webhook.id}/log/${id}"${shown.open === id && html` aria-current="true"`}${eventId !== null && html` title="${eventId}"`}>${subjectOf(t, line)}</a>${line.label !== null && html` <span class="label">${line.label}</span>`}</th>
<td class="came">${outcomeOf(t, line)}${reason !== null && html` <span class="hint" title="${reason}">${reason}</span>`}</td>
<td class="number">${milliseconds(t, durationMs)}</td>
<td class="attempt-of">${trigger !== 'test' && countOf(t, number, control.maxAttempts)}${trigger !== 'schedule' && html` <span class="quiet">${t.log.triggers[trigger]}</span>`}</td>
<td class="next-of">${next}</td>
</tr>`
}
