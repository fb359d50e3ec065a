import type { Role } from '../access/role.ts'
import type { Attempt } from '../delivery/attempt.ts'
import { createRedactor, redacted } from './redact.ts'

/**
 * A webhook's URL for a role: whole for an admin, who may change it; only its origin for others, since the paths and
 * parameters of many services are secrets.
 */
export function shownUrl(url: string, role: Role): string {
  if (role === 'admin') return url
  const parsed = URL.parse(url)
  if (!parsed) return redacted
  const isBare = parsed.pathname === '/' && parsed.search === '' && parsed.hash === ''
  return isBare ? `${parsed.origin}/` : `${parsed.origin}/${redacted}`
}

/** Whether the role does not see the whole URL. */
function hidesUrl(url: string, role: Role): boolean {
  return shownUrl(url, role) !== url
}

/** A larger body is not shown: it would take memory that deliveries need. */
export const maxShownBytes = 8_000_000

type Showable = Pick<Attempt, 'request' | 'response' | 'errorMessage'> & { readonly tooLargeBytes?: number }

/** An attempt for a role: the receiver's response may repeat the URL. */
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

/** The attempt of a test is not stored, and its body may have any size. */
function withoutLargeBody<T extends Showable>(attempt: T): T {
  const bytes = Buffer.byteLength(attempt.request.body)
  if (bytes <= maxShownBytes) return attempt
  return { ...attempt, request: { ...attempt.request, body: '' }, tooLargeBytes: bytes }
}

/** The hidden parts of a URL, the longest first: together, and each alone. */
function secretsOf(url: string): string[] {
  const parsed = URL.parse(url)
  if (!parsed) return [url]
  const { pathname, search, hash, username, password, searchParams } = parsed
  const whole = `${pathname}${search}${hash}`
  const parts = [...pathname.split('/'), ...searchParams.values(), hash.slice(1), username, password]
  return [whole, `${pathname}${search}`, pathname, search.slice(1), ...parts].filter(part => part.length > 1)
}
