import { z } from 'zod'
import { cancelBackfill, getBackfill, startBackfill } from '../../control/status/backfills.ts'
import { defaultRowsPerSecond, maxRowsPerSecond } from '../../domain/capture/backfill.ts'
import { triggerOf } from '../../domain/event/trigger.ts'
import { because } from '../../domain/shown/reason.ts'
import type { Webhook } from '../../domain/webhook/webhook.ts'
import { errorAttributes, errorSummary, errorsOf, errorText } from '../kit/errors.ts'
import { failedPage } from '../kit/failed.ts'
import { given, onceOfForm, wrong, wrongField } from '../kit/given.ts'
import { type Html, html } from '../kit/html.ts'
import { idParam } from '../kit/ids.ts'
import { entityName } from '../kit/names.ts'
import type { PageCall, PageResponse } from '../kit/page.ts'
import { duration, number } from '../texts/figures.ts'
import { reasonText } from '../texts/texts.ts'
import { type WebhookCall, webhookPage } from '../webhook/page.ts'
import { tabsFor, webhookTabs } from '../webhook/state.ts'
import { backfillList } from './backfill-list.ts'

const role = 'operator'
const forTenants = false
const liveEveryMs = 1_000

/** Backfills of a table to one webhook. Tables belong to all tenants, so a tenant does not see their row counts. */
export const backfillPages = [
  webhookPage({ method: 'get', path: '/couplings/:id/backfill', role, forTenants, handle: backfillPage }),
  webhookPage({
    method: 'get',
    path: '/couplings/:id/backfill/live',
    role,
    forTenants,
    async handle(call, webhook) {
      return {
        show: 'live',
        everyMs: liveEveryMs,
        render: nowMs => backfillList({ ...call, nowMs }, webhook.id, null),
      }
    },
  }),
  webhookPage({
    method: 'post',
    path: '/couplings/:id/backfill',
    role,
    forTenants,
    async handle(call, webhook) {
      const { control, caller, form, t } = call
      if (given(form, 'key', z.string().regex(/^[0-9a-f]{32}$/)) === wrong) return wrongField(t, 'key')
      const asked = readAsked(call, form)
      if (!asked.options) return await backfillPage({ ...call, query: form }, webhook)
      const { options } = asked
      const done = await onceOfForm(call, `backfill ${webhook.id}`, async () => {
        const started = await startBackfill(control, caller, { ...options, webhookId: webhook.id })
        return started.ok ? { ok: true, value: '' } : started
      })
      if (!done.ok) return failedPage(t, done)
      return { show: 'redirect', to: `/couplings/${webhook.id}/backfill?done=started` }
    },
  }),
  webhookPage({
    method: 'post',
    path: '/couplings/:id/backfills/:backfill/cancel',
    role,
    forTenants,
    more: { backfill: idParam },
    async handle({ control, caller, params, t }) {
      const found = await getBackfill(control, params.backfill)
      // A backfill for every webhook can't be stopped here.
      if (!found.ok || found.value.webhookId !== params.id)
        return failedPage(t, { ok: false, kind: 'not_found', detail: '' })
      const done = await cancelBackfill(control, caller, params.backfill)
      if (!done.ok) return failedPage(t, done)
      return { show: 'redirect', to: `/couplings/${params.id}/backfill?done=stopped` }
    },
  }),
]

type Asked = {
  readonly typed: { readonly entityType: string; readonly pace: string }
  readonly problems: Readonly<Record<string, string>>
  /** Null: nothing is requested, or something is wrong. */
  readonly options: { readonly entityType: string; readonly rowsPerSecond: number } | null
}

function readAsked({ t, control }: Pick<PageCall, 't' | 'control'>, from: URLSearchParams): Asked {
  const text = (name: string) =>
    (from.get(name) ?? '').trim().replaceAll('\0', '').slice(0, 200).toWellFormed()
  const entityType = text('entity_type')
  const pace = from.has('rows_per_second') ? text('rows_per_second') : String(defaultRowsPerSecond)
  const typed = { entityType, pace }
  const problems: Record<string, string> = {}
  if (!from.has('entity_type') && !from.has('rows_per_second')) return { typed, problems, options: null }
  if (!control.entityTypes.includes(entityType)) problems.entity_type = t.log.wrong.choice
  const rowsPerSecond = /^\d{1,6}$/.test(pace) ? Number(pace) : 0
  if (rowsPerSecond < 1 || rowsPerSecond > maxRowsPerSecond)
    problems.rows_per_second = t.bulk.wrongPace(number(t, maxRowsPerSecond))
  const isWrong = Object.keys(problems).length > 0
  return { typed, problems, options: isWrong ? null : { entityType, rowsPerSecond } }
}

