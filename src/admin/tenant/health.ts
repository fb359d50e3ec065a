import { readTenantHealth, type TenantHealth } from '../../control/status/tenant-health.ts'
import type { Webhook } from '../../domain/webhook/webhook.ts'
import { type Html, html } from '../kit/html.ts'
import { trafficPlot } from '../kit/plot.ts'
import type { Texts } from '../texts/en.ts'
import { number } from '../texts/figures.ts'

/** The page Health of a tenant: its own webhooks only. */
export async function tenantHealth(t: Texts, ...of: Parameters<typeof readTenantHealth>): Promise<Html> {
  const health = await readTenantHealth(...of)
  return html`${verdict(t, health)}
${figures(t, health)}
<div class="plots">${trafficPlot(t, t.health.lastHour, health.hour, 12)}${trafficPlot(t, t.health.lastDay, health.day, 24)}</div>`
}

function verdict(t: Texts, { webhooks, disabled, failing }: TenantHealth): Html {
  if (webhooks === 0) return html`<p class="notice">${t.tenants.noWebhooks}</p>`
  const named = (kind: string, found: readonly Webhook[], what: string) =>
    found.length > 0 &&
    html`<div class="notice ${kind}"><p><b>${what}</b></p><ul>${found.map(({ id, name }) => html`<li><a href="/couplings/${id}/log">${name}</a></li>`)}</ul></div>`
  if (disabled.length + failing.length === 0) return html`<p class="notice good">${t.tenants.allWell}</p>`
  return html`${named('bad', disabled, t.tenants.disabled)}${named('warn', failing, t.tenants.failing)}`
}

function figures(t: Texts, { webhooks, waiting, dead }: TenantHealth): Html {
  const fact = (name: string, value: string, hint: string) =>
    html`<div><dt>${name}</dt><dd>${value}</dd><dd class="hint">${hint}</dd></div>`
  const count = ({ count, isExact }: TenantHealth['dead']) => `${number(t, count)}${isExact ? '' : '+'}`
  const f = t.tenants.figures
  return html`<dl class="card figures">
${fact(f.webhooks, number(t, webhooks), f.webhooksHint)}
${fact(f.waiting, count(waiting), f.waitingHint)}
${fact(f.dead, count(dead), f.deadHint)}
</dl>`
}
