import { countWaiting } from '../../control/log/cancel.ts'
import { type LogLine, listLogLines } from '../../control/log/log.ts'
import { getWebhook } from '../../control/webhooks/webhooks.ts'
import type { TimeId } from '../../domain/value/time-id.ts'
import type { Webhook } from '../../domain/webhook/webhook.ts'
import { failedAnswer } from '../kit/failed.ts'
import { given, wrong } from '../kit/given.ts'
import { type Html, html, moment } from '../kit/html.ts'
import { bigIdParam } from '../kit/ids.ts'
import type { PageCall } from '../kit/page.ts'
import { countOf, nextOf, outcomeOf, reasonOf, subjectOf } from '../log/attempt-line.ts'
import { filterForm, readWish, type Wish } from '../log/log-filter.ts'
import { tabsFor } from './edit.ts'
import { type WebhookCall, webhookPage } from './page.ts'
import { countText, doneNotice, queueLinks } from './queue.ts'
import { paceLine, webhookState, webhookTabs } from './state.ts'

const liveEveryMs = 1_500
const newest = 10
const perPage = 25

export const webhookLogPages = [
  webhookPage({
    method: 'get',
    path: '/couplings/:id/log',
    role: 'viewer',
    async handle(call, webhook) {
      const { control, query, t } = call
      const { id, name } = webhook
      const wish = readWish(t, query)
      const isWrong = Object.keys(wish.problems).length > 0
      const before = beforeOf(query)
      const lines = isWrong ? null : await linesOf(call, wish, before)
      if (lines && !lines.ok) return failedAnswer(t, lines)
      const list =
        lines && logPart(call, webhook, lines.value, { wish, before, waiting: await waitingLine(call) })
      const live =
        before === null &&
        html` data-live="/couplings/${id}/log/live?${new URLSearchParams(wish.typed).toString()}"`
      return {
        show: 'page',
        title: t.log.title,
        status: isWrong ? 422 : 200,
        crumbs: [{ text: name, href: `/couplings/${id}` }],
        actions: queueLinks(call, id),
        body: html`${webhookTabs(t, id, 'log', tabsFor(call))}
${doneNotice(call)}${filterForm(t, `/couplings/${id}/log`, wish, control.entityTypes)}
${list !== null && html`<div id="log"${live}>${list}</div>`}`,
      }
    },
  }),
  webhookPage({
    method: 'get',
    path: '/couplings/:id/log/live',
    role: 'viewer',
    async handle(call) {
      const { control, params, query, t } = call
      const wish = readWish(t, query)
      return {
        show: 'live',
        everyMs: liveEveryMs,
        async render(nowMs) {
          const [now, lines, waiting] = await Promise.all([
            getWebhook(control, params.id),
            linesOf(call, wish, null),
            waitingLine(call),
          ])
          // Deleted while somebody looks: the browser asks again and gets the error page.
          if (!now.ok || !lines.ok) throw new Error(`webhook ${params.id} is gone`)
          return logPart({ ...call, nowMs }, now.value, lines.value, { wish, before: null, waiting })
        },
      }
    },
  }),
]

type Lines = { readonly items: readonly LogLine[]; readonly next: TimeId | null }

const isAsked = ({ typed }: Wish) => Object.keys(typed).length > 0

/** Counting further would cost more than it tells. */
const mostWaiting = 1_000

async function waitingLine(call: WebhookCall): Promise<Html | false> {
  const { control, params, t } = call
  const waiting = await countWaiting(control, params.id, mostWaiting)
  return waiting.count > 0 && html`<p class="quiet">${t.log.waiting(countText(t, waiting))}</p>`
}

async function linesOf({ control, params }: WebhookCall, wish: Wish, before: TimeId | null) {
  const limit = before === null && !isAsked(wish) ? newest : perPage
  return await listLogLines(control, params.id, { limit, before, filter: wish.filter })
}

function beforeOf(query: URLSearchParams): TimeId | null {
  const before = given(query, 'before', bigIdParam)
  // Nothing is older than that: what can't be read shows nothing, instead of everything.
  return before === wrong ? 0n : (before ?? null)
}

/** What follows what happens: the webhook's state, and its requests. */
function logPart(
  call: WebhookCall,
  webhook: Webhook,
  { items, next }: Lines,
  { wish, before, waiting }: { wish: Wish; before: TimeId | null; waiting: Html | false },
): Html {
  const { t, nowMs } = call
  const isEmpty = items.length === 0
  const address = (more: object) =>
    `/couplings/${webhook.id}/log?${new URLSearchParams({ ...wish.typed, ...more })}`
  return html`<div class="state-line">${webhookState(t, webhook, nowMs)}${paceLine(call, webhook.id)}${waiting}</div>
${isEmpty ? nothingThere(call, webhook, wish, before) : table(call, webhook, items)}
<nav class="pages" aria-label="${t.couplings.pages}">${before !== null && html`<a class="button" href="${address({})}">${t.log.newest}</a>`}${next !== null && html`<a class="button" rel="next" href="${address({ before: String(next) })}">${t.log.older}</a>`}</nav>`
}

function nothingThere(
  { t, may }: PageCall,
  { id, isActive, disabledReason }: Webhook,
  wish: Wish,
  before: TimeId | null,
): Html {
  if (isAsked(wish)) return html`<p class="empty">${t.log.noneFits}</p>`
  if (before !== null) return html`<p class="empty">${t.log.noneOlder}</p>`
  const { empty } = t.log
  return html`<div class="empty"><h2>${empty.title}</h2><p>${empty.what}</p>
<ul class="steps"><li>${empty.test}</li><li>${isActive && disabledReason === null ? empty.change : empty.changeInactive}</li></ul>
${may('operator') && html`<a class="button main" href="/couplings/${id}/test">${empty.button}</a>`}</div>`
}

function table(call: PageCall, webhook: Webhook, items: readonly LogLine[]): Html {
  const { columns } = call.t.log
  return html`<div class="card flush"><table class="stacked log">
<thead><tr><th scope="col">${columns.time}</th><th scope="col">${columns.event}</th><th scope="col">${columns.trigger}</th><th scope="col">${columns.outcome}</th><th scope="col">${columns.attempt}</th></tr></thead>
<tbody>${items.map(line => row(call, webhook, line))}</tbody>
</table></div>`
}

function row({ t, nowMs, control }: PageCall, webhook: Webhook, line: LogLine): Html {
  const { columns } = t.log
  const { id, eventId, trigger, number } = line
  const reason = reasonOf(t, line)
  const subject = subjectOf(t, line)
  const isNone = trigger === 'test'
  const next = nextOf(t, line, webhook, nowMs)
  return html`<tr id="attempt-${id}">
<th scope="row"><a href="/couplings/${webhook.id}/log/${id}">${moment(line.startedAt, 'second')}</a></th>
<td data-label="${columns.event}">${eventId === null ? html`<span class="subject">${subject}</span>` : html`<a class="subject" href="/events/${eventId}">${subject}</a> <span class="quiet id">${eventId}</span>`}</td>
<td data-label="${columns.trigger}">${t.log.triggers[trigger]}</td>
<td data-label="${columns.outcome}">${outcomeOf(t, line)}${reason !== null && html`<p class="hint why">${reason}</p>`}</td>
<td data-label="${columns.attempt}"${isNone && html` class="none"`}><span>${isNone ? '–' : countOf(t, number, control.mostAttempts)}</span>${next !== null && html` <span class="next">${columns.next}: ${next}</span>`}</td>
</tr>`
}
