import { z } from 'zod'
import type { LoggedAttempt } from '../../control/kit/control.ts'
import type { Failed } from '../../control/kit/result.ts'
import { getAttempt } from '../../control/log/log.ts'
import { replayEvents } from '../../control/log/replay.ts'
import { resendEvent } from '../../control/log/resend.ts'
import type { Webhook } from '../../domain/webhook/webhook.ts'
import { failedPage } from '../kit/failed.ts'
import { given, onceOfForm, wrong, wrongField } from '../kit/given.ts'
import { html, momentText } from '../kit/html.ts'
import { bigIdParam, idParam } from '../kit/ids.ts'
import { type PageCall, type PageResponse, page } from '../kit/page.ts'
import { attemptDetail, opened } from '../log/attempt-detail.ts'
import { subjectOf } from '../log/attempt-line.ts'
import { webhookPage } from './page.ts'
import { tabsFor, webhookTabs } from './state.ts'

const section = 'couplings'

export const webhookAttemptPages = [
  webhookPage({
    method: 'get',
    path: '/couplings/:id/log/:attempt',
    role: 'viewer',
    more: { attempt: bigIdParam },
    async handle(call, webhook) {
      const { control, params, t } = call
      const attempt = await getAttempt(control, params.id, params.attempt)
      if (!attempt.ok) return failedPage(t, attempt)
      return await attemptPage(call, webhook, attempt.value)
    },
  }),
  // Of one event, or of all in a request (`attempt_id`). A repeated form is done once.
  page({
    method: 'post',
    path: '/couplings/:id/resend',
    role: 'operator',
    section,
    tenants: 'webhook',
    params: z.object({ id: idParam }),
    async handle(call) {
      const { params, form, t } = call
      const eventId = given(form, 'event_id', bigIdParam)
      if (eventId === wrong) return wrongField(t, 'event_id')
      const attemptId = given(form, 'attempt_id', bigIdParam)
      if (attemptId === wrong) return wrongField(t, 'attempt_id')
      const beyond = given(form, 'beyond_triggers', z.literal('true'))
      if (beyond === wrong) return wrongField(t, 'beyond_triggers')
      const done = await onceOfForm(call, `resend ${params.id}`, async () => {
        if (eventId !== undefined) return await resendOne(call, eventId, beyond !== undefined)
        if (attemptId !== undefined) return await resendBatch(call, attemptId)
        return { ok: false, kind: 'not_found', detail: '' }
      })
      return done.ok ? { show: 'redirect', to: done.value } : failedPage(t, done)
    },
  }),
]

type Done = { readonly ok: true; readonly value: string } | Failed

/** Returns the page that shows the delivery. */
async function resendOne(
  { control, caller, params }: PageCall<{ id: number }>,
  eventId: bigint,
  beyondTriggers: boolean,
): Promise<Done> {
  const resent = await resendEvent(control, caller, params.id, eventId, { beyondTriggers })
  if (!resent.ok) return resent
  const done = resent.value.newerDelivered ? 'resent_older' : 'resent'
  return { ok: true, value: `/events/${eventId}?done=${done}#webhook-${params.id}` }
}

async function resendBatch(
  { control, caller, params }: PageCall<{ id: number }>,
  attemptId: bigint,
): Promise<Done> {
  const attempt = await getAttempt(control, params.id, attemptId)
  if (!attempt.ok) return attempt
  const ids = attempt.value.eventIds ?? []
  const replayed = await replayEvents(control, caller, params.id, { of: 'ids', ids }, null)
  if (!replayed.ok) return replayed
  return { ok: true, value: `/couplings/${params.id}/log?done=resent&count=${replayed.value.queued}` }
}

async function attemptPage(call: PageCall, webhook: Webhook, attempt: LoggedAttempt): Promise<PageResponse> {
  const { t } = call
  const { id } = webhook
  const detail = await attemptDetail(call, webhook, attempt)
  // Beside the log.
  if (call.isPart) return { show: 'part', body: opened(call, webhook, attempt, detail) }
  return {
    show: 'page',
    title: `${subjectOf(t, attempt)}, ${momentText(attempt.startedAt, 'second')}`,
    crumbs: [{ text: t.log.title, href: `/couplings/${id}/log` }],
    body: html`${webhookTabs(t, id, 'log', tabsFor(call))}
<div class="one">${detail}</div>`,
  }
}
