import { z } from 'zod'
import { askRecipient, type Recipient, recipientsOf } from '../../control/webhooks/recipients.ts'
import { because } from '../../domain/shown/reason.ts'
import { maskedAddress } from '../../domain/webhook/mail-address.ts'
import type { Webhook } from '../../domain/webhook/webhook.ts'
import { failedPage } from '../kit/failed.ts'
import { type Html, html, moment } from '../kit/html.ts'
import type { PageCall } from '../kit/page.ts'
import type { Texts } from '../texts/en.ts'
import { reasonText } from '../texts/texts.ts'
import { webhookPage } from './page.ts'

const address = z.string().min(1)

export const webhookRecipientPages = [
  webhookPage({
    method: 'post',
    path: '/couplings/:id/recipients',
    role: 'admin',
    async handle({ control, caller, form, t }, webhook) {
      const asked = await askRecipient(
        control,
        caller,
        webhook,
        address.catch('?').parse(form.get('address')),
      )
      return asked.ok ? { show: 'redirect', to: `/couplings/${webhook.id}?done=asked` } : failedPage(t, asked)
    },
  }),
]

const kinds = { asking: '', failed: 'bad', asked: 'warn', confirmed: 'good', stopped: '' } as const

/** The recipients of alerts of a tenant's webhook and their states; with a button that asks again. */
export async function recipientsNotice(
  { control, t, may, query }: Pick<PageCall, 'control' | 't' | 'may' | 'query'>,
  webhook: Webhook,
): Promise<Html> {
  const r = t.recipients
  const done = query.get('done') === 'asked' && html`<p class="notice good" role="status">${r.asked}</p>`
  const all = webhook.tenant === null ? [] : await recipientsOf(control, webhook).catch(() => [])
  if (all.length === 0) return html`${done}`
  const isEachConfirmed = all.every(({ state }) => state === 'confirmed')
  const again = (to: string) =>
    html`<form method="post" action="/couplings/${webhook.id}/recipients"><input type="hidden" name="address" value="${to}"><button>${r.again}<span class="unseen"> ${to}</span></button></form>`
  return html`${done}<section class="card recipients"><h2>${r.title}</h2>${!isEachConfirmed && html`<p class="hint">${r.hint}</p>`}
<ul>${all.map(
    one =>
      html`<li><p><b>${may('admin') ? one.address : maskedAddress(one.address)}</b> <span class="badge ${kinds[one.state]}">${r.states[one.state].word}</span></p><p class="hint">${whatIs(t, one)}</p>${(one.state === 'asked' || one.state === 'failed') && may('admin') && again(one.address)}</li>`,
  )}</ul></section>`
}

/** What the state of a recipient means, and what to do. */
function whatIs(t: Texts, { state, waitsFor, reason, nextAt, askedAt }: Recipient): Html | string {
  const { what } = t.recipients.states[state]
  if (waitsFor !== null) return reasonText(t, because(`recipient.${waitsFor}`))
  if (state === 'asked' && askedAt)
    return html`${what} ${t.recipients.askedAt} ${moment(askedAt, 'distance')}.`
  if (state !== 'failed') return what
  const next = nextAt === null ? t.recipients.noRetry : html`${t.recipients.nextAt} ${moment(nextAt)}.`
  return html`${what} (${reason}). ${t.recipients.failedMend} ${next}`
}
