import { z } from 'zod'
import { type Count, cancelWaiting, countWaiting } from '../../control/log/cancel.ts'
import { countFailed, type ReplayCursor, replayEvents } from '../../control/log/replay.ts'
import { dayMs } from '../../domain/value/duration.ts'
import type { Webhook } from '../../domain/webhook/webhook.ts'
import { failedPage } from '../kit/failed.ts'
import { given, wrong, wrongField } from '../kit/given.ts'
import { type Html, html } from '../kit/html.ts'
import { bigIdParam, momentParam } from '../kit/ids.ts'
import type { PageCall, PageResponse } from '../kit/page.ts'
import type { Texts } from '../texts/en.ts'
import { type WebhookCall, webhookPage } from './page.ts'

const role = 'operator'
/** Since when something failed, in ms before now. */
const sinces = { day: dayMs, week: 7 * dayMs, all: Number.POSITIVE_INFINITY } as const
type Since = keyof typeof sinces

/** Operations on the whole queue of a webhook, each confirmed on a page with the count. */
export const webhookQueuePages = [
  webhookPage({
    method: 'get',
    path: '/couplings/:id/resend-failed',
    role,
    handle: resendPage,
  }),
  webhookPage({
    method: 'post',
    path: '/couplings/:id/resend-failed',
    role,
    async handle(call, webhook) {
      const { control, caller, params, form, t } = call
      const from = given(form, 'from', momentParam)
      if (from === undefined || from === wrong) return wrongField(t, 'from')
      const cursor = cursorOf(form)
      if (cursor === wrong) return wrongField(t, 'to')
      const input = { of: 'failed', from, to: null } as const
      const done = await replayEvents(control, caller, params.id, input, cursor)
      if (!done.ok) return failedPage(t, done)
      const { queued, next } = done.value
      const total = queued + numberOf(form, 'before')
      if (!next) return doneResponse(call, 'resent', total)
      const hidden = {
        from: input.from.getTime(),
        to: next.toMs,
        after_type: next.after.entityType,
        after_id: next.after.entityId,
        before: total,
      }
      return goOnPage(call, webhook, t.queue.resend, 'resend-failed', t.queue.resent(whole(t, total)), hidden)
    },
  }),
  webhookPage({
    method: 'get',
    path: '/couplings/:id/cancel',
    role,
    async handle(call, webhook) {
      const { control, params, t } = call
      const waiting = await countWaiting(control, params.id)
      const { cancel, cancelWhat, cancelCount, cancelNone, cancelNow, back } = t.queue
      const isNone = waiting.count === 0
      return confirmPage(
        call,
        webhook,
        cancel,
        html`<form method="post" action="/couplings/${params.id}/cancel" class="card grid"><input type="hidden" name="all" value="true">
<p>${cancelWhat}</p><p><b>${isNone ? cancelNone : cancelCount(countText(t, waiting))}</b></p>
<div class="end">${!isNone && html`<button class="danger">${cancelNow}</button>`}<a class="button" href="/couplings/${params.id}/log">${back}</a></div></form>`,
      )
    },
  }),
  webhookPage({
    method: 'post',
    path: '/couplings/:id/cancel',
    role,
    async handle(call, webhook) {
      const { control, caller, params, form, t } = call
      const eventId = given(form, 'event_id', bigIdParam)
      if (eventId === wrong) return wrongField(t, 'event_id')
      const all = given(form, 'all', z.literal('true'))
      if (all === wrong || (all === undefined) === (eventId === undefined)) return wrongField(t, 'all')
      if (eventId !== undefined) return await cancelOne(call, eventId)
      const done = await cancelWaiting(control, caller, params.id, { of: 'webhook' })
      if (!done.ok) return failedPage(t, done)
      const total = done.value.cancelled + numberOf(form, 'before')
      if (done.value.isComplete) return doneResponse(call, 'cancelled', total)
      return goOnPage(call, webhook, t.queue.cancel, 'cancel', t.queue.cancelled(whole(t, total)), {
        all: 'true',
        before: total,
      })
    },
  }),
]

/** Cancels one event, from its page, which shows the result. */
async function cancelOne(
  { control, caller, params, t }: WebhookCall,
  eventId: bigint,
): Promise<PageResponse> {
  const done = await cancelWaiting(control, caller, params.id, { of: 'event', eventId })
  if (!done.ok) return failedPage(t, done)
  const what = done.value.cancelled > 0 ? 'cancelled' : 'not_cancelled'
  return { show: 'redirect', to: `/events/${eventId}?done=${what}#webhook-${params.id}` }
}

