import { z } from 'zod'
import {
  cancelReplay,
  missedEvents,
  previewReplay,
  type RangeInput,
  type ReplayPreview,
  startReplay,
} from '../../control/log/replays.ts'
import type { Webhook } from '../../domain/webhook/webhook.ts'
import { errorAttributes, errorSummary, errorsOf, errorText } from '../kit/errors.ts'
import { failedPage } from '../kit/failed.ts'
import { given, onceOfForm, wrong, wrongField } from '../kit/given.ts'
import { type Html, html, moment } from '../kit/html.ts'
import { idParam, momentParam } from '../kit/ids.ts'
import type { PageCall, PageResponse } from '../kit/page.ts'
import { momentOf } from '../log/filter-fields.ts'
import { missedOffer } from '../log/missed.ts'
import { countOf, timeNeeded } from '../log/progress.ts'
import { reasonText } from '../texts/texts.ts'
import { type WebhookCall, webhookPage } from '../webhook/page.ts'
import { tabsFor, webhookTabs } from '../webhook/state.ts'
import { replayList } from './replay-list.ts'

const role = 'operator'
const liveEveryMs = 1_000
const field = z.string().max(200)

/** Replays of a range of the log: preview, progress, and earlier ones. */
export const replayPages = [
  webhookPage({ method: 'get', path: '/couplings/:id/replay', role, handle: replayPage }),
  webhookPage({
    method: 'get',
    path: '/couplings/:id/replay/live',
    role,
    async handle(call, webhook) {
      return {
        show: 'live',
        everyMs: liveEveryMs,
        render: nowMs => replayList({ ...call, nowMs }, webhook.id, null),
      }
    },
  }),
  webhookPage({
    method: 'post',
    path: '/couplings/:id/replay',
    role,
    async handle(call, webhook) {
      const { control, caller, form, t } = call
      const range = rangeIn(form)
      if (typeof range === 'string') return wrongField(t, range)
      if (given(form, 'key', z.string().regex(/^[0-9a-f]{32}$/)) === wrong) return wrongField(t, 'key')
      const done = await onceOfForm(call, `replay ${webhook.id}`, async () => {
        const started = await startReplay(control, caller, webhook.id, range)
        return started.ok ? { ok: true, value: '' } : started
      })
      if (!done.ok) return failedPage(t, done)
      return { show: 'redirect', to: `/couplings/${webhook.id}/replay?done=started` }
    },
  }),
  webhookPage({
    method: 'post',
    path: '/couplings/:id/replays/:replay/cancel',
    role,
    more: { replay: idParam },
    async handle({ control, caller, params, t }) {
      const done = await cancelReplay(control, caller, params.id, params.replay)
      if (!done.ok) return failedPage(t, done)
      return { show: 'redirect', to: `/couplings/${params.id}/replay?done=stopped` }
    },
  }),
]

/** The range of a form, or the name of its wrong field. */
function rangeIn(form: URLSearchParams): RangeInput | string {
  const missed = given(form, 'missed', z.literal('true'))
  if (missed === wrong) return 'missed'
  if (missed) return { of: 'missed' }
  const from = given(form, 'from', momentParam)
  const to = given(form, 'to', momentParam)
  if (from === undefined || from === wrong) return 'from'
  if (to === undefined || to === wrong) return 'to'
  const trigger = given(form, 'trigger', field)
  return trigger === wrong ? 'trigger' : { of: 'range', from, to, triggers: trigger ? [trigger] : null }
}

type Asked = {
  readonly typed: Readonly<Record<'from' | 'to' | 'trigger', string>>
  readonly problems: Readonly<Record<string, string>>
  readonly meant: { readonly from: Date; readonly to: Date; readonly preview: ReplayPreview } | null
}

/** The range of an address, and the number of its events. */
async function readAsked({ query, t, control, nowMs }: WebhookCall, webhook: Webhook): Promise<Asked> {
  const text = (name: string) =>
    (query.get(name) ?? '').trim().replaceAll('\0', '').slice(0, 200).toWellFormed()
  const typed = { from: text('from'), to: text('to'), trigger: text('trigger') }
  const problems: Record<string, string> = {}
  if (!query.has('from')) return { typed, problems, meant: null }
  const from = momentOf(typed.from)
  const to = typed.to === '' ? new Date(nowMs) : momentOf(typed.to)
  if (!from) problems.from = typed.from === '' ? t.bulk.noFrom : t.log.wrong.time
  if (!to) problems.to = t.log.wrong.time
  if (!from || !to) return { typed, problems, meant: null }
  const triggers = typed.trigger === '' ? null : [typed.trigger]
  const preview = await previewReplay(control, webhook.id, { of: 'range', from, to, triggers })
  if (preview.ok) return { typed, problems, meant: { from, to, preview: preview.value } }
  if (preview.kind === 'invalid')
    for (const { pointer, reason } of preview.problems)
      problems[pointer === '/to' ? 'to' : 'trigger'] = reasonText(t, reason)
  return { typed, problems, meant: null }
}