async function backfillPage(call: WebhookCall, webhook: Webhook): Promise<PageResponse> {
  const { t, query } = call
  const before = given(query, 'before', idParam)
  const asked = readAsked(call, query)
  const list = await backfillList(call, webhook.id, before === undefined || before === wrong ? null : before)
  const done = query.get('done') ?? ''
  const live = before === undefined && html` data-live="/couplings/${webhook.id}/backfill/live"`
  return {
    show: 'page',
    title: t.bulk.backfill,
    status: Object.keys(asked.problems).length > 0 ? 422 : 200,
    body: html`${webhookTabs(t, webhook.id, 'backfill', tabsFor(call))}
${(done === 'started' || done === 'stopped') && html`<p class="notice good" role="status">${t.bulk.backfillDone[done]}</p>`}
${optionsForm(call, webhook, asked)}
${asked.options && (await previewCard(call, webhook, asked.options))}
<h2>${t.bulk.backfills}</h2>
<div id="backfills" class="bulk-list"${live}>${list}</div>`,
  }
}

/** Whether the webhook has the trigger of these rows. */
const isReceived = ({ control }: Pick<PageCall, 'control'>, { triggers }: Webhook, entityType: string) =>
  triggers.some(trigger => trigger === triggerOf(entityType, control.backfillAs(entityType)))

function optionsForm(call: PageCall, webhook: Webhook, { typed, problems }: Asked): Html {
  const { t, control } = call
  const types = control.entityTypes.filter(type => isReceived(call, webhook, type))
  const errors = errorsOf(problems)
  if (types.length === 0) {
    const isOfTenant = (type: string) => webhook.tenant === null || control.tenantTypes.includes(type)
    const wanted = control.entityTypes
      .filter(isOfTenant)
      .map(type => triggerOf(type, control.backfillAs(type)))
    const list = new Intl.ListFormat(t.language.code, { type: 'disjunction' }).format(wanted)
    return html`<p class="notice warn">${t.bulk.noTrigger(list)} <a href="/couplings/${webhook.id}">${t.couplings.tabs.settings}</a></p>`
  }
  return html`<form action="/couplings/${webhook.id}/backfill" class="card grid" novalidate>
${errorSummary(t.errors.someWrong, errors)}<p>${t.bulk.backfillWhat}</p>
<div class="row"><div class="field"><label for="entity_type">${t.log.entityType}</label><select id="entity_type" name="entity_type"${errorAttributes(errors, 'entity_type')}>${types.map(
    type =>
      html`<option value="${type}"${type === typed.entityType && html` selected`}>${entityName(t, type)}</option>`,
  )}</select>${errorText(errors, 'entity_type')}</div>
<div class="field short"><label for="rows_per_second">${t.bulk.pace}</label><input id="rows_per_second" name="rows_per_second" inputmode="numeric" autocomplete="off" value="${typed.pace}"${errorAttributes(errors, 'rows_per_second', 'pace-hint')}>
${errorText(errors, 'rows_per_second')}</div></div>
<p class="hint" id="pace-hint">${t.bulk.paceHint}</p>
<div class="end"><button>${t.bulk.count}</button></div>
</form>`
}

/** A preview: nothing has begun. */
async function previewCard(
  call: PageCall,
  webhook: Webhook,
  { entityType, rowsPerSecond }: NonNullable<Asked['options']>,
): Promise<Html> {
  const { t, control } = call
  const rows = (await control.readRowsEstimate?.(entityType)) ?? null
  const key = control.randomBytes(16).toString('hex')
  const hidden = { key, entity_type: entityType, rows_per_second: rowsPerSecond }
  const isOn = webhook.isActive && webhook.disabledReason === null
  const trigger = triggerOf(entityType, control.backfillAs(entityType))
  const refusal = isReceived(call, webhook, entityType)
    ? null
    : reasonText(t, because('backfill.not_subscribed', { webhookId: webhook.id, trigger, other: null }))
  return html`<form method="post" action="/couplings/${webhook.id}/backfill" class="card grid" id="preview">
${Object.entries(hidden).map(([name, value]) => html`<input type="hidden" name="${name}" value="${value}">`)}
<p>${entityName(t, entityType)}: <b>${rows === null ? t.bulk.rowsUnknown : t.bulk.rows(number(t, rows))}</b> ${trigger}</p>
${rows !== null && html`<p>${t.bulk.atPace(number(t, rowsPerSecond), duration(t, (rows * 1_000) / rowsPerSecond))}</p>`}
<p class="hint">${t.bulk.rowsHint}</p>
${refusal !== null && html`<p class="notice warn">${refusal}</p>`}${!isOn && html`<p class="notice warn">${t.bulk.backfillInactive}</p>`}
${refusal === null && isOn && html`<div class="end"><button class="main">${t.bulk.startBackfill}</button></div>`}
</form>`
}
