import type { ServerResponse } from 'node:http'

export type Refusal = {
  readonly status: 400 | 408 | 413 | 421 | 503
  readonly title: string
  readonly detail: string
  readonly retryAfterS?: number
}

export const busy: Refusal = {
  status: 503,
  title: 'Busy',
  detail: 'More requests came at once than walhook takes. Try again in a moment.',
  retryAfterS: 1,
}
export const starting: Refusal = {
  status: 503,
  title: 'Starting',
  detail: 'walhook is starting. Try again in a moment.',
  retryAfterS: 1,
}
export const tooSlow: Refusal = {
  status: 408,
  title: 'The request took too long',
  detail: 'The body of the request did not arrive in time.',
}
export const tooLarge = (maxBytes: number): Refusal => ({
  status: 413,
  title: 'The request is too large',
  detail: `The body is too large: at most ${maxBytes} bytes are allowed.`,
})
/** https://www.rfc-editor.org/rfc/rfc9112#section-3.2 */
export const twoHosts: Refusal = {
  status: 400,
  title: 'Two hosts',
  detail: 'The request has more than one Host header.',
}
export const wrongHost = (host: string | undefined): Refusal => ({
  status: 421,
  title: 'Another host',
  detail: `walhook is not served as ${JSON.stringify(host?.slice(0, 200) ?? '')}. WALHOOK_URL names the URLs that it is served at.`,
})

/**
 * Answers a request without a handler: with a problem (RFC 9457) for programs, with a plain page for people. `isLast` ends the
 * connection: something of the request may still be on its way.
 */
export function refuse(
  outgoing: ServerResponse,
  refusal: Refusal,
  { isForPrograms, isLast }: { isForPrograms: boolean; isLast: boolean },
): void {
  const { status, title, detail, retryAfterS } = refusal
  if (retryAfterS !== undefined) outgoing.setHeader('retry-after', String(retryAfterS))
  if (isLast) outgoing.setHeader('connection', 'close')
  outgoing.setHeader('cache-control', 'no-store')
  if (isForPrograms) {
    outgoing.setHeader('content-type', 'application/problem+json')
    outgoing.writeHead(status).end(JSON.stringify({ type: 'about:blank', title, status, detail }))
    return
  }
  outgoing.setHeader('content-type', 'text/html; charset=utf-8')
  outgoing.setHeader('content-security-policy', "default-src 'none'; frame-ancestors 'none'")
  outgoing
    .writeHead(status)
    .end(
      `<!doctype html><html lang="en"><title>walhook: ${title}</title><h1>${title}</h1><p>${escaped(detail)}</p>`,
    )
}

function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}