async function replayPage(call: WebhookCall, webhook: Webhook): Promise<PageResponse> {
  const { t, query, control } = call
  const before = given(query, 'before', idParam)
  const asked = await readAsked(call, webhook)
  const missed = await missedEvents(control, webhook.id)
  const list = await replayList(call, webhook.id, before === undefined || before === wrong ? null : before)
  const done = query.get('done') ?? ''
  const live = before === undefined && html` data-live="/couplings/${webhook.id}/replay/live"`
  const offer = isOn(webhook) && missedOffer(call, webhook.id, missed)
  return {
    show: 'page',
    title: t.bulk.replay,
    status: Object.keys(asked.problems).length > 0 ? 422 : 200,
    body: html`${webhookTabs(t, webhook.id, 'replay', tabsFor(call))}
${(done === 'started' || done === 'stopped') && html`<p class="notice good" role="status">${t.bulk.replayDone[done]}</p>`}${offer && html`<div class="notice warn">${offer}</div>`}
${rangeForm(call, webhook, asked)}
${asked.meant && previewCard(call, webhook, asked, asked.meant)}
<h2>${t.bulk.replays}</h2><p class="hint">${t.bulk.replaysKept}</p>
<div id="replays" class="bulk-list"${live}>${list}</div>`,
  }
}

const isOn = ({ isActive, disabledReason }: Webhook) => isActive && disabledReason === null

function rangeForm({ t }: PageCall, { id, triggers }: Webhook, { typed, problems }: Asked): Html {
  const errors = errorsOf(problems)
  const input = (name: 'from' | 'to', label: string) => {
    return html`<div class="field"><label for="${name}">${label} <span data-zone>(${t.log.utc})</span></label>
<input id="${name}" name="${name}" value="${typed[name]}" type="datetime-local" data-utc${name === 'from' && html` required data-local`}${errorAttributes(errors, name)}>
${errorText(errors, name)}</div>`
  }
  const options = ['', ...new Set([...triggers, ...(typed.trigger === '' ? [] : [typed.trigger])])]
  return html`<form action="/couplings/${id}/replay" class="card grid" novalidate>
${errorSummary(t.errors.someWrong, errors)}<p>${t.bulk.replayWhat}</p>
<div class="row">${input('from', t.bulk.from)}${input('to', t.bulk.to)}</div>
<div class="field"><label for="trigger">${t.form.triggers}</label><select id="trigger" name="trigger"${errorAttributes(errors, 'trigger')}>${options.map(
    one =>
      html`<option value="${one}"${one === typed.trigger && html` selected`}>${one === '' ? t.bulk.allTriggers : one}</option>`,
  )}</select>${errorText(errors, 'trigger')}</div>
<div class="end"><button>${t.bulk.count}</button></div>
</form>`
}

/** A preview: nothing has begun. */
function previewCard(
  { t, control }: PageCall,
  webhook: Webhook,
  { typed }: Asked,
  { from, to, preview }: NonNullable<Asked['meant']>,
): Html {
  const isNone = preview.count === 0 && preview.isExact
  const key = control.randomBytes(16).toString('hex')
  const hidden = {
    key,
    from: from.getTime(),
    to: to.getTime(),
    ...(typed.trigger && { trigger: typed.trigger }),
  }
  return html`<form method="post" action="/couplings/${webhook.id}/replay" class="card grid" id="preview">
${Object.entries(hidden).map(([name, value]) => html`<input type="hidden" name="${name}" value="${value}">`)}
<p>${moment(from)} – ${moment(to)}: <b>${isNone ? t.bulk.noEvents : t.bulk.events(countOf(t, preview))}</b></p>
${!preview.isExact && html`<p class="hint">${t.bulk.estimated}</p>`}${preview.keptSince && html`<p class="notice warn">${t.bulk.keptSince} ${moment(preview.keptSince)}.</p>`}
${!isNone && html`<p>${timeNeeded(t, preview.count, preview.perSecond)}</p>`}
${!isOn(webhook) && html`<p class="notice warn">${t.log.resendInactive}</p>`}
${!isNone && isOn(webhook) && html`<div class="end"><button class="main">${t.bulk.startReplay}</button></div>`}
</form>`
}
