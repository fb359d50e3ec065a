import type { Context, Hono } from 'hono'
import { cellsAway, controlOfWebhook, followMoves, inCell } from '../../control/kit/cells.ts'
import type { Caller, Control } from '../../control/kit/control.ts'
import { controlFor } from '../../control/kit/tenants.ts'
import { readAlarm } from '../../control/status/alarm.ts'
import { webhookStates } from '../../control/status/webhook-states.ts'
import { mayAct, type Role } from '../../domain/access/role.ts'
import { attachment } from '../../domain/event-types/attachment.ts'
import { countUnwell } from '../../domain/shown/webhook-states.ts'
import type { Texts } from '../texts/en.ts'
import { languageOf } from '../texts/texts.ts'
import { failedPage } from './failed.ts'
import { html, nothing } from './html.ts'
import { layout } from './layout.ts'
import { respondLive } from './live.ts'
import type { Page, PageResponse, Section } from './page.ts'
import type { AdminEnv } from './session.ts'
import type { Snippet } from './snippets.ts'

type Mounted = {
  readonly pages: readonly Page[]
  readonly control: Control
  readonly snippets: readonly Snippet[]
  readonly nowMs: () => number
  /** Aborted when the server closes: live pages end then. */
  readonly stopped: AbortSignal
  readonly textsOf: (c: Context) => Texts
  /** Called for an answer that failed after it had begun. */
  readonly onFailure: (c: Context, error: unknown) => void
}

const isOfWebhook = ({ tenants, cells }: Page) => tenants === 'webhook' || cells === 'webhook'

/** Serves pages at their paths: checks tenant and role, chooses the cell, parses the input, and renders the answer. */
export function mount(app: Hono<AdminEnv>, mounted: Mounted): void {
  for (const page of mounted.pages)
    app.on(page.method.toUpperCase(), page.path, async c => {
      const caller = c.get('caller')
      const { role, tenant } = caller
      if (tenant !== null && page.tenants === undefined)
        return show(c, mounted, null, notFound(mounted.textsOf(c)))
      if (!mayAct(role, page.role)) return show(c, mounted, page.section, forbidden(c, mounted, page.role))
      const params = page.params ? page.params.safeParse(c.req.param()) : { success: true as const, data: {} }
      if (!params.success) return show(c, mounted, page.section, notFound(mounted.textsOf(c)))
      const call = await readCall(c, mounted, params.data)
      const found = isOfWebhook(page)
        ? await controlOfWebhook(call.control, caller, (params.data as { id: number }).id)
        : { ok: true as const, value: call.control }
      if (!found.ok) return show(c, mounted, page.section, failedPage(call.t, found))
      const control = found.value
      const response = await inCell(
        control,
        { isRead: page.method === 'get' },
        () =>
          isOfWebhook(page)
            ? followMoves(
                call.control,
                caller,
                { webhookId: (params.data as { id: number }).id, control },
                {
                  work: there => page.handle({ ...call, control: there }),
                  isNotFound: response => response.show === 'page' && response.status === 404,
                },
              )
            : page.handle({ ...call, control }),
        failure => failedPage(call.t, failure),
      )
      return show(c, mounted, page.section, response)
    })
}

async function readCall(
  c: Context<AdminEnv>,
  { control, snippets, nowMs, textsOf }: Mounted,
  params: unknown,
) {
  const caller = c.get('caller')
  const cells = await control.cells.forTenant(caller.tenant)
  const t = textsOf(c)
  return {
    control: controlFor({ ...control, cells }, caller),
    caller: { ...caller, language: languageOf(t) },
    may: (role: Role) => mayAct(caller.role, role),
    t,
    params,
    query: new URL(c.req.url).searchParams,
    form: new URLSearchParams(c.req.method === 'POST' ? await c.req.text() : ''),
    isPart: isPart(c),
    snippets,
    nowMs: nowMs(),
  }
}

/** Whether htmx requests a part of the present page. */
function isPart(c: Context): boolean {
  return c.req.header('hx-request-type') === 'partial'
}

/** Renders an answer, inside the layout if it is a whole page. */
export async function show(
  c: Context<AdminEnv>,
  mounted: Mounted,
  section: Section | null,
  response: PageResponse,
): Promise<Response> {
  const t = mounted.textsOf(c)
  switch (response.show) {
    case 'page': {
      const { title, of, body, crumbs = [], actions = nothing, status = 200 } = response
      const { pathname, search } = new URL(c.req.url)
      const caller = c.get('caller')
      const at = {
        section,
        caller,
        hasPages: (name: Section) =>
          mounted.pages.some(page => page.section === name && (caller.tenant === null || page.tenants)),
        path: c.req.method === 'GET' ? pathname + search : '/',
        ...(await warningsFor(caller, mounted)),
      }
      // A part that can't be shown is replaced by the reason.
      if (isPart(c) && status >= 400) return c.html(body, status)
      return c.html(layout(t, at, { title, of, crumbs, actions, body }), status)
    }
    case 'part':
      return c.html(response.body, response.status ?? 200)
    case 'file':
      c.header('content-disposition', attachment(response.name))
      return c.body(response.text, 200, { 'content-type': response.type })
    case 'redirect':
      if (isPart(c)) {
        c.header('hx-redirect', response.to)
        return c.body(null, 204)
      }
      return c.redirect(response.to, 303)
    case 'live':
      return await respondLive(c, response, {
        ...mounted,
        onFailure: error => mounted.onFailure(c, error),
      })
    default:
      return response satisfies never
  }
}

/** The warnings on every page; a tenant does not see those of capture. A page is shown even if they are unknown. */
async function warningsFor({ tenant }: Caller, { control, nowMs }: Mounted) {
  const [alarm, states, away] = await Promise.all([
    tenant === null ? readAlarm(control, nowMs()).catch(() => null) : null,
    webhookStates(control, tenant, nowMs()).catch(() => null),
    control.cells
      .forTenant(tenant)
      .then(cells => cellsAway({ cells }))
      .catch(() => []),
  ])
  return { alarm, unwell: states === null ? 0 : countUnwell(states), away }
}

export function notFound(t: Texts): PageResponse {
  const { notFoundTitle, notFound, toCouplings } = t.errors
  const body = html`<div class="empty"><p>${notFound}</p><p><a href="/couplings">${toCouplings}</a></p></div>`
  return { show: 'page', title: notFoundTitle, status: 404, body }
}

function forbidden(c: Context<AdminEnv>, { textsOf }: Mounted, needed: Role): PageResponse {
  const t = textsOf(c)
  const sentence = t.errors.forbidden(t.roles[needed], t.roles[c.get('caller').role])
  return {
    show: 'page',
    title: t.errors.forbiddenTitle,
    status: 403,
    body: html`<p class="notice bad" role="alert">${sentence}</p>`,
  }
}
