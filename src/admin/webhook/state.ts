import { disabledBy, willBeDisabledAt } from '../../domain/delivery/health.ts'
import { isSlowed } from '../../domain/delivery/pace.ts'
import { isAlertTrigger } from '../../domain/event/alert.ts'
import { actionTypes } from '../../domain/event/event.ts'
import type { Webhook } from '../../domain/webhook/webhook.ts'
import { type Html, html } from '../kit/html.ts'
import { actionName, entityName } from '../kit/names.ts'
import type { PageCall } from '../kit/page.ts'
import type { Texts } from '../texts/en.ts'
import { duration } from '../texts/figures.ts'

/** A notice that a file manages the webhook, with a form to take it over. */
export function managedNotice(
  t: Texts,
  { id, managedBy }: Pick<Webhook, 'id' | 'managedBy'>,
  mayChange: boolean,
): Html | false {
  if (managedBy === null) return false
  return html`<div class="notice warn"><p>${t.managed.notice(managedBy)}</p>${
    mayChange &&
    html`<form method="post" action="/couplings/${id}/take-over"><p><button>${t.managed.takeOver}</button> <span class="hint">${t.managed.takeOverHint}</span></p></form>`
  }</div>`
}

/** The same in a word. */
export const managedBadge = (t: Texts, { managedBy }: Pick<Webhook, 'managedBy'>): Html | false =>
  managedBy !== null && html` <span class="badge" title="${managedBy}">${t.managed.badge}</span>`

/** The state of a webhook, and the reason if it is unhealthy. */
export function webhookState(t: Texts, webhook: Webhook, nowMs: number): Html {
  const { state } = t.couplings
  const badge = (kind: string, word: string, why: string | null = null) =>
    html`<span class="badge ${kind}">${word}</span>${why !== null && html`<p class="hint why">${why}</p>`}`
  if (!webhook.isActive) return badge('', state.inactive)
  if (webhook.disabledReason !== null)
    return badge('bad', state.disabled, t.couplings.state[disabledBy(webhook)])
  const held =
    webhook.heldUntil && webhook.heldUntil.getTime() > nowMs
      ? state.heldFor(duration(t, webhook.heldUntil.getTime() - nowMs))
      : null
  const end = willBeDisabledAt(webhook, new Date(nowMs))
  if (end) {
    const leftMs = end.getTime() - nowMs
    return badge(
      'warn',
      state.failing,
      [leftMs > 0 ? state.willBeDisabled(duration(t, leftMs)) : state.willBeDisabledSoon, held]
        .filter(one => one !== null)
        .join(' '),
    )
  }
  if (held !== null) return badge('warn', state.held, held)
  return badge('good', state.active)
}

/** The reduced pace of a webhook whose receiver was down or overloaded; nothing at full pace. */
export function paceLine({ t, control }: Pick<PageCall, 't' | 'control'>, webhookId: number): Html | false {
  const pace = control.paceOf(webhookId)
  if (!pace || !isSlowed(pace, control.maxInFlight)) return false
  const seconds = Math.ceil(pace.pausedForMs / 1_000)
  return html`<p class="hint">${seconds > 0 ? t.couplings.pace.paused(seconds) : t.couplings.pace.slowed(pace.limit, control.maxInFlight)} ${t.couplings.pace.ofThisProcess}</p>`
}

/** `user: all`, `company: new, update`. */
export function shortTriggers(t: Texts, triggers: readonly string[]): Html {
  const alerts = triggers.filter(isAlertTrigger)
  const byEntity = Map.groupBy(
    triggers.filter(trigger => !isAlertTrigger(trigger)),
    trigger => trigger.split('.')[0]!,
  )
  return html`${[...byEntity].map(([entity, its]) => {
    const actions = its.map(trigger => trigger.split('.')[1]!)
    const listed =
      actions.length === actionTypes.length
        ? t.couplings.allActions
        : actions.map(action => actionName(t, action)).join(', ')
    return html`<span class="trigger"><b>${entityName(t, entity)}</b> ${listed}</span> `
  })}${alerts.length > 0 && html`<span class="trigger"><b>${t.alerts.short}</b> ${alerts.length}</span> `}`
}

const tabs = [
  { name: 'overview', path: '/overview' },
  { name: 'settings', path: '' },
  { name: 'test', path: '/test' },
  { name: 'log', path: '/log' },
  { name: 'replay', path: '/replay' },
  { name: 'backfill', path: '/backfill' },
  { name: 'secret', path: '/secret' },
] as const
type WebhookTab = (typeof tabs)[number]['name']

export function webhookTabs(t: Texts, id: number, here: WebhookTab, shown: readonly WebhookTab[]): Html {
  return html`<nav class="tabs" aria-label="${t.couplings.tabsLabel}"><ul>${tabs
    .filter(({ name }) => shown.includes(name))
    .map(
      ({ name, path }) =>
        html`<li><a href="/couplings/${id}${path}"${name === here && html` aria-current="page"`}>${t.couplings.tabs[name]}</a></li>`,
    )}</ul></nav>`
}

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
