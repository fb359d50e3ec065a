import type { Context, Hono } from 'hono'
import type { Sessions } from '../control/access/sessions.ts'
import { html } from './kit/html.ts'
import { bareLayout } from './kit/layout.ts'
import { type AdminEnv, allowFrames, keepLanguage, keepSession, shownOf } from './kit/session.ts'
import { isLanguage, textsOf } from './texts/texts.ts'

/**
 * Signs in by a link. Only a browser that navigates uses it up: chat programs and mail scanners preview links, and browsers prefetch
 * them. A browser that sends no fetch metadata, as over http, gets a button.
 */
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
    if (!isVisit(c) && c.req.query('open') === undefined) return toOpen(c, frames)
    const entered = await sessions.enter(c.req.query('link') ?? '', addressOf(c))
    if (!entered) return linkIsOver(c, frames)
    const shown = frames.length > 0 && mayBeFrame(c) ? 'frame' : 'tab'
    keepSession(c, { ...entered, shown })
    const { language, path } = entered
    if (language !== null && isLanguage(language)) keepLanguage(c, language, shown)
    return c.redirect(path, 303)
  })
}

/** Whether a browser navigates. https://www.w3.org/TR/fetch-metadata/#sec-fetch-mode-header */
const isVisit = (c: Context) =>
  c.req.header('sec-fetch-mode') === 'navigate' && c.req.header('sec-purpose') === undefined

/** A form, since programs follow links and send no forms. */
function toOpen(c: Context, frames: readonly string[]): Response {
  allowFrames(c, frames)
  // The address of this page contains the link.
  c.header('referrer-policy', 'no-referrer')
  const t = textsOf(c)
  const body = html`<form action="/enter" class="card"><h1>${t.tenants.open}</h1>
<input type="hidden" name="link" value="${c.req.query('link') ?? ''}"><button class="main" name="open" value="true">${t.tenants.openNow}</button></form>`
  return c.html(bareLayout(t, { title: t.tenants.open, path: '/', body })) as Response
}

/** A frame has no log-in: the embedding page creates the link. */
export function linkIsOver(c: Context, frames: readonly string[]): Response {
  allowFrames(c, frames)
  const t = textsOf(c)
  const body = html`<div class="card"><h1>${t.tenants.linkOver}</h1><p>${t.tenants.linkOverWhat}</p></div>`
  return c.html(bareLayout(t, { title: t.tenants.linkOver, path: '/', body }), 410) as Response
}

/** A browser that does not say where a page is shown may show it in a frame. */
const mayBeFrame = (c: Context) => shownOf(c) === 'frame' || c.req.header('sec-fetch-dest') === undefined
