import type { Role } from '../access/role.ts'
import type { Attempt } from '../delivery/attempt.ts'
import { createRedactor, redacted } from './redact.ts'

/**
 * A webhook's URL as a caller of this role may see it: whole for an admin, who may set it; for anybody else its origin,
 * since paths and parameters of many services are the secret that lets one in.
 */
export function shownUrl(url: string, role: Role): string {
  if (role === 'admin') return url
  const parsed = URL.parse(url)
  if (!parsed) return redacted
  const isBare = parsed.pathname === '/' && parsed.search === '' && parsed.hash === ''
  return isBare ? `${parsed.origin}/` : `${parsed.origin}/${redacted}`
}

/** Whether something of a URL is not shown to this role. */
function hidesUrl(url: string, role: Role): boolean {
  return shownUrl(url, role) !== url
}

/** A body is shown up to so many bytes: more would take memory that deliveries need. */
export const mostShownBytes = 8_000_000

type Showable = Pick<Attempt, 'request' | 'response' | 'errorMessage'> & { readonly tooLargeBytes?: number }

/** An attempt as a caller of this role may see it: a receiver may have repeated the URL in what it answered. */
export function shownAttempt<T extends Showable>(whole: T, role: Role): T {
  const attempt = withoutLargeBody(whole)
  const { url } = attempt.request
  if (!hidesUrl(url, role)) return attempt
  const redact = createRedactor(secretsOf(url))
  const { response, errorMessage } = attempt
  return {
    ...attempt,
    request: { ...attempt.request, url: shownUrl(url, role) },
    errorMessage: errorMessage === null ? null : redact(errorMessage),
    response: response && {
      ...response,
      body: redact(response.body),
      headers: Object.fromEntries(
        Object.entries(response.headers).map(([name, value]) => [redact(name), redact(value)]),
      ),
    },
  }
}

/** One that was just made, as by a test, may have any body. */
function withoutLargeBody<T extends Showable>(attempt: T): T {
  const bytes = Buffer.byteLength(attempt.request.body)
  if (bytes <= mostShownBytes) return attempt
  return { ...attempt, request: { ...attempt.request, body: '' }, tooLargeBytes: bytes }
}

/** The parts of a URL that are not shown, the longest first: together, and each by itself. */
function secretsOf(url: string): string[] {
  const parsed = URL.parse(url)
  if (!parsed) return [url]
  const { pathname, search, hash, username, password, searchParams } = parsed
  const whole = `${pathname}${search}${hash}`
  const parts = [...pathname.split('/'), ...searchParams.values(), hash.slice(1), username, password]
  return [whole, `${pathname}${search}`, pathname, search.slice(1), ...parts].filter(part => part.length > 1)
}
