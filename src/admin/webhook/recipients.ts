import { z } from 'zod'
import { askRecipient, recipientsOf } from '../../control/webhooks/recipients.ts'
import { maskedAddress } from '../../domain/webhook/mail-address.ts'
import type { Webhook } from '../../domain/webhook/webhook.ts'
import { failedAnswer } from '../kit/failed.ts'
import { type Html, html, moment, nothing } from '../kit/html.ts'
import type { PageCall } from '../kit/page.ts'
import { webhookPage } from './page.ts'

const address = z.string().min(1)

export const webhookRecipientPages = [
  webhookPage({
    method: 'post',
    path: '/couplings/:id/recipients',
    role: 'admin',
    async handle({ control, form, t }, webhook) {
      const asked = await askRecipient(control, webhook, address.catch('?').parse(form.get('address')))
      return asked.ok
        ? { show: 'redirect', to: `/couplings/${webhook.id}?done=asked` }
        : failedAnswer(t, asked)
    },
  }),
]

/** The recipients of alerts that get none yet, and a button that asks each again. */
export async function recipientsNotice(
  { control, t, may, query }: Pick<PageCall, 'control' | 't' | 'may' | 'query'>,
  webhook: Webhook,
): Promise<Html> {
  const silent = (await recipientsOf(control, webhook).catch(() => [])).filter(
    ({ state }) => state !== 'confirmed',
  )
  const r = t.recipients
  const done = query.get('done') === 'asked' && html`<p class="notice good" role="status">${r.asked}</p>`
  if (silent.length === 0) return html`${done}`
  const again = (to: string) =>
    html`<form method="post" action="/couplings/${webhook.id}/recipients"><input type="hidden" name="address" value="${to}"><button>${r.again}<span class="unseen"> ${to}</span></button></form>`
  return html`${done}<section class="notice warn" id="recipients" aria-labelledby="recipients-title"><h2 id="recipients-title">${r.title}</h2>
<ul>${silent.map(
    ({ address, state, askedAt }) =>
      html`<li class="row"><span><b>${may('admin') ? address : maskedAddress(address)}</b>: ${
        state === 'stopped'
          ? r.stopped
          : askedAt === null
            ? r.pending
            : html`${r.pendingSince} ${moment(askedAt, 'distance')}`
      }</span>${state === 'pending' && may('admin') ? again(address) : nothing}</li>`,
  )}</ul></section>`
}
