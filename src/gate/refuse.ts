import type { IncomingHttpHeaders, ServerResponse } from 'node:http'

export type Refusal = {
  readonly status: 400 | 408 | 413 | 421 | 503
  readonly title: string
  readonly detail: string
  /** Title and detail in Dutch. */
  readonly nl: readonly [string, string]
  readonly retryAfterS?: number
}

export const busy: Refusal = {
  status: 503,
  title: 'Busy',
  detail: 'Too many requests at once. Try again in a moment.',
  nl: ['Druk', 'Er kwamen meer verzoeken tegelijk dan walhook aankan. Probeer het zo opnieuw.'],
  retryAfterS: 1,
}
export const starting: Refusal = {
  status: 503,
  title: 'Starting',
  detail: 'walhook is starting. Try again in a moment.',
  nl: ['Start', 'walhook start nog. Probeer het zo opnieuw.'],
  retryAfterS: 1,
}
export const tooSlow: Refusal = {
  status: 408,
  title: 'The request took too long',
  detail: 'The body of the request did not arrive in time.',
  nl: ['Het verzoek duurde te lang', 'De inhoud van het verzoek kwam niet op tijd aan.'],
}
export const tooLarge = (maxBytes: number): Refusal => ({
  status: 413,
  title: 'The request is too large',
  detail: `The body is too large: at most ${maxBytes} bytes are allowed.`,
  nl: ['Het verzoek is te groot', `De inhoud is te groot: er zijn hooguit ${maxBytes} bytes toegestaan.`],
})
/** https://www.rfc-editor.org/rfc/rfc9112#section-3.2 */
export const twoHosts: Refusal = {
  status: 400,
  title: 'Two hosts',
  detail: 'The request has more than one Host header.',
  nl: ['Twee hosts', 'Het verzoek heeft meer dan één Host-header.'],
}
export const wrongHost = (host: string | undefined): Refusal => ({
  status: 421,
  title: 'Another host',
  detail: `walhook is not available as ${JSON.stringify(host?.slice(0, 200) ?? '')}. WALHOOK_URL names its URLs.`,
  nl: [
    'Andere host',
    `walhook is niet bereikbaar als ${JSON.stringify(host?.slice(0, 200) ?? '')}. WALHOOK_URL noemt de URL's waarop walhook bereikbaar is.`,
  ],
})

/**
 * Answers without a handler: a problem (RFC 9457) for programs, a plain page for people. `isLast` ends the connection: the
 * rest of the request may still arrive.
 */
export function refuse(
  outgoing: ServerResponse,
  refusal: Refusal,
  { isForPrograms, isLast, isDutch }: { isForPrograms: boolean; isLast: boolean; isDutch: boolean },
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
  const [language, shown, sentence] = isDutch ? ['nl', ...refusal.nl] : ['en', title, detail]
  outgoing
    .writeHead(status)
    .end(
      `<!doctype html><html lang="${language}"><title>walhook: ${shown}</title><h1>${shown}</h1><p>${escaped(sentence!)}</p>`,
    )
}

/** Whether to answer in Dutch: by the choice on the pages, else the browser's first known language. */
export function readsDutch({ cookie = '', 'accept-language': accepted = '' }: IncomingHttpHeaders): boolean {
  const chosen = /(?:^|;\s*)walhook_language=(\w+)/.exec(cookie)?.[1]
  return (chosen ?? /\b(nl|en)\b/i.exec(accepted)?.[1]?.toLowerCase()) === 'nl'
}

function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}
