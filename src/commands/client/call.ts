import type { ClientConfig } from '../../config/client-config.ts'
import { formatProblem } from '../../domain/value/problem.ts'
import { describeError } from '../../runtime/log.ts'

/** The answer of a running walhook; or why it refused, in lines for people. */
export type Called<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly lines: readonly string[] }

/** Calls the API of a running walhook. */
export type Call = <T>(method: 'GET' | 'POST' | 'DELETE', path: string, body?: unknown) => Promise<Called<T>>

/** A test takes as long as its receiver, and a replay a while. */
const responseTimeoutMs = 60_000

export function openCall({ url, token }: ClientConfig): Call {
  const refuse = (found: string, mend: string, what = url) => ({
    ok: false as const,
    lines: [formatProblem({ code: 'server', what, found, mend })],
  })
  return async (method, path, body) => {
    let response: Response
    let text: string
    try {
      response = await fetch(new URL(path, url), {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          ...(body !== undefined && { 'content-type': 'application/json' }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
        // The token is for this address only.
        redirect: 'manual',
        signal: AbortSignal.timeout(responseTimeoutMs),
      })
      text = await response.text()
    } catch (error) {
      const { cause = error } = error as Error
      return refuse(
        `nothing answers (${describeError(cause)})`,
        'start walhook there, or set WALHOOK_URL to where it runs',
      )
    }
    const { status } = response
    const location = response.headers.get('location')
    if (status >= 300 && status < 400)
      return refuse(`redirects to ${location ?? 'another address'}`, 'set WALHOOK_URL to where walhook runs')
    const parsed = parseJson(text)
    if (response.ok && parsed !== undefined) return { ok: true, value: parsed }
    if (!isProblem(parsed))
      return refuse(`answers ${status}, but is not walhook`, 'set WALHOOK_URL to where walhook runs')
    if (status === 421)
      return refuse(
        'walhook is there, but not available under this name',
        'set WALHOOK_URL as the running walhook has it, or add this URL to it there',
      )
    if (status === 401)
      return refuse(
        'unknown, expired or revoked',
        'create one with: walhook token NAME --role operator',
        'WALHOOK_TOKEN',
      )
    return { ok: false, lines: linesOf(path, status, parsed, response.headers.get('retry-after')) }
  }
}

type Problem = {
  readonly detail: string
  readonly errors?: readonly { readonly pointer: string; readonly detail: string }[]
}

function isProblem(parsed: unknown): parsed is Problem {
  return typeof (parsed as Problem | null)?.detail === 'string'
}

function parseJson(text: string) {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The API's answer, with what to type if that helps. */
function linesOf(
  path: string,
  status: number,
  { detail, errors = [] }: Problem,
  retryAfter: string | null,
): string[] {
  if (errors.length > 0) return errors.map(lineOf)
  if (status === 403) return [`${detail} Fix: create one with: walhook token NAME --role ROLE`]
  if (status === 404 && path.startsWith('/api/event-types/'))
    return [`${detail} Fix: walhook webhooks types shows all triggers`]
  if (status === 404 && path.startsWith('/api/events/'))
    return [`${detail} Fix: walhook events list shows the newest`]
  const [, webhook, list] = /^\/api\/webhooks\/(\d+)\/(log|replays)\//.exec(path) ?? []
  if (status === 404 && webhook)
    return [`${detail} Fix: walhook webhooks ${list} ${webhook} shows the newest`]
  if (status === 404) return [`${detail} Fix: walhook webhooks list shows all webhooks`]
  if (retryAfter !== null) return [`${detail} Fix: try again in ${retryAfter} s`]
  return [detail]
}

const options: Readonly<Record<string, string>> = {
  is_active: '--inactive',
  triggers: '--trigger',
  headers: '--header',
  update_fields: '--update-field',
  alert_to: '--alert-to',
  traceparent: '--with-traceparent',
  event_ids: '--event',
  entity_type: '--entity',
  entity_id: '--id',
  user_id: '--user',
}

/** A wrong field of the body, by its option. */
function lineOf({ pointer, detail }: { readonly pointer: string; readonly detail: string }): string {
  const [, field = '', ...inner] = pointer.split('/')
  if (field === 'webhooks' && inner.length > 0) {
    const path = inner.map(part => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    return `webhooks.${path.join('.')}: ${detail}`
  }
  if (field === '') return detail
  const option = options[field] ?? `--${field.replaceAll('_', '-')}`
  return `${option}: ${detail.startsWith(`${field}: `) ? detail.slice(field.length + 2) : detail}`
}
