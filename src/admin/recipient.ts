import type { Context, Hono } from 'hono'
import type { Control } from '../control/kit/control.ts'
import { decideRecipient, openRecipient } from '../control/webhooks/recipients.ts'
import { html } from './kit/html.ts'
import { idParam } from './kit/ids.ts'
import { bareLayout } from './kit/layout.ts'
import type { AdminEnv } from './kit/session.ts'
import { languageOf, textsOf } from './texts/texts.ts'

/**
 * Where the owner of an address confirms or stops alerts by mail. The link is the proof: there is no log-in. Only a form decides, since
 * programs follow the links of mails.
 */
export function recipientRoutes(app: Hono<AdminEnv>, { control }: { control: Control }): void {
  app.get('/recipients/:id', async c => await shown(c, control, c.req.query('key') ?? ''))
  app.post('/recipients/:id', async c => {
    const form = new URLSearchParams(await c.req.text())
    const key = form.get('key') ?? ''
    const found = await find(c, control, key)
    if (found) {
      const wantsMails = form.get('mails') === 'true'
      await decideRecipient(control, found.id, { wantsMails, language: languageOf(textsOf(c)) })
    }
    return await shown(c, control, key)
  })
}

async function find(c: Context<AdminEnv>, control: Control, key: string) {
  const id = idParam.safeParse(c.req.param('id'))
  return id.success ? await openRecipient(control, id.data, key) : null
}

async function shown(c: Context<AdminEnv>, control: Control, key: string): Promise<Response> {
  const t = textsOf(c)
  const r = t.recipients
  const found = await find(c, control, key)
  if (!found) {
    const body = html`<div class="card"><h1>${r.unknown}</h1><p>${r.unknownWhat}</p></div>`
    return c.html(bareLayout(t, { title: r.unknown, path: '/', body }), 404) as Response
  }
  const { id, address, state } = found
  const button = (mails: boolean, text: string) =>
    html`<button${mails && html` class="main"`} name="mails" value="${String(mails)}">${text}</button>`
  const body = html`<form method="post" action="/recipients/${id}" class="card"><h1>${r.pageTitle}</h1>
<p role="status">${r.decided[state === 'confirmed' || state === 'stopped' ? state : 'nothing'](address)}</p><input type="hidden" name="key" value="${key}">
<div class="end">${state !== 'confirmed' && button(true, r.confirm)}${state !== 'stopped' && button(false, r.stop)}</div></form>`
  const path = `/recipients/${id}?${new URLSearchParams({ key }).toString()}`
  return c.html(bareLayout(t, { title: r.pageTitle, path, body })) as Response
}