/** Links to these pages, for callers with the role. */
export function queueLinks({ t, may }: PageCall, id: number): Html {
  return html`${may('operator') && html`<a class="button" href="/couplings/${id}/resend-failed">${t.queue.resend}</a><a class="button" href="/couplings/${id}/cancel">${t.queue.cancel}</a>`}`
}

/** The notice of the operation, on the log page that follows it. */
export function doneNotice({ t, query }: PageCall): Html | false {
  const done = query.get('done') ?? ''
  if (done !== 'resent' && done !== 'cancelled') return false
  return html`<p class="notice good" role="status">${t.queue[done](whole(t, numberOf(query, 'count')))}</p>
`
}

function doneResponse({ params }: WebhookCall, done: 'resent' | 'cancelled', count: number): PageResponse {
  return { show: 'redirect', to: `/couplings/${params.id}/log?done=${done}&count=${count}` }
}

/** `37`, `more than 10,000`. */
export function countText(t: Texts, { count, isExact }: Count): string {
  return isExact ? whole(t, count) : t.queue.moreThan(whole(t, count))
}

const whole = (t: Texts, count: number) => new Intl.NumberFormat(t.language.code).format(count)

async function resendPage(call: WebhookCall, webhook: Webhook): Promise<PageResponse> {
  const { t, control, query, nowMs } = call
  const { id, isActive, disabledReason } = webhook
  const since = given(query, 'since', z.enum(Object.keys(sinces) as Since[])) ?? 'all'
  if (since === wrong) return wrongField(t, 'since')
  const from = new Date(Math.max(0, nowMs - sinces[since]))
  const failed = await countFailed(control, id, { from, to: new Date(nowMs) })
  const { resend, resendWhat, failedCount, failedNone, resendNow, back } = t.queue
  const isNone = failed.count === 0 && failed.isExact
  const canSend = isActive && disabledReason === null
  const choices = (Object.keys(sinces) as Since[]).map(
    one => html`<option value="${one}"${one === since && html` selected`}>${t.queue.sinces[one]}</option>`,
  )
  return confirmPage(
    call,
    webhook,
    resend,
    html`<div class="card grid"><p>${resendWhat}</p>
<form action="/couplings/${id}/resend-failed" class="row"><div class="field"><label for="since">${t.queue.since}</label><select id="since" name="since">${choices}</select></div><button>${t.log.apply}</button></form>
<form method="post" action="/couplings/${id}/resend-failed" class="grid"><input type="hidden" name="from" value="${from.getTime()}">
<p><b>${isNone ? failedNone : failedCount(countText(t, failed))}</b></p>
${!canSend && !isNone && html`<p class="notice warn">${t.log.resendInactive}</p>`}
<div class="end">${!isNone && canSend && html`<button class="main">${resendNow}</button>`}<a class="button" href="/couplings/${id}/log">${back}</a></div></form></div>`,
  )
}

function confirmPage({ t }: PageCall, { id }: Webhook, title: string, body: Html): PageResponse {
  const crumbs = [{ text: t.log.title, href: `/couplings/${id}/log` }]
  return { show: 'page', title, crumbs, body: html`<div class="confirm">${body}</div>` }
}

/** One call ends in time for a proxy. The same form continues with the rest. */
function goOnPage(
  call: PageCall,
  webhook: Webhook,
  title: string,
  action: 'resend-failed' | 'cancel',
  done: string,
  hidden: Record<string, string | number>,
): PageResponse {
  const { t } = call
  return confirmPage(
    call,
    webhook,
    title,
    html`<form method="post" action="/couplings/${webhook.id}/${action}" class="card grid">
${Object.entries(hidden).map(([name, value]) => html`<input type="hidden" name="${name}" value="${value}">`)}
<p class="notice good" role="status">${done}</p><p>${t.queue.more}</p>
<div class="end"><button class="main">${t.queue.goOn}</button><a class="button" href="/couplings/${webhook.id}/log">${t.queue.back}</a></div></form>`,
  )
}

function numberOf(form: URLSearchParams, name: string): number {
  return Number(/^\d{1,15}$/.exec(form.get(name) ?? '')?.[0] ?? 0)
}

/** Where the previous call stopped; null at the first call. */
function cursorOf(form: URLSearchParams): ReplayCursor | null | typeof wrong {
  const names = ['to', 'after_type', 'after_id']
  if (!names.some(name => form.has(name))) return null
  const to = given(form, 'to', momentParam)
  const [entityType, entityId] = [form.get('after_type'), form.get('after_id')]
  if (to === undefined || to === wrong || entityType === null || entityId === null) return wrong
  if (`${entityType}${entityId}`.includes('\0')) return wrong
  return { toMs: to.getTime(), after: { entityType, entityId } }
}
