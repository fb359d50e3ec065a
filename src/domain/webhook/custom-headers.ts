import { because, type Reason } from '../shown/reason.ts'
import { createRedactor, redacted } from '../shown/redact.ts'
import type { Headers } from './webhook-secrets.ts'

const maxHeaders = 20
const maxNameCharacters = 100
const maxValueBytes = 4_096

/** RFC 9110 section 5.6.2. */
const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
/** Visible ASCII, with spaces inside, as in `Bearer abc`. */
const value = /^[!-~]([ -~]*[!-~])?$/
const ours = new Set(
  'host transfer-encoding connection keep-alive te trailer upgrade expect user-agent accept-encoding'.split(
    ' ',
  ),
)
const ourPrefixes = ['content-', 'proxy-', 'webhook-']

/** An admin's change: a value; null removes the header; `[redacted]` keeps it. Names in any case. */
export type HeaderChange = Readonly<Record<string, string | null>>

/**
 * Applies a change to headers, or returns one problem for each wrong header, by name (null: all together). `present` is null
 * if the stored headers can't be read: then each must be given or removed. Problems never repeat values.
 */
export function changeHeaders(
  names: readonly string[],
  present: Headers | null,
  change: HeaderChange,
):
  | { readonly ok: true; readonly headers: Headers }
  | {
      readonly ok: false
      readonly problems: readonly { readonly name: string | null; readonly reason: Reason }[]
    } {
  const problems: { name: string | null; reason: Reason }[] = []
  const wanted = new Map<string, string | null>(names.map(name => [name, present?.[name] ?? null]))
  const given = new Set<string>()
  for (const [name, text] of Object.entries(change)) {
    const lower = name.toLowerCase()
    const wrong = wrongName(name) ?? wrongValue(name, text, names.includes(lower))
    if (wrong) problems.push({ name, reason: wrong })
    else if (given.has(lower)) problems.push({ name, reason: because('header.twice', { name: shown(name) }) })
    given.add(lower)
    if (text === null) wanted.delete(lower)
    else if (text !== redacted) wanted.set(lower, text)
  }
  for (const [name, text] of wanted)
    if (text === null) problems.push({ name, reason: because('header.unreadable', { name }) })
  if (wanted.size > maxHeaders)
    problems.push({
      name: null,
      reason: because('header.too_many', { count: wanted.size, max: maxHeaders }),
    })
  if (problems.length > 0) return { ok: false, problems }
  return { ok: true, headers: Object.fromEntries(wanted) as Headers }
}

function wrongName(name: string): Reason | null {
  if (name.length > maxNameCharacters)
    return because('header.long_name', { name: shown(name), max: maxNameCharacters })
  if (!token.test(name) || name === '__proto__') return because('header.bad_name', { name: shown(name) })
  const lower = name.toLowerCase()
  return ours.has(lower) || ourPrefixes.some(prefix => lower.startsWith(prefix))
    ? because('header.reserved', { name: shown(name) })
    : null
}

function wrongValue(header: string, text: string | null, isPresent: boolean): Reason | null {
  const name = shown(header)
  if (text === null) return null
  if (text === redacted) return isPresent ? null : because('header.nothing_kept', { name, redacted })
  if (text.length > maxValueBytes)
    return because('header.long_value', { name, characters: text.length, max: maxValueBytes })
  return value.test(text) ? null : because('header.bad_value', { name })
}

function shown(name: string): string {
  return token.test(name)
    ? name.slice(0, maxNameCharacters)
    : JSON.stringify(name.slice(0, maxNameCharacters))
}

/**
 * Whether stored header values may stay at a new URL: they were given for one receiver, and moving a webhook would reveal
 * them.
 */
export function keepsHeaders(before: string, after: string): boolean {
  const origins = [before, after].map(url => URL.parse(url)?.origin)
  return origins[0] !== undefined && origins[0] === origins[1]
}

export function redactedHeaders(names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.map(name => [name, redacted]))
}

/** Creates a function that removes header values from text, since receivers may repeat them. */
export function redactor(headers: Headers): (text: string) => string {
  return createRedactor(Object.values(headers))
}
