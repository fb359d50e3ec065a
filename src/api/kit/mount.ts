import type { Context, Hono } from 'hono'
import { controlOfWebhook, followMoves, inCell } from '../../control/kit/cells.ts'
import type { Control } from '../../control/kit/control.ts'
import { controlFor } from '../../control/kit/tenants.ts'
import { mayAct } from '../../domain/access/role.ts'
import { matches } from './etag.ts'
import { idempotent, send } from './idempotency.ts'
import { read, readJson } from './input.ts'
import { toJson } from './names.ts'
import { failed, nothingAt, problem } from './problem.ts'
import type { ApiEnv, Route } from './route.ts'

/**
 * Serves routes at their paths: checks tenant and role of an admitted caller, chooses the cell of the webhook, parses the
 * input, and writes the response.
 * Other methods of a path get a 405.
 */
export function mount(app: Hono<ApiEnv>, routes: readonly Route[], control: Control): void {
  for (const route of routes)
    app.on(route.method.toUpperCase(), honoPath(route.path), c => serve(c, route, control))
  for (const path of new Set(routes.map(route => route.path))) {
    const methods = routes.filter(route => route.path === path).map(route => route.method.toUpperCase())
    app.all(honoPath(path), c => otherMethod(c, methods))
  }
}

/** `/api/webhooks/:id` for `/api/webhooks/{id}`. */
function honoPath(path: string): string {
  return path.replaceAll(/\{(\w+)\}/g, ':$1')
}

async function serve(c: Context<ApiEnv>, route: Route, whole: Control): Promise<Response> {
  const caller = c.get('caller')
  if (caller.tenant !== null && route.tenants === undefined) return nothingAt(c)
  if (!mayAct(caller.role, route.role))
    return problem(
      c,
      403,
      `This needs a token with the role ${route.role}; "${caller.name}" has the role ${caller.role}.`,
    )
  const params = route.params ? read(c, route.params, c.req.param()) : nothing
  if (!params.ok) return params.response
  const cells = await whole.cells.forTenant(caller.tenant)
  const own = controlFor({ ...whole, cells }, caller)
  const found =
    route.tenants === 'webhook'
      ? await controlOfWebhook(own, caller, (params.value as { id: number }).id)
      : { ok: true as const, value: own }
  if (!found.ok) return failed(c, found)
  const control = found.value
  const tryTwice = Object.entries(c.req.queries()).filter(([, values]) => values.length > 1)
  if (route.query && tryTwice.length > 0) {
    const errors = tryTwice.map(([name]) => ({
      pointer: `/${name}`,
      detail: `${name}: appears more than once. Give it once.`,
    }))
    return problem(c, 422, errors.map(({ detail }) => detail).join(' '), { errors })
  }
  const query = route.query ? read(c, route.query, c.req.query()) : nothing
  if (!query.ok) return query.response
  const body = route.body ? await readJson(c, route.body, route.whenNoBody) : nothing
  if (!body.ok) return body.response

  const given = {
    caller,
    isMatch: (tag: string) => matches(c.req.header('if-match'), tag),
    params: params.value,
    query: query.value,
    body: body.value,
  }
  const handle = (control: Control) => route.handle({ ...given, control })
  const followed = () =>
    followMoves(
      own,
      caller,
      { webhookId: (params.value as { id: number }).id, control },
      {
        work: handle,
        isNotFound: done => !done.ok && done.kind === 'not_found',
      },
    )
  const work = async () => {
    const done = await (route.tenants === 'webhook' ? followed() : handle(control))
    if (!done.ok) return done
    const { status, schema } = route.response
    const text = schema && JSON.stringify(toJson(schema, done.value))
    return { ok: true as const, written: { status, headers: done.headers ?? {}, body: text } }
  }
  const run = async () => {
    if (route.method === 'post') return await idempotent(c, control, work)
    const done = await work()
    return done.ok ? send(c, done.written) : failed(c, done)
  }
  const isRead = route.method === 'get'
  return await inCell(control, { isRead }, run, failure => failed(c, failure))
}

const nothing = { ok: true, value: undefined } as const

/** The 405 of a path with other `methods`. https://www.rfc-editor.org/rfc/rfc9110#status.405 */
export function otherMethod(c: Context, methods: readonly string[]): Response {
  const known = methods.flatMap(method => (method === 'GET' ? ['GET', 'HEAD'] : [method]))
  const allow = [...known, 'OPTIONS'].join(', ')
  c.header('allow', allow)
  if (c.req.method === 'OPTIONS') return c.body(null, 204)
  return problem(c, 405, `${c.req.path} has no ${c.req.method}, only ${allow}.`)
}
