import { readWebhookStats, type WebhookStats } from '../../control/status/webhook-stats.ts'
import { getWebhook } from '../../control/webhooks/webhooks.ts'
import { type Performances, successRate } from '../../domain/shown/traffic.ts'
import type { Webhook } from '../../domain/webhook/webhook.ts'
import { failedPage } from '../kit/failed.ts'
import { type Html, html, moment } from '../kit/html.ts'
import { trafficPlot } from '../kit/plot.ts'
import type { Texts } from '../texts/en.ts'
import { milliseconds, number, percent } from '../texts/figures.ts'
import { type WebhookCall, webhookPage } from '../webhook/page.ts'
import { paceLine, tabsFor, webhookState, webhookTabs } from '../webhook/state.ts'
import { responseTimePlot } from './response-time-plot.ts'

const liveEveryMs = 15_000

export const overviewPages = [
  webhookPage({
    method: 'get',
    path: '/couplings/:id/overview',
    role: 'viewer',
    async handle(call, webhook) {
      const { t, control, nowMs } = call
      const { id } = webhook
      const stats = await readWebhookStats(control, id, nowMs)
      if (!stats.ok) return failedPage(t, stats)
      return {
        show: 'page',
        title: t.overview.title,
        body: html`${webhookTabs(t, id, 'overview', tabsFor(call))}
<div class="health" id="overview" data-live="/couplings/${id}/overview/live">${content(call, webhook, stats.value)}</div>`,
      }
    },
  }),
  webhookPage({
    method: 'get',
    path: '/couplings/:id/overview/live',
    role: 'viewer',
    async handle(call) {
      const { control, params } = call
      return {
        show: 'live',
        everyMs: liveEveryMs,
        async render(nowMs) {
          const webhook = await getWebhook(control, params.id)
          const stats = await readWebhookStats(control, params.id, nowMs)
          if (!webhook.ok || !stats.ok) throw new Error(`webhook ${params.id} is gone`)
          return content({ ...call, nowMs }, webhook.value, stats.value)
        },
      }
    },
  }),
]

function content(call: WebhookCall, webhook: Webhook, stats: WebhookStats): Html {
  const { t, nowMs } = call
  const { day, week } = stats
  const o = t.overview
  return html`<div class="state-line">${webhookState(t, webhook, nowMs)}${paceLine(call, webhook.id)}</div>
${figures(t, webhook.id, stats)}
<div class="plots">${trafficPlot(t, o.requestsDay, day, 24, 'stretch')}${responseTimePlot(t, o.responseTimeDay, day)}${trafficPlot(t, o.requestsWeek, week, 28, 'stretch')}${responseTimePlot(t, o.responseTimeWeek, week)}</div>`
}

function figures(t: Texts, id: number, { day, week, pending, oldestPending }: WebhookStats): Html {
  const o = t.overview
  const fact = (name: string, value: Html | string, hint: Html | string) =>
    html`<div><dt>${name}</dt><dd>${value}</dd><dd class="hint">${hint}</dd></div>`
  const { at, isExact } = oldestPending
  const oldest =
    at === null
      ? html`<span class="quiet">${isExact ? o.noPending : t.health.unknown}</span>`
      : moment(at, 'distance')
  return html`<dl class="card figures">
${fact(o.successDay, success(t, day), requestsOf(t, day))}
${fact(o.successWeek, success(t, week), requestsOf(t, week))}
${fact(o.responseTime, responseTimes(t, day), o.responseTimeHint)}
${fact(o.oldest, oldest, html`<a href="/couplings/${id}/log">${t.log.waiting(`${number(t, pending.count)}${pending.isExact ? '' : '+'}`)}</a>${!isExact && html` ${o.oldestAtLeast}`}`)}
</dl>`
}

function success(t: Texts, of: Performances): Html | string {
  const rate = successRate(of)
  if (rate === null) return html`<span class="quiet">${t.couplings.nothingYet}</span>`
  return percent(t, rate)
}

function requestsOf(t: Texts, { delivered, failed, share }: Performances): string {
  const text = t.overview.ofRequests(number(t, failed), number(t, delivered + failed))
  return share < 1 ? `${text} ${t.health.sampled}` : text
}

function responseTimes(t: Texts, { p50Ms, p95Ms }: Performances): Html | string {
  if (p50Ms === null || p95Ms === null) return html`<span class="quiet">${t.overview.noResponses}</span>`
  return html`${milliseconds(t, p50Ms)} <span class="quiet">/</span> ${milliseconds(t, p95Ms)}`
}
