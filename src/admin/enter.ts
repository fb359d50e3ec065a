import type { Context, Hono } from 'hono'
import type { Sessions } from '../control/access/sessions.ts'
import { html } from './kit/html.ts'
import { bareLayout } from './kit/layout.ts'
import { type AdminEnv, allowFrames, keepLanguage, keepSession } from './kit/session.ts'
import { isLanguage, textsOf } from './texts/texts.ts'

/** Signs in by a link. A HEAD request, as link previews send it, does not use it up. */
export function enterRoutes(
  app: Hono<AdminEnv>,
  {
    sessions,
    addressOf,
    frames,
  }: { sessions: Sessions; addressOf: (c: Context) => string; frames: readonly string[] },
): void {
  app.get('/enter', async c => {
    if (c.req.method === 'HEAD') return c.body(null, 204)
    const entered = await sessions.enter(c.req.query('link') ?? '', addressOf(c))
    if (!entered) return linkIsOver(c, frames)
    keepSession(c, { ...entered, isInFrames: frames.length > 0 })
    const { language, path } = entered
    if (language !== null && isLanguage(language)) keepLanguage(c, language, frames.length > 0)
    return c.redirect(path, 303)
  })
}

/** A frame has no log-in: the embedding page creates the link. */
export function linkIsOver(c: Context, frames: readonly string[]): Response {
  allowFrames(c, frames)
  const t = textsOf(c)
  const body = html`<div class="card"><h1>${t.tenants.linkOver}</h1><p>${t.tenants.linkOverWhat}</p></div>`
  return c.html(bareLayout(t, { title: t.tenants.linkOver, path: '/', body }), 410) as Response
}

/** Whether the page is requested for a frame. https://www.w3.org/TR/fetch-metadata/#sec-fetch-dest-header */
export const isForFrame = (c: Context) => /^i?frame$/.test(c.req.header('sec-fetch-dest') ?? '')
